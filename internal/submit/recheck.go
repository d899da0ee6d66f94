package submit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// recheckPayload is the payload of a job of kind recheck.
type recheckPayload struct {
	V       int    `json:"v"`
	OrderID job.ID `json:"order_id"`
}

// scheduleRecheck enqueues the order's one recheck job, if there is anything
// that a lookup may still find. Enqueueing again changes nothing.
func (e *Engine) scheduleRecheck(ctx context.Context, r *run) error {
	if len(e.Schedule) == 0 || !e.anythingToRecheck(r) {
		return nil
	}
	j := r.attempt.Job
	payload, err := json.Marshal(recheckPayload{V: 1, OrderID: j.ID})
	if err != nil {
		return fmt.Errorf("encode recheck: %w", err)
	}
	_, err = retry(ctx, e, func(ctx context.Context) ([]job.Enqueued, error) {
		return e.Jobs.Enqueue(ctx, job.Spec{
			Kind:           job.KindRecheck,
			Priority:       job.PriorityLowest,
			Delay:          e.Schedule[0],
			IdempotencyKey: "recheck:" + j.ID.String(),
			CustomerID:     j.CustomerID,
			Canary:         j.Canary,
			Payload:        payload,
		})
	})
	if err != nil {
		return fmt.Errorf("schedule recheck of order %s: %w", j.ID, err)
	}
	return nil
}

func (e *Engine) anythingToRecheck(r *run) bool {
	for _, it := range r.items {
		if e.rechecks(&it.sub) {
			return true
		}
	}
	return false
}

// rechecks reports whether a lookup may still change the submission.
func (e *Engine) rechecks(s *directory.Submission) bool {
	if s.State != directory.Submitted && s.State != directory.Uncertain {
		return false
	}
	d, ok := e.Catalog.BySlug(s.Directory)
	return ok && d.Lookup != nil && e.Methods[d.Method] != nil
}

// handleRecheck looks once at everything that may have gone live, and snoozes
// until the next time of the schedule, which counts from the job's creation.
func (e *Engine) handleRecheck(ctx context.Context, a job.Attempt) error {
	var p recheckPayload
	if err := readPayload("recheck", a.Job.Payload, &p, &p.V); err != nil {
		return err
	}
	order, err := retry(ctx, e, func(ctx context.Context) (job.Job, error) { return e.Jobs.Job(ctx, p.OrderID) })
	if errors.Is(err, job.ErrNotFound) {
		return job.Cancel(fmt.Errorf("order %s is no longer kept", p.OrderID))
	} else if err != nil {
		return fmt.Errorf("read order %s: %w", p.OrderID, err)
	}
	parsed, err := ParseOrder(order.Payload)
	if err != nil {
		return err
	}
	left, err := e.recheckAll(ctx, a, order.ID, &parsed.Profile)
	if err != nil {
		return err
	}
	if left == 0 {
		return nil
	}
	return e.nextRecheck(ctx, a.Job.CreatedAt)
}

// recheckAll looks each candidate up and returns how many are left for the next time.
func (e *Engine) recheckAll(ctx context.Context, a job.Attempt, order job.ID, b *directory.Business) (left int, err error) {
	subs, err := e.submissions(ctx, order)
	if err != nil {
		return 0, err
	}
	for i := range subs {
		if !e.rechecks(&subs[i]) {
			continue
		}
		select {
		case <-a.Drain:
			return 0, job.ErrDrained
		default:
		}
		live, err := e.recheckOne(ctx, a, &subs[i], b)
		if err != nil {
			return 0, err
		}
		if !live {
			left++
		}
		a.Progress()
	}
	return left, nil
}

// recheckOne looks one submission up. A host whose turn has not come is left for
// the next time.
func (e *Engine) recheckOne(ctx context.Context, a job.Attempt, s *directory.Submission, b *directory.Business) (live bool, err error) {
	d, _ := e.Catalog.BySlug(s.Directory)
	turn, err := e.reserve(ctx, d)
	if err != nil || !turn.OK {
		return false, err
	}
	f := e.look(ctx, s, d, b)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	e.report(ctx, d, f.HostOK, f.RetryAfter)
	if f.Presence != Found {
		return false, nil
	}
	e.keep(ctx, f.Evidence, f.Page)
	if f.Evidence != nil {
		f.Evidence.Earlier = s.Evidence.Bodies()
	}
	o := directory.Outcome{State: directory.Live, Reason: "found by recheck", Evidence: f.Evidence, ListingURL: f.ListingURL}
	_, err = retry(ctx, e, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, e.Ledger.Observe(ctx, a.Job.Lease(), s.ID, o)
	})
	switch {
	case err == nil:
		e.confirm(ctx, f.Evidence, f.Page)
	case !errors.Is(err, job.ErrState): // a person, or a call without an answer, was there before
		return false, fmt.Errorf("record that %s is live: %w", s.Directory, err)
	}
	e.Metrics.SubmissionEnded(directory.Live)
	return true, nil
}

// look asks the directory; a panic over its page is no answer.
func (e *Engine) look(ctx context.Context, s *directory.Submission, d *directory.Directory, b *directory.Business) (f Finding) {
	defer func() {
		if p := recover(); p != nil {
			e.tellPanic(s.OrderID, s.Directory, p)
			f = Finding{Presence: Unknown, HostOK: true}
		}
	}()
	return e.Methods[d.Method].Lookup(ctx, d, b)
}

// nextRecheck snoozes until the schedule's next time; nil when there is none.
func (e *Engine) nextRecheck(ctx context.Context, created time.Time) error {
	now, err := e.storeNow(ctx)
	if err != nil {
		return err
	}
	age := now.Sub(created)
	for _, at := range e.Schedule {
		if at > age {
			return job.Snooze(at-age, "next recheck")
		}
	}
	return nil
}
