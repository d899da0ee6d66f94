package worker

import (
	"context"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
)

// prefetchSpan is how much work, in time, may wait claimed in this process.
const prefetchSpan = 50 * time.Millisecond

const (
	// quarantineLook is how often a busy pool asks whether a quarantined job waits.
	quarantineLook = 30 * time.Second
	// quarantineWait bounds how long slots stay empty for it: a job that hangs in
	// another slot must not stop the pool.
	quarantineWait = time.Minute
)

// claimTimeout bounds one claim. It is not cut short by a drain: a claim whose
// answer is lost would leave its jobs to recovery.
const claimTimeout = 10 * time.Second

// fetch claims jobs for the slots until ctx ends or the lease is gone.
func (t *tenure) fetch(ctx context.Context) {
	wake := t.Store.Wake(ctx)
	poll := time.NewTicker(t.Poll)
	defer poll.Stop()
	var pace pace
	failures, looked := 0, time.Now()
	for ctx.Err() == nil {
		if time.Since(looked) > quarantineLook {
			looked = time.Now()
			t.emptyForQuarantined(ctx)
		}
		target := t.Concurrency + min(pace.ahead(t.finished.Load()), max(t.Prefetch, 0))
		room := target - int(t.unbegun.Load())
		if room < 1 || room < (target-t.Concurrency)/2 {
			t.await(ctx, t.freed, nil, nil)
			continue
		}
		if t.left() < t.Lease/2 {
			t.await(ctx, nil, nil, poll.C)
			continue
		}
		n, err := t.claim(ctx, job.ClaimRequest{Worker: t.id, Limit: room, Kinds: t.kinds})
		switch {
		case err != nil:
			failures++
			if unsaid, now := t.claimFails.Say(); now {
				t.Log.WarnContext(ctx, "claim failed, will try again", "worker_id", t.id, "error", err.Error(), "unsaid", unsaid)
			}
			sleep(ctx, backoff.Policy{Base: 100 * time.Millisecond, Cap: 5 * time.Second}.Ceiling(failures))
		case n == 0:
			failures = 0
			if t.unbegun.Load() == 0 && t.claimQuarantined(ctx) {
				continue
			}
			t.await(ctx, nil, wake, poll.C)
		default:
			failures = 0
		}
	}
}

// await returns when one of the channels has something, the lease is gone, or ctx ends.
func (t *tenure) await(ctx context.Context, freed, wake <-chan struct{}, poll <-chan time.Time) {
	select {
	case <-freed:
	case <-wake:
	case <-t.Hints:
	case <-poll:
	case <-t.over:
	case <-ctx.Done():
	}
}

// claim takes jobs and hands them to the slots.
func (t *tenure) claim(ctx context.Context, r job.ClaimRequest) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	begun := time.Now()
	jobs, err := t.Store.Claim(ctx, r)
	t.traceClaim(ctx, begun, len(jobs), err)
	if err != nil {
		if errors.Is(err, job.ErrRetired) {
			t.beatNow() // the heart ends the tenure
		}
		return 0, err // jobs of an answer that was lost are told by a later beat
	}
	took := time.Since(begun)
	kinds := make(map[string]int, 1)
	for i := range jobs {
		kinds[jobs[i].Kind]++
		t.todo <- t.hold(jobs[i])
	}
	for kind, n := range kinds {
		t.Metrics.JobsClaimed(kind, n, took)
	}
	return len(jobs), nil
}

func (t *tenure) beatNow() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// emptyForQuarantined lets the slots run empty when a quarantined job waits, so
// that a pool which is always busy runs one now and then.
func (t *tenure) emptyForQuarantined(ctx context.Context) {
	looking, stop := context.WithTimeout(ctx, writeTimeout)
	waits, err := t.Store.HasQuarantined(looking, t.kinds)
	stop()
	if err != nil || !waits {
		return // no answer: the next look is soon enough
	}
	patient, cancel := context.WithTimeout(ctx, quarantineWait)
	defer cancel()
	if t.untilEmpty(patient) {
		t.claimQuarantined(ctx)
	}
}

// untilEmpty waits until no claimed job is left to run; false when ctx ended first.
func (t *tenure) untilEmpty(ctx context.Context) bool {
	for t.unbegun.Load() > 0 && ctx.Err() == nil {
		t.await(ctx, t.freed, nil, nil)
	}
	return t.unbegun.Load() == 0
}

// claimQuarantined runs one quarantined job alone: nothing else runs now, and
// nothing else is claimed until it has ended.
func (t *tenure) claimQuarantined(ctx context.Context) bool {
	n, err := t.claim(ctx, job.ClaimRequest{Worker: t.id, Limit: 1, Kinds: t.kinds, Quarantined: true})
	if err != nil || n == 0 {
		return false
	}
	t.untilEmpty(ctx)
	return true
}

// pace estimates how many jobs the pool finishes in prefetchSpan.
type pace struct {
	at   time.Time
	seen int64
	rate float64 // a second, smoothed
}

// ahead takes the count of finished jobs and says how many may wait claimed.
// What is longer ago than the span says nothing about now.
func (p *pace) ahead(finished int64) int {
	now := time.Now()
	if elapsed := now.Sub(p.at); elapsed >= 2*time.Millisecond {
		rate := float64(finished-p.seen) / elapsed.Seconds()
		if elapsed < prefetchSpan {
			rate = (p.rate + rate) / 2
		}
		p.rate, p.at, p.seen = rate, now, finished
	}
	return int(p.rate * prefetchSpan.Seconds())
}
