package job

import (
	"context"
	"time"
)

// Store is the truth about jobs. All methods may be called concurrently, from
// any number of processes. Each is one transaction: it happens whole or not at
// all. Deciding times are the store's own clock, never the caller's.
type Store interface {
	Enqueuer
	Claimer
	Finisher
	Registry
	Lifelines
	Recoverer
	Operator
	Reader
	Outbox
	Keeper
	Waker
	Passes
	Orphans
	Findings
	Rollups
	Teller
	Letters
	Postbox
	Journal
	Books
	Figures
}

// Enqueuer takes work in.
type Enqueuer interface {
	// Enqueue adds jobs, all or none, with their events and outbox rows. The
	// answers are in the order of specs. A known idempotency key adds nothing and
	// answers the earlier id; the same key twice in one call is one job.
	// The error is an *InvalidError when a spec is not well-formed.
	Enqueue(ctx context.Context, specs ...Spec) ([]Enqueued, error)
}

// Claimer hands work out.
type Claimer interface {
	// Claim takes up to r.Limit due jobs for r.Worker: pending to in_progress,
	// fence and attempt each one more. By priority, then due time; every tenth
	// claim takes the oldest due, so nobody starves. Paused and quarantined jobs
	// are passed over. No job is handed out twice. No work is an empty slice.
	// A worker that is retired, that nobody knows, or whose lease is over gets ErrRetired.
	Claim(ctx context.Context, r ClaimRequest) ([]Job, error)

	// HasQuarantined reports whether a quarantined job of these kinds could be
	// claimed now, so that a busy worker knows to empty itself for it.
	HasQuarantined(ctx context.Context, kinds []string) (bool, error)
}

// Finisher ends attempts. Each method names the lease it ends; when that lease
// is no longer the job's latest, nothing changes, the refused write is recorded
// (event write.fenced) and counted, and the error is ErrLeaseLost.
type Finisher interface {
	// Complete records success of all the leases that still hold and returns
	// those that did not; err is for the store itself, and then nothing changed.
	Complete(ctx context.Context, leases ...Lease) (lost []Lease, err error)

	// Fail records f. The job is pending again after f.Delay, or failed when its
	// failure budget is spent or f is permanent; then an alert is committed to
	// the outbox with it. It returns the new state.
	Fail(ctx context.Context, l Lease, f Failure) (State, error)

	// Release gives the jobs back as if they had never been claimed, due at once
	// and uncounted. Drain uses it. Lost leases are returned as by Complete.
	Release(ctx context.Context, cause string, leases ...Lease) (lost []Lease, err error)

	// Snooze gives the job back, uncounted, until delay from the store's now.
	Snooze(ctx context.Context, l Lease, delay time.Duration, cause string) error

	// CancelRunning ends the attempt by cancelling the job.
	CancelRunning(ctx context.Context, l Lease, cause string) error

	// Progress says that the attempt got further; the progress detector believes it.
	// A lease that names another worker than its claim is lost too.
	Progress(ctx context.Context, l Lease) error
}

// Registry keeps the workers and their leases.
type Registry interface {
	// Register adds w with a lease of the given length from the store's now.
	Register(ctx context.Context, w Worker, lease time.Duration) error

	// Beat renews the worker's lease, records progress, and returns which of the
	// held leases are gone and which claims went astray. A held lease of another
	// worker is told as gone, and its job left alone. ErrRetired means stop. It runs
	// on a connection of its own, so that a busy pool cannot delay it.
	Beat(ctx context.Context, worker ID, lease time.Duration, held []Held) (Pulse, error)

	// Retire declares the worker's lease over, by compare-and-set; a worker that
	// is already retired keeps its first cause and the error is ErrState.
	Retire(ctx context.Context, worker ID, cause string, by By) error

	// Worker answers one worker, retired or not; ErrNotFound when there is none.
	Worker(ctx context.Context, id ID) (Worker, error)

	// Workers lists those not retired, and those retired since the given age.
	Workers(ctx context.Context, retiredWithin time.Duration) ([]Worker, error)
}

// Recoverer takes jobs back: those of retired workers, and those that make no progress.
type Recoverer interface {
	// Judge retires the workers whose lease is over, unless so many are at once that
	// nobody believes it: then it opens a [Storm], and retires only those whose host
	// proves their death by having booted anew. It closes the storm when its time is
	// over, when enough of them are proved dead, or when they beat again for one full
	// lease. Opening and closing are committed with an event and a notice. Two callers
	// at once come to one judgement and retire each worker once. A lease that ran out
	// while the store itself was away is spared for its length.
	Judge(ctx context.Context, lease time.Duration) (Judgement, error)

	// RetireExpired retires every worker whose lease is over, also in a storm, and
	// returns them: for a person, who judges for himself. Two callers at once retire each
	// worker once.
	RetireExpired(ctx context.Context) ([]Worker, error)

	// LastStorm is the storm that is open, or the latest; nil when there never was one.
	LastStorm(ctx context.Context) (*Storm, error)

	// Recover moves up to limit jobs whose owner is retired: pending again, or
	// failed when the crash budget is spent; history and outbox in the same
	// transaction. The first recovery of a job has no backoff. A job that was
	// [QuarantineAfter] times in a process that died is quarantined. The jobs of
	// a worker that left in order ([RetiredStopped]) are released, uncounted.
	// An empty answer means there is nothing left to do.
	Recover(ctx context.Context, limit int) (Recovered, error)

	// RecoverStalled moves up to limit jobs whose owner has a lease but which made
	// no progress for longer than threshold, with the cause [NoProgress]. It counts
	// as a crash, as Recover does. The owner keeps its lease and its other jobs; its
	// next beat tells it which it lost. An empty answer means that nothing is left,
	// or that somebody else holds the rest at this moment.
	RecoverStalled(ctx context.Context, threshold time.Duration, limit int) (Recovered, error)

	// RecoverJob moves one job, for a person who names it, where Recover or
	// RecoverStalled would; the event names by. ErrState when it is not stale: a
	// worker whose lease is over must be retired first.
	RecoverJob(ctx context.Context, id ID, threshold time.Duration, by By) (RecoveredJob, error)
}

// Operator is what people do to jobs. Each act is an event with actor and reason.
type Operator interface {
	// Cancel ends a pending or running job; the owner learns with its next beat.
	Cancel(ctx context.Context, id ID, by By) error

	// Redrive gives a failed job new budgets and makes it pending. Its history stays.
	Redrive(ctx context.Context, id ID, by By) error

	// Hasten ends the wait of a pending job: it is due now. One that is due already is
	// left as it is. ErrState when it is not pending.
	Hasten(ctx context.Context, id ID, by By) error

	// Pause stops claims of a scope; running jobs finish. Pausing twice is no error.
	Pause(ctx context.Context, s Scope, by By) error

	// Resume ends a pause; ErrNotFound when there was none.
	Resume(ctx context.Context, s Scope, by By) error
}

// Reader answers questions.
type Reader interface {
	Job(ctx context.Context, id ID) (Job, error)
	Jobs(ctx context.Context, f Filter) ([]Job, error)
	// Standings tells how jobs stand, in no order. A job that there is not is left out.
	Standings(ctx context.Context, ids ...ID) ([]Standing, error)
	// Counts has an entry for every state, canaries excluded.
	Counts(ctx context.Context) (map[State]int64, error)
	// Load tells how much work there is now. It reads what waits and what runs, not what
	// has ended.
	Load(ctx context.Context) (Load, error)
	// History tells the job's story, oldest first: its events, and what the row
	// itself records of the current attempt (creation, claim, end).
	History(ctx context.Context, id ID) ([]Event, error)
	// Stale lists up to limit running jobs that recovery takes, or is about to:
	// owner retired, lease over, or no progress for longer than threshold. Those
	// that wait longest come first.
	Stale(ctx context.Context, threshold time.Duration, limit int) ([]StaleJob, error)
	// Ahead counts the jobs of these kinds that claims take before the pending job
	// id. Beyond [MostAhead] it stops counting.
	Ahead(ctx context.Context, id ID, kinds []string) (int, error)
	// Line lists the due jobs of these kinds in the order in which claims come to them,
	// up to limit; paused and quarantined ones are left out.
	Line(ctx context.Context, kinds []string, limit int) ([]Place, error)
	// OrdersOf tells how a customer's orders stand. ErrNotFound when it has none.
	OrdersOf(ctx context.Context, customer ID) (Orders, error)
	// Events lists events of any job by the time they tell, then by id. One that is
	// committed late may stand before those that were listed already.
	Events(ctx context.Context, f EventFilter) ([]Event, error)
	Pauses(ctx context.Context) ([]Pause, error)
	// Now is the store's clock.
	Now(ctx context.Context) (time.Time, error)
	Ping(ctx context.Context) error
}

// Outbox holds what was committed with a job's change and must still be sent.
type Outbox interface {
	// TakeMessages hands out up to limit due, unsent messages of one kind and hides
	// them from other takers for the given time; each take counts as an attempt.
	TakeMessages(ctx context.Context, kind string, limit int, hide time.Duration) ([]Message, error)
	// HideMessages hides messages that were taken for d from now on; zero: they are due
	// at once. What was sent, or taken by another since, it leaves alone and returns.
	HideMessages(ctx context.Context, d time.Duration, taken ...Message) (gone []ID, err error)
	// AddHints adds a hint for each job, as the changes do that make one due. It takes the
	// place of an unsent one.
	AddHints(ctx context.Context, jobs ...ID) error
	// MarkSent ends messages.
	MarkSent(ctx context.Context, ids ...ID) error
}

// Kinds of outbox message.
const (
	MessageHint  = "hint"  // wakes a worker: {"v":1,"job_id":…}
	MessageAlert = "alert" // must reach a person: a [Notice]
)

// Message is an outbox row.
type Message struct {
	ID        ID
	Kind      string
	Key       string // while unsent, unique within its kind: doubles collapse
	Payload   []byte // JSON
	NotBefore time.Time
	Attempts  int
	CreatedAt time.Time
}

// Keeper forgets what retention no longer needs. Failed jobs, their events and
// unsent messages are never pruned.
type Keeper interface {
	Prune(ctx context.Context, r Retention) (Pruned, error)
}

// Waker tells idle workers that work may have come. A wake-up is a hint: one may
// be lost or doubled, so pollers stay as a backstop.
type Waker interface {
	// Wake returns a channel that receives when jobs may have become claimable,
	// here or in another process. The subscription ends with ctx.
	Wake(ctx context.Context) <-chan struct{}
}
