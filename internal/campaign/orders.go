package campaign

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// cast are the directories: the plain and the troublesome, those that can be asked and
// those that cannot, those whose silence proves something and those whose silence does not.
var cast = []string{
	"plain", "cut_with_lookup", "json", "error_after_listing",
	"csrf", "moderated", "plain", "cut_without_lookup",
	"three_steps", "error_once", "half_answer", "plain",
	"slow", "moderated_cut", "found_302", "cut_before_body",
	"plain", "throttled_once", "inferred", "late_answer",
	"redirect_loop", "plain", "error_for_ever", "created_201",
}

// categories spread the directories over the orders: the i-th has the i-th, again and again.
var categories = []string{"bakery", "dentist", "florist", "plumber"}

const (
	quota  = 5   // directories of an order; its category has one more, to replace one that fails
	budget = 900 // crashes and failures of an order: faults are not what it shall fail of
)

// business is who places the n-th order. Each is another one.
func business(n int) *directory.Business {
	host := fmt.Sprintf("shop-%06d.com", n)
	return &directory.Business{
		Name: fmt.Sprintf("Harbour Shop %d", n), Email: "owner@" + host, Phone: fmt.Sprintf("+1415%07d", 2_000_000+n),
		Website: "https://www." + host + "/", Street: "1 Market Street", City: "San Francisco", Region: "CA",
		PostalCode: "94105", Country: "US", Category: categories[n%len(categories)],
		Description: "A shop by the harbour that is open every morning and delivers around it before noon.",
	}
}

// key is the n-th business as the witness names it.
func key(n int) string {
	b := business(n)
	return sandbox.Key(b.Website, b.Phone)
}

// feed keeps orders open until ctx ends. A store that is away is asked again.
func (f *front) feed(ctx context.Context) {
	for ctx.Err() == nil {
		if open, err := f.unfinished(ctx); err == nil {
			for range f.strength.Orders - open {
				if f.place(ctx) != nil {
					break
				}
			}
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

// place enqueues the next order. Asked again after an answer that was lost, it is the
// same order.
func (f *front) place(ctx context.Context) error {
	n := len(f.placed)
	p := directory.Package{Name: "starter", Quota: quota, PriceCents: 14900, Priority: 1 + n%4}
	spec, err := submit.OrderSpec(f.customer, business(n), p, submit.OrderOptions{Key: fmt.Sprintf("campaign-%d", n)})
	if err != nil {
		return err
	}
	spec.MaxAttempts, spec.CrashBudget = budget, budget
	placed, err := f.store.Enqueue(ctx, spec)
	if err != nil {
		return err
	}
	f.placed = append(f.placed, placed[0].ID)
	f.ledger.placed.Add(1)
	return nil
}

// unfinished counts the orders that are not final.
func (f *front) unfinished(ctx context.Context) (open int, err error) {
	for _, state := range []job.State{job.Pending, job.InProgress} {
		jobs, err := f.store.Jobs(ctx, job.Filter{Kind: job.KindOrder, State: state, Limit: 1000})
		if err != nil {
			return 0, err
		}
		open += len(jobs)
	}
	f.open.Store(int64(open))
	return open, nil
}

// allFinal asks for every order. One that changed hands between the two questions of
// unfinished is in neither answer, and would be judged while it still moves.
func (f *front) allFinal(ctx context.Context) bool {
	for _, id := range f.placed {
		if j, err := f.store.Job(ctx, id); err != nil || !j.State.Final() {
			return false
		}
	}
	return true
}

// drain waits until every order is final.
func (f *front) drain(ctx context.Context, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ctx.Err() == nil; sleep(ctx, 50*time.Millisecond) {
		for _, s := range f.slots {
			if err := s.ensure(); err != nil {
				return err
			}
		}
		open, err := f.unfinished(ctx)
		if err == nil && open == 0 && f.allFinal(ctx) {
			return nil
		}
		if time.Now().After(deadline) {
			return nil // the verdict names what is lost
		}
	}
	return context.Cause(ctx)
}
