package submit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// guard is try, with a panic made the end of this step alone: before the intent a
// try that came to nothing, after it a question for the lookup.
func (r *run) guard(ctx context.Context, it *item) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		r.tellPanic(r.lease.JobID, it.sub.Directory, p)
		reason := fmt.Sprintf("our own code failed on it: %v", p)
		if it.sub.State == directory.Submitting {
			err = r.unanswered(ctx, it, Finding{Reason: reason})
			return
		}
		err = r.postpone(ctx, it, Result{Outcome: directory.Outcome{Class: directory.ClassNotSent, Reason: reason}})
	}()
	return r.try(ctx, it)
}

// try takes an item one step further. Whatever became of it is in the item and
// the ledger; an error means that this attempt at the order cannot go on.
func (r *run) try(ctx context.Context, it *item) error {
	d, ok := r.Catalog.BySlug(it.sub.Directory)
	switch {
	case it.sub.State == directory.Submitting:
		return r.probe(ctx, it, d)
	case !ok:
		return r.settle(ctx, it, skipped("the directory has left the catalog"))
	case !d.IsActive():
		return r.settle(ctx, it, skipped("the directory is switched off in the catalog"))
	}
	method, ok := r.Methods[d.Method]
	if need := d.Need(); need != "" || !ok {
		return r.settle(ctx, it, needsPerson(d, need))
	}
	if r.attempt.Left() < least(d) {
		r.waitForLease(it)
		return nil
	}
	if ok, err := r.turn(ctx, it, d); err != nil || !ok {
		return err
	}
	return r.submit(ctx, it, d, method)
}

// least is the time of the lease below which no effect at d is begun.
func least(d *directory.Directory) time.Duration { return min(minBudget, timeout(d)) }

func (r *run) waitForLease(it *item) { it.wait(r.now().Add(minBudget), "the lease to be renewed") }

func skipped(why string) directory.Outcome {
	return directory.Outcome{State: directory.Skipped, Class: directory.ClassPermanent, Reason: why}
}

func needsPerson(d *directory.Directory, need string) directory.Outcome {
	if need == "" {
		need = directory.NeedManual
	}
	reasons := map[string]string{
		directory.NeedManual:  "no automated way is known or allowed: submit by hand",
		directory.NeedPayment: "the directory asks for a payment",
		directory.NeedLogin:   "the directory wants an account",
		directory.NeedCaptcha: "the form has a captcha, which we do not solve",
	}
	return directory.Outcome{State: directory.NeedsAction, Need: need, Reason: reasons[need], ListingURL: d.URL}
}

// turn asks for the host's next turn. Refused, the item waits.
func (r *run) turn(ctx context.Context, it *item, d *directory.Directory) (bool, error) {
	turn, err := r.reserve(ctx, d)
	if err != nil || turn.OK {
		return turn.OK, err
	}
	if turn.Why == "breaker" {
		if r.lastChance(it) {
			return true, nil
		}
		// The host is down for everybody: that is an answer too, or an order would
		// wait for a dead host as long as others find it dead.
		return false, r.dead(ctx, it, turn.Wait)
	}
	it.wait(r.now().Add(turn.Wait), "turn at "+host(d)+": "+turn.Why)
	return false, nil
}

// dead takes an open circuit breaker for a try, or for a lookup, that came to nothing.
func (r *run) dead(ctx context.Context, it *item, wait time.Duration) error {
	const reason = "the host does not answer (its circuit breaker is open)"
	if it.sub.State == directory.Submitting {
		return r.unanswered(ctx, it, Finding{Reason: reason, RetryAfter: wait})
	}
	return r.postpone(ctx, it, Result{RetryAfter: wait, Outcome: directory.Outcome{Class: directory.ClassNotSent, Reason: reason}})
}

func (it *item) wait(until time.Time, why string) { it.at, it.why = until, why }

// submit performs one try and settles or postpones it.
func (r *run) submit(ctx context.Context, it *item, d *directory.Directory, m Method) (err error) {
	ctx, span := r.Tracer.Start(ctx, "submission")
	span.ID(telemetry.KeyOrder, r.lease.JobID)
	span.ID(telemetry.KeySubmission, it.sub.ID)
	span.Text(telemetry.KeyDirectory, d.Slug)
	defer func() {
		span.Text(telemetry.KeyState, string(it.sub.State))
		span.End(err)
	}()
	res, err := m.Submit(ctx, Request{
		Directory: d,
		Business:  r.business,
		Intend:    func(ctx context.Context) (Deadline, error) { return r.intend(ctx, it, d) },
	})
	switch {
	case errors.Is(err, directory.ErrTaken):
		return r.settle(ctx, it, taken)
	case errors.Is(err, directory.ErrNoTime):
		r.waitForLease(it)
		return nil
	case errors.Is(err, job.ErrDrained):
		return nil
	case err != nil:
		return fmt.Errorf("submit to %s: %w", d.Slug, err)
	}
	r.report(ctx, d, res.HostOK, res.RetryAfter)
	switch {
	case res.Outcome.State != "":
		return r.prove(ctx, it, res.Outcome, res.Page)
	case res.Outcome.Class == directory.ClassInDoubt:
		it.sub.Reason = res.Outcome.Reason
		return r.probe(ctx, it, d)
	default:
		return r.postpone(ctx, it, res)
	}
}

// taken is the outcome where another order of the business was first.
var taken = directory.Outcome{State: directory.Skipped, Class: directory.ClassAlreadyListed, Reason: "another order has this directory for the business"}

// intend commits the intent. The deadline counts from before the lease was read
// and the store asked, so it is never later than the lease's end or the one that
// the store wrote, wherever the process froze meanwhile. A drain begins nothing.
func (r *run) intend(ctx context.Context, it *item, d *directory.Directory) (Deadline, error) {
	if r.draining() {
		return nil, job.ErrDrained
	}
	begun := bootclock.Now()
	left := r.attempt.Left()
	if left < least(d) {
		return nil, directory.ErrNoTime
	}
	end := begun + min(timeout(d), left)
	sub, err := retry(ctx, r.Engine, func(ctx context.Context) (directory.Submission, error) {
		return r.Ledger.Intend(ctx, r.lease, it.sub.ID, end-begun)
	})
	if errors.Is(err, job.ErrState) {
		sub, err = r.ownIntent(ctx, it, err)
	}
	if err != nil {
		return nil, err
	}
	it.sub, it.over = sub, end
	return func() time.Duration { return end - bootclock.Now() }, nil
}

// ownIntent finds the intent that this claim committed a moment ago without hearing
// so. Nothing has been sent under it. refused is the error otherwise.
func (r *run) ownIntent(ctx context.Context, it *item, refused error) (directory.Submission, error) {
	sub, err := r.reread(ctx, it)
	if err != nil || sub.State != directory.Submitting || sub.Fence != r.lease.Fence {
		return sub, errors.Join(err, refused)
	}
	return sub, nil
}
