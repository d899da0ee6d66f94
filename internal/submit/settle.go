package submit

import (
	"context"
	"errors"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// postpone puts a try that provably sent or changed nothing off, or ends the
// submission when its tries are spent.
func (r *run) postpone(ctx context.Context, it *item, res Result) error {
	o, tries := res.Outcome, r.triesAfter(it)
	if tries >= r.MaxTries {
		o.State, o.Class = directory.FailedState, directory.ClassPermanent
		o.Reason = fmt.Sprintf("given up after %d tries: %s", tries, o.Reason)
		return r.settle(ctx, it, o)
	}
	o.State = directory.Planned
	if o.Delay = res.RetryAfter; o.Delay <= 0 {
		o.Delay = r.Backoff.Delay(tries)
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

// prove keeps the page that proves an outcome, and settles.
func (r *run) prove(ctx context.Context, it *item, o directory.Outcome, p *Page) error {
	r.keep(ctx, o.Evidence, p)
	err := r.settle(ctx, it, o)
	if err == nil && it.sub.State == o.State { // else another outcome was committed
		r.confirm(ctx, o.Evidence, p)
	}
	return err
}

// settle commits an outcome, with a replacement where a place in the quota became
// free. It does so even when ctx ends meanwhile: what is known is not to be lost.
func (r *run) settle(ctx context.Context, it *item, o directory.Outcome) error {
	ctx, cancel := outliving(ctx)
	defer cancel()
	if o.State == directory.FailedState || o.State == directory.Skipped {
		return r.settleReplaced(ctx, it, o)
	}
	err := r.commit(ctx, it, o)
	if errors.Is(err, directory.ErrTaken) { // a place for a person is a place too
		return r.settleReplaced(ctx, it, taken)
	}
	return err
}

// settleReplaced commits an outcome that frees a place in the quota, and takes
// the replacement up.
func (r *run) settleReplaced(ctx context.Context, it *item, o directory.Outcome) (err error) {
	r.choosing.Lock()
	defer r.choosing.Unlock()
	if o.Replacement, err = r.replacement(ctx); err != nil {
		return err
	}
	if err := r.commit(ctx, it, o); err != nil || o.Replacement == nil {
		return err
	}
	it.added, err = r.submissions(ctx, r.lease.JobID)
	return err
}

// commit writes the outcome to the ledger and to the item.
func (r *run) commit(ctx context.Context, it *item, o directory.Outcome) error {
	_, err := retry(ctx, r.Engine, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.Ledger.Settle(ctx, r.lease, it.sub.ID, o)
	})
	if errors.Is(err, job.ErrState) {
		// An earlier call may have recorded it, and its answer was lost.
		if sub, failed := r.reread(ctx, it); failed == nil && sub.State == o.State {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("settle %s as %s: %w", it.sub.Directory, o.State, err)
	}
	tries := r.triesAfter(it)
	it.sub.State, it.sub.Class, it.sub.Reason = o.State, o.Class, o.Reason
	if o.State == directory.Planned {
		it.sub.Tries = tries
		it.wait(r.now().Add(o.Delay), "a retry: "+o.Reason)
		return nil
	}
	r.Metrics.SubmissionEnded(o.State)
	r.log.DebugContext(ctx, "submission settled", "directory", it.sub.Directory, "state", string(o.State), "class", o.Class, "reason", o.Reason)
	return nil
}

// reread is the item's row as the store has it.
func (r *run) reread(ctx context.Context, it *item) (sub directory.Submission, err error) {
	subs, err := r.submissions(ctx, r.lease.JobID)
	for _, s := range subs {
		if s.ID == it.sub.ID {
			sub = s
		}
	}
	return sub, err
}
