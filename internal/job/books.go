package job

import (
	"context"
	"time"
)

// Books are the account of what was paid for. What was paid is told by the event
// order.created, which is written with the order and never changed; where it went, by the
// rows of orders, submissions and letters. So neither can be lost without the other telling.
type Books interface {
	// OrdersPaid lists up to limit orders that were paid for and are not archived, with
	// ids above after, lowest first; canaries too.
	OrdersPaid(ctx context.Context, after ID, limit int) ([]ID, error)

	// JudgeOrders finds those of the orders whose books do not balance, each at one
	// moment: findings of kind [OrphanUnbalanced]. One that was archived meanwhile is none.
	JudgeOrders(ctx context.Context, orders ...ID) ([]Finding, error)

	// OrdersTouched lists up to limit orders that an event touched within a time from now,
	// and those whose books did not balance when last noted, with ids above after, lowest first.
	OrdersTouched(ctx context.Context, within time.Duration, after ID, limit int) ([]ID, error)

	// UnpaidOrders lists up to limit orders of which nothing says that they were paid for.
	// It walks all jobs.
	UnpaidOrders(ctx context.Context, limit int) ([]ID, error)

	// Account sums everything up, at one moment. It walks all orders and submissions.
	Account(ctx context.Context) (Account, error)

	// AtRisk tells what is paid for and in danger now: work that is stuck by the rules of
	// [Reader].Stale, that failed, or that is due for longer than stall.
	AtRisk(ctx context.Context, stall time.Duration) (Risk, error)

	// Protected tells what recovery and redrives saved: paid jobs completed in [from, to)
	// that had been taken back from a lost worker, or failed and were redriven. What
	// retention has archived counts by whole days.
	Protected(ctx context.Context, from, to time.Time) (Protection, error)
}

// Sum is how many orders, and what was paid for them. Canaries are in no sum.
type Sum struct {
	Count      int64 `json:"count"`
	ValueCents int64 `json:"value_cents"`
}

// Plus adds.
func (s Sum) Plus(t Sum) Sum { return Sum{s.Count + t.Count, s.ValueCents + t.ValueCents} }

// Account is the whole of the books at one moment, canaries excluded.
type Account struct {
	At       time.Time     `json:"at"`
	Paid     Sum           `json:"paid"`     // orders that were paid for, by the history
	Orders   map[State]Sum `json:"orders"`   // where they are
	Archived map[State]Sum `json:"archived"` // what retention left of earlier ones

	Bought      int64            `json:"bought"`      // directories of the orders that are planned
	Unplanned   int64            `json:"unplanned"`   // of those that are not
	Submissions map[string]int64 `json:"submissions"` // of planned orders, by state
	Replaced    int64            `json:"replaced"`
	Shortfall   int64            `json:"shortfall"`
}

// Accounted is where the paid orders are, all states together.
func (a *Account) Accounted() (sum Sum) {
	for _, s := range a.Orders {
		sum = sum.Plus(s)
	}
	return sum
}

// Delivered is what the bought directories must equal.
func (a *Account) Delivered() int64 {
	n := a.Shortfall - a.Replaced
	for _, of := range a.Submissions {
		n += of
	}
	return n
}

// Balanced reports whether every paid order, its money, and every bought directory is
// accounted for.
func (a *Account) Balanced() bool { return a.Paid == a.Accounted() && a.Bought == a.Delivered() }

// Risk is what is paid for and in danger.
type Risk struct {
	Stuck  Sum `json:"stuck"`  // running, and recovery takes it or is about to
	Failed Sum `json:"failed"` // dead letters that nobody has decided about
	Late   Sum `json:"late"`   // due for long, and not taken
}

// Total is all of it.
func (r Risk) Total() Sum { return r.Stuck.Plus(r.Failed).Plus(r.Late) }

// Protection is what was saved.
type Protection struct {
	Recovered Sum `json:"recovered"` // completed after a worker was lost
	Redriven  Sum `json:"redriven"`  // completed after they failed and a person redrove them
}

// Total is all of it.
func (p Protection) Total() Sum { return p.Recovered.Plus(p.Redriven) }

// Saved is what recovery and redrives saved of late.
type Saved struct {
	Week  Protection `json:"week"`  // the last 7 days
	Month Protection `json:"month"` // the last 30 days
}

// Balance is how the books stand now, as far as that costs little to say.
type Balance struct {
	At         time.Time `json:"at"`
	Balanced   bool      `json:"balanced"`             // somebody checks, and no order is known whose books do not balance
	CheckedAt  time.Time `json:"checked_at,omitzero"`  // end of the latest good check; missing: there was none
	Unchecked  string    `json:"unchecked,omitempty"`  // why that was too long ago to rely on; missing: it was not
	Unbalanced []Finding `json:"unbalanced,omitempty"` // as the latest check found them
	AtRisk     Risk      `json:"at_risk"`
	Protected  Saved     `json:"protected"`
}
