package books

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Proof is the whole of the books: the sums, each order on its own, and what they say
// about money.
type Proof struct {
	job.Account
	Holds      bool          `json:"balanced"`
	Checked    int           `json:"checked"`              // orders, each on its own
	Unbalanced []job.Finding `json:"unbalanced,omitempty"` // at most MostUnbalanced
	More       bool          `json:"more,omitempty"`       // there are more of them
	AtRisk     job.Risk      `json:"at_risk"`
	Protected  job.Saved     `json:"protected"`
}

// MostUnbalanced bounds the orders that a proof names.
const MostUnbalanced = 1000

// Prove checks everything, at its own pace: each order at one moment, the sums at
// another. tell hears how far it is; nil: nobody.
func Prove(ctx context.Context, s Reader, stall time.Duration, tell func(orders int)) (Proof, error) {
	if tell == nil {
		tell = func(int) {}
	}
	a, err := s.Account(ctx)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Account: a}
	if err := p.walk(ctx, s, tell); err != nil {
		return p, err
	}
	if err := p.unpaid(ctx, s); err != nil {
		return p, err
	}
	st, err := Stand(ctx, s, stall)
	p.AtRisk, p.Protected = st.AtRisk, st.Protected
	p.Holds = a.Balanced() && len(p.Unbalanced) == 0
	return p, err
}

// walk judges every order that was paid for.
func (p *Proof) walk(ctx context.Context, s Reader, tell func(int)) error {
	var last job.ID
	for {
		ids, err := s.OrdersPaid(ctx, last, pageSize)
		if err != nil {
			return err
		}
		if err := p.judge(ctx, s, ids); err != nil {
			return err
		}
		p.Checked += len(ids)
		tell(p.Checked)
		if len(ids) < pageSize {
			return nil
		}
		last = ids[len(ids)-1]
	}
}

// unpaid names the orders of which nobody knows why they are there.
func (p *Proof) unpaid(ctx context.Context, s Reader) error {
	ids, err := s.UnpaidOrders(ctx, pageSize)
	if err != nil {
		return err
	}
	p.Checked += len(ids)
	return p.judge(ctx, s, ids)
}

func (p *Proof) judge(ctx context.Context, s Reader, ids []job.ID) error {
	wrong, err := s.JudgeOrders(ctx, ids...)
	if room := MostUnbalanced - len(p.Unbalanced); len(wrong) > room {
		wrong, p.More = wrong[:room], true
	}
	p.Unbalanced = append(p.Unbalanced, wrong...)
	return err
}

// Orders is the equation of the orders: "12 paid = 1 pending + …".
func (p *Proof) Orders() string {
	terms := make([]string, len(job.States))
	for i, state := range job.States {
		terms[i] = fmt.Sprintf("%d %s", p.Account.Orders[state].Count, state)
	}
	return equation(p.Paid.Count == p.Accounted().Count, fmt.Sprintf("%d paid", p.Paid.Count), terms)
}

// Money is the same equation in cents, written by dollars.
func (p *Proof) Money(dollars func(cents int64) string) string {
	terms := make([]string, len(job.States))
	for i, state := range job.States {
		terms[i] = fmt.Sprintf("%s %s", dollars(p.Account.Orders[state].ValueCents), state)
	}
	return equation(p.Paid.ValueCents == p.Accounted().ValueCents, dollars(p.Paid.ValueCents)+" paid", terms)
}

// Directories is the equation of the directories: "50 bought = 44 submitted + …".
func (p *Proof) Directories() string {
	var terms []string
	for _, state := range directory.SubmissionStates {
		if n := p.Submissions[string(state)]; n > 0 {
			terms = append(terms, fmt.Sprintf("%d %s", n, state))
		}
	}
	terms = append(terms, fmt.Sprintf("%d shortfall", p.Shortfall))
	return equation(p.Bought == p.Delivered(), fmt.Sprintf("%d bought", p.Bought), terms) + fmt.Sprintf(" − %d replaced", p.Replaced)
}

func equation(holds bool, left string, terms []string) string {
	sign := " = "
	if !holds {
		sign = " ≠ "
	}
	return left + sign + strings.Join(terms, " + ")
}
