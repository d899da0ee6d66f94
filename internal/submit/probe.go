package submit

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// probe asks the directory about an intent without a known outcome. It never posts.
func (r *run) probe(ctx context.Context, it *item, d *directory.Directory) error {
	own := it.sub.Fence == r.lease.Fence
	if !own && r.now().Before(it.sub.EffectDeadline) {
		it.wait(it.sub.EffectDeadline.Add(time.Millisecond), "the end of an earlier attempt's post")
		return nil
	}
	if d.Lookup == nil {
		return r.uncertain(ctx, it, "the directory has no lookup")
	}
	if r.now().Sub(it.sub.EffectDeadline) > probeLimit {
		return r.uncertain(ctx, it, "the lookup could not be asked for "+probeLimit.String())
	}
	method, ok := r.Methods[d.Method]
	if !ok {
		return r.uncertain(ctx, it, "this worker has no method to look it up")
	}
	if ok, err := r.turn(ctx, it, d); err != nil || !ok {
		return err
	}
	f := method.Lookup(ctx, d, r.business)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.report(ctx, d, f.HostOK, f.RetryAfter)
	switch f.Presence {
	case Found:
		return r.found(ctx, it, f)
	case Absent:
		return r.absent(ctx, it, d)
	default:
		return r.unanswered(ctx, it, f)
	}
}

func (r *run) found(ctx context.Context, it *item, f Finding) error {
	r.keep(ctx, f.Evidence, f.Page)
	return r.settle(ctx, it, directory.Outcome{State: directory.Submitted, Reason: "found by lookup", Evidence: f.Evidence, ListingURL: f.ListingURL})
}

// absent believes the directory only when the post can no longer arrive, has had
// time to show, and could not hide. Then it is as if nothing had been sent.
func (r *run) absent(ctx context.Context, it *item, d *directory.Directory) error {
	if believe := it.sub.EffectDeadline.Add(settle(d)); r.now().Before(believe) {
		it.wait(believe, "the settle time after a post in doubt")
		return nil
	}
	if !d.Lookup.AbsenceIsProof {
		return r.uncertain(ctx, it, "the lookup does not show it, which proves nothing there")
	}
	reason := "the directory does not have it: " + it.sub.Reason
	return r.postpone(ctx, it, Result{Outcome: directory.Outcome{Class: directory.ClassInDoubt, Reason: reason}})
}

// unanswered asks a few times more before it leaves the question to a person.
func (r *run) unanswered(ctx context.Context, it *item, f Finding) error {
	it.probed++
	if it.probed >= probes {
		return r.uncertain(ctx, it, fmt.Sprintf("the lookup gave no answer %d times: %s", it.probed, f.Reason))
	}
	it.wait(r.now().Add(max(f.RetryAfter, r.Backoff.Delay(it.probed))), "the lookup to answer")
	return nil
}

func (r *run) uncertain(ctx context.Context, it *item, why string) error {
	if it.sub.Reason != "" {
		why = it.sub.Reason + "; " + why
	}
	return r.settle(ctx, it, directory.Outcome{State: directory.Uncertain, Class: directory.ClassInDoubt, Reason: why})
}
