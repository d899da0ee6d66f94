package storetest

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var wakePromises = []promise{
	{name: "WhateverMakesWorkClaimableWakesHereAndElsewhere", holds: workWakes},
}

// quiet is how long a subscription must have been silent for the next wake-up to
// count as the answer to the next act.
const quiet = 150 * time.Millisecond

func workWakes(b *bed) {
	ctx, end := context.WithCancel(b.ctx)
	defer end()
	handles := map[string]<-chan struct{}{"this": b.Store.Wake(ctx), "the other": b.second().Wake(ctx)}
	w := b.worker()
	running := func() job.Lease {
		b.Helper()
		b.noops(1)
		return leaseOf(b.claimOne(w))
	}
	for _, c := range []struct {
		what string
		// ready brings about what the act needs; the act is what must wake.
		ready func() func() error
	}{
		{"enqueue", func() func() error {
			return func() error { return errorOf(b.Store.Enqueue(b.ctx, job.Spec{Kind: job.KindNoop})) }
		}},
		{"release", func() func() error {
			l := running()
			return func() error { return batchError(b.Store.Release(b.ctx, "drain", l)) }
		}},
		{"snooze without delay", func() func() error {
			l := running()
			return func() error { return b.Store.Snooze(b.ctx, l, 0, "cap") }
		}},
		{"fail without delay", func() func() error {
			l := running()
			return func() error {
				return errorOf(b.Store.Fail(b.ctx, l, job.Failure{Cause: "no", Class: job.ClassTransient}))
			}
		}},
		{"recover", func() func() error {
			b.noops(1)
			l := leaseOf(b.claimOne(b.worker()))
			b.must(b.Store.Retire(b.ctx, l.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
			return func() error { return errorOf(b.Store.Recover(b.ctx, 10)) }
		}},
		{"redrive", func() func() error {
			l := running()
			b.fail(l, job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
			return func() error { return b.Store.Redrive(b.ctx, l.JobID, staff) }
		}},
		{"resume", func() func() error {
			b.noops(1)
			b.must(b.Store.Pause(b.ctx, job.Scope{Kind: job.KindNoop}, staff))
			return func() error { return b.Store.Resume(b.ctx, job.Scope{Kind: job.KindNoop}, staff) }
		}},
	} {
		for where, woken := range handles {
			// One wake-up may be lost by contract, so the act is repeated to an end.
			b.eventually(c.what+" wakes "+where+" handle", func() bool {
				act := c.ready()
				for wokenWithin(woken, quiet) {
				}
				b.must(act())
				return wokenWithin(woken, time.Second)
			})
			for _, j := range b.claim(w, 1000) {
				b.complete(j.Lease())
			}
		}
	}
}

func wokenWithin(woken <-chan struct{}, d time.Duration) bool {
	select {
	case _, ok := <-woken:
		return ok
	case <-time.After(d):
		return false
	}
}
