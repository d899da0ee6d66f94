package submit

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/directory"
)

// probe asks the directory about an intent without a known outcome. It never posts.
// What it means that the business is absent depends on when the question was asked,
// by the store's clock. d is nil when the catalog no longer has it.
func (r *run) probe(ctx context.Context, it *item, d *directory.Directory) error {
	asked, err := r.storeNow(ctx)
	if err != nil {
		return err
	}
	it.asked = bootclock.Now()
	own := it.sub.Fence == r.lease.Fence
	if rest := it.sub.EffectDeadline.Sub(asked); !own && rest >= 0 {
		it.wait(r.now().Add(rest+time.Millisecond), "the end of an earlier attempt's post")
		return nil
	}
	if d == nil {
		return r.uncertain(ctx, it, "the directory has left the catalog")
	}
	if d.Lookup == nil {
		return r.uncertain(ctx, it, "the directory has no lookup")
	}
	method, ok := r.Methods[d.Method]
	if !ok {
		return r.uncertain(ctx, it, "this worker has no method to look it up")
	}
	if ok, err := r.turn(ctx, it, d); err != nil || !ok {
		return err
	}
	it.lookedUp = true
	f := method.Lookup(ctx, d, r.business)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.report(ctx, d, f.HostOK, f.RetryAfter)
	switch f.Presence {
	case Found:
		return r.found(ctx, it, f)
	case Absent:
		return r.absent(ctx, it, d, asked)
	default:
		return r.unanswered(ctx, it, f)
	}
}

func (r *run) found(ctx context.Context, it *item, f Finding) error {
	o := directory.Outcome{State: directory.Submitted, Reason: "found by lookup", Evidence: f.Evidence, ListingURL: f.ListingURL}
	return r.prove(ctx, it, o, f.Page)
}

// absent believes the directory only when the post could no longer arrive, had had
// time to show, and could not hide. Then it is as if nothing had been sent.
func (r *run) absent(ctx context.Context, it *item, d *directory.Directory, asked time.Time) error {
	if rest := r.unsettled(it, d, asked); rest > 0 {
		it.wait(r.now().Add(rest), "the settle time after a post in doubt")
		return nil
	}
	if !d.Lookup.AbsenceIsProof {
		return r.uncertain(ctx, it, "the lookup does not show it, which proves nothing there")
	}
	reason := "the directory does not have it: " + it.sub.Reason
	return r.postpone(ctx, it, Result{Outcome: directory.Outcome{Class: directory.ClassInDoubt, Reason: reason}})
}

// unsettled is how long, from the question, a post may still take to show. Of our own
// it is measured on our own clock: the store's may jump meanwhile, and then a listing
// that is about to show would be taken for none. Between two attempts there is no other
// clock than the store's; the stale monitor lets a lease pass when that one jumps.
func (r *run) unsettled(it *item, d *directory.Directory, asked time.Time) time.Duration {
	rest := it.sub.EffectDeadline.Add(settle(d)).Sub(asked)
	if it.over > 0 && it.sub.Fence == r.lease.Fence {
		rest = max(rest, it.over+settle(d)-it.asked)
	}
	return rest
}

// unanswered asks again, each time after twice as long, and leaves the question to a
// person in the end. The time counts from the intent: an order that is snoozed
// between two questions keeps nothing in memory.
func (r *run) unanswered(ctx context.Context, it *item, f Finding) error {
	it.unanswered++
	if !r.now().After(r.probesUntil(it)) {
		age := r.now().Sub(it.sub.IntentAt)
		it.wait(r.now().Add(max(f.RetryAfter, age, r.Backoff.Delay(1))), "the lookup to answer")
		return nil
	}
	// The time may have passed without anybody asking: the process died, and nobody was
	// there to go on. One answer that gets lost is not enough then.
	if it.unanswered < lastProbes && f.RetryAfter <= patience {
		it.wait(r.now().Add(min(r.Backoff.Ceiling(1), patience)), "the lookup to answer")
		return nil
	}
	return r.uncertain(ctx, it, "the lookup gave no answer: "+f.Reason)
}

// lastChance reports whether the host is asked about a post in doubt although its circuit
// breaker is open: the question would go to a person now, and this attempt has not asked
// anybody. A breaker that opened over others' posts says nothing of one question.
func (r *run) lastChance(it *item) bool {
	return it.sub.State == directory.Submitting && !it.lookedUp && r.now().After(r.probesUntil(it))
}

// probesUntil is when the question goes to a person. The first claim after a crash has
// all the time that the dead one had.
func (r *run) probesUntil(it *item) time.Time {
	from := it.sub.EffectDeadline
	if claimed := r.attempt.Job.ClaimedAt; r.lease.Fence == it.sub.Fence+1 && claimed.After(from) {
		from = claimed
	}
	return from.Add(r.probing(it))
}

// probing is how long after the effect's deadline a lookup is asked: its settle
// time and so many backoffs.
func (r *run) probing(it *item) time.Duration {
	limit := defaultSettle
	if d, ok := r.Catalog.BySlug(it.sub.Directory); ok {
		limit = settle(d)
	}
	for n := range probes {
		limit += r.Backoff.Ceiling(n + 1)
	}
	return limit
}

func (r *run) uncertain(ctx context.Context, it *item, why string) error {
	if it.sub.Reason != "" {
		why = it.sub.Reason + "; " + why
	}
	return r.settle(ctx, it, directory.Outcome{State: directory.Uncertain, Class: directory.ClassInDoubt, Reason: why})
}
