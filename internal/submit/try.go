package submit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/directory"
)

// try takes an item one step further. Whatever became of it is in the item and
// the ledger; an error means that this attempt at the order cannot go on.
func (r *run) try(ctx context.Context, it *item) error {
	d, ok := r.Catalog.BySlug(it.sub.Directory)
	if !ok {
		return r.settle(ctx, it, r.withoutDirectory(it))
	}
	if it.sub.State == directory.Submitting {
		return r.probe(ctx, it, d)
	}
	method, ok := r.Methods[d.Method]
	if need := d.Need(); need != "" || !ok {
		return r.settle(ctx, it, needsPerson(d, need))
	}
	if ok, err := r.turn(ctx, it, d); err != nil || !ok {
		return err
	}
	return r.submit(ctx, it, d, method)
}

// withoutDirectory is the outcome when the catalog no longer has the entry.
func (r *run) withoutDirectory(it *item) directory.Outcome {
	if it.sub.State == directory.Submitting {
		return directory.Outcome{State: directory.Uncertain, Class: directory.ClassInDoubt,
			Reason: "something may have been sent, and the directory has left the catalog: look by hand"}
	}
	return directory.Outcome{State: directory.Skipped, Class: directory.ClassPermanent, Reason: "the directory has left the catalog"}
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
	turn, err := retry(ctx, r, func(ctx context.Context) (Turn, error) {
		return r.Pacer.Reserve(ctx, host(d), d.Pacing)
	})
	if err != nil {
		return false, fmt.Errorf("reserve a turn at %s: %w", host(d), err)
	}
	if turn.OK {
		return true, nil
	}
	if turn.Why == "breaker" && it.sub.State == directory.Planned {
		// The host is down for everybody: that is a try too, or an order would wait
		// for a dead host as long as others find it dead.
		return false, r.postpone(ctx, it, Result{RetryAfter: turn.Wait, Outcome: directory.Outcome{
			Class: directory.ClassNotSent, Reason: "the host does not answer (its circuit breaker is open)"}})
	}
	it.wait(r.now().Add(turn.Wait), "turn at "+host(d)+": "+turn.Why)
	return false, nil
}

func (it *item) wait(until time.Time, why string) { it.at, it.why = until, why }

// submit performs one try and settles or postpones it.
func (r *run) submit(ctx context.Context, it *item, d *directory.Directory, m Method) error {
	res, err := m.Submit(ctx, Request{
		Directory: d,
		Business:  r.business,
		Intend:    func(ctx context.Context) (Deadline, error) { return r.intend(ctx, it, d) },
	})
	switch {
	case errors.Is(err, directory.ErrTaken):
		return r.settle(ctx, it, directory.Outcome{State: directory.Skipped, Class: directory.ClassAlreadyListed, Reason: "another order has listed the business there"})
	case errors.Is(err, directory.ErrNoTime):
		it.wait(r.now().Add(minBudget), "the lease to be renewed")
		return nil
	case err != nil:
		return fmt.Errorf("submit to %s: %w", d.Slug, err)
	}
	r.report(ctx, d, res.HostOK, res.RetryAfter)
	switch {
	case res.Outcome.State != "":
		r.keep(ctx, res.Outcome.Evidence, res.Page)
		return r.settle(ctx, it, res.Outcome)
	case res.Outcome.Class == directory.ClassInDoubt:
		it.sub.Reason = res.Outcome.Reason
		return r.probe(ctx, it, d)
	default:
		return r.postpone(ctx, it, res)
	}
}

// intend commits the intent. The deadline counts from before the store was asked,
// so it is never later than the one the store wrote.
func (r *run) intend(ctx context.Context, it *item, d *directory.Directory) (Deadline, error) {
	left := r.attempt.Left()
	if left < min(minBudget, timeout(d)) {
		return nil, directory.ErrNoTime
	}
	budget := min(timeout(d), left)
	end := bootclock.Now() + budget
	sub, err := r.Ledger.Intend(ctx, r.lease, it.sub.ID, budget)
	if err != nil {
		return nil, err
	}
	it.sub = sub
	return func() time.Duration { return end - bootclock.Now() }, nil
}

// postpone puts a try that provably sent or changed nothing off, or ends the
// submission when its tries are spent.
func (r *run) postpone(ctx context.Context, it *item, res Result) error {
	o := res.Outcome
	if tries := r.triesAfter(it); tries >= r.MaxTries {
		o.State, o.Class = directory.FailedState, directory.ClassPermanent
		o.Reason = fmt.Sprintf("given up after %d tries: %s", tries, o.Reason)
		return r.settle(ctx, it, o)
	}
	o.State = directory.Planned
	o.Delay = max(res.RetryAfter, 0)
	if o.Delay == 0 {
		o.Delay = r.Backoff.Delay(max(it.sub.Tries, 1))
	}
	return r.settle(ctx, it, o)
}

// triesAfter counts this try too: an intent has counted itself, a look that came
// to nothing before it is counted by the postponement.
func (r *run) triesAfter(it *item) int {
	if it.sub.State == directory.Submitting {
		return it.sub.Tries
	}
	return it.sub.Tries + 1
}

// settle commits an outcome, with a replacement where a place in the quota became free.
func (r *run) settle(ctx context.Context, it *item, o directory.Outcome) error {
	if o.State == directory.FailedState || o.State == directory.Skipped {
		return r.settleReplaced(ctx, it, o)
	}
	return r.commit(ctx, it, o)
}

// settleReplaced commits an outcome that frees a place in the quota, and takes
// the replacement up.
func (r *run) settleReplaced(ctx context.Context, it *item, o directory.Outcome) error {
	r.choosing.Lock()
	defer r.choosing.Unlock()
	subs, err := r.submissions(ctx)
	if err != nil {
		return err
	}
	o.Replacement = r.replacement(subs)
	if err := r.commit(ctx, it, o); err != nil || o.Replacement == nil {
		return err
	}
	it.added, err = r.submissions(ctx)
	return err
}

func (r *run) submissions(ctx context.Context) ([]directory.Submission, error) {
	subs, err := retry(ctx, r, func(ctx context.Context) ([]directory.Submission, error) {
		return r.Ledger.Submissions(ctx, r.lease.JobID)
	})
	if err != nil {
		return nil, fmt.Errorf("list submissions of order %s: %w", r.lease.JobID, err)
	}
	return subs, nil
}

// commit writes the outcome to the ledger and to the item.
func (r *run) commit(ctx context.Context, it *item, o directory.Outcome) error {
	_, err := retry(ctx, r, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.Ledger.Settle(ctx, r.lease, it.sub.ID, o)
	})
	if err != nil {
		return fmt.Errorf("settle %s as %s: %w", it.sub.Directory, o.State, err)
	}
	r.attempt.Progress()
	it.sub.State, it.sub.Class, it.sub.Reason = o.State, o.Class, o.Reason
	if o.State == directory.Planned {
		it.sub.Tries = r.triesAfter(it)
		it.wait(r.now().Add(o.Delay), "a retry: "+o.Reason)
		return nil
	}
	r.Metrics.SubmissionEnded(o.State)
	r.log.DebugContext(ctx, "submission settled", "directory", it.sub.Directory, "state", string(o.State), "class", o.Class, "reason", o.Reason)
	return nil
}

// report feeds the host's breaker. Pacing is advice to ourselves: when the store
// does not take it, the order goes on.
func (r *run) report(ctx context.Context, d *directory.Directory, ok bool, pause time.Duration) {
	if err := r.Pacer.Report(ctx, host(d), ok, pause); err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "turn not reported", "host", host(d), "error", err.Error())
	}
}

// keep stores the page that proves an outcome. The excerpt in the row proves it
// too, so a full disk does not lose the outcome.
func (e *Engine) keep(ctx context.Context, ev *directory.Evidence, p *Page) {
	if ev == nil || p == nil {
		return
	}
	sum, size, err := e.Evidence.Put(ctx, p.MediaType, p.Body)
	if err != nil {
		e.Log.ErrorContext(ctx, "evidence not stored, its excerpt is kept", "url", p.URL, "error", err.Error())
		return
	}
	ev.SHA256, ev.Size, ev.MediaType = sum, size, p.MediaType
}
