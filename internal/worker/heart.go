package worker

import (
	"context"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// heart beats until ctx ends (nil), the store says that the worker is retired
// (job.ErrRetired), or the lease is over on the pool's own clock (errFenced).
func (t *tenure) heart(ctx context.Context) error {
	wait := t.Heartbeat
	for {
		t.rest(ctx, min(wait, max(t.left(), 0)))
		if ctx.Err() != nil {
			return nil
		}
		err := t.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, job.ErrRetired):
			return err
		case err == nil:
			wait = t.Heartbeat
			continue
		}
		left := t.left()
		if unsaid, now := t.beatFails.Say(); now {
			t.Log.WarnContext(ctx, "heartbeat failed, will try again", "worker_id", t.id, "lease_left", left, "error", err.Error(), "unsaid", unsaid)
		}
		if left <= 0 {
			return errFenced
		}
		wait = t.Heartbeat / 5
	}
}

// rest waits until the next beat is due or asked for.
func (t *tenure) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-t.kick:
	case <-timer.C:
	}
}

// beat renews the lease once and cancels the attempts whose leases are gone.
func (t *tenure) beat(ctx context.Context) error {
	held, progressed := t.report()
	ctx, cancel := context.WithTimeoutCause(ctx, min(t.Heartbeat, max(t.left(), time.Millisecond)), errors.New("no answer to the beat in time"))
	defer cancel()
	begun, sent := time.Now(), t.clock()
	pulse, err := t.Store.Beat(ctx, t.id, t.Lease, held)
	t.Metrics.Beat(time.Since(begun), err == nil)
	t.countBeat(sent, err)
	if err != nil {
		for _, a := range progressed {
			a.progressed.Store(true)
		}
		return err
	}
	t.extend(sent)
	for _, l := range pulse.Lost {
		t.lose(l)
	}
	t.giveBack(pulse.Strays, "the answer to the claim was lost")
	t.giveBack(t.unbegunFor(t.Heartbeat), "every slot of the worker is taken")
	return nil
}

// giveBack releases claims that nobody here works on: while this worker lives nobody
// else would take them.
func (t *tenure) giveBack(leases []job.Lease, why string) {
	if len(leases) == 0 {
		return
	}
	t.errands.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		defer cancel()
		if _, err := t.Store.Release(ctx, why, leases...); err != nil {
			return // a later beat tells of them as strays
		}
		t.Log.Warn("jobs given back", "worker_id", t.id, "count", len(leases), "job_id", leases[0].JobID, "cause", why)
	})
}

// unbegunFor takes out what waited for a slot so long: it was claimed ahead for a
// moment, and the handlers before it hang.
func (t *tenure) unbegunFor(d time.Duration) (leases []job.Lease) {
	var taken []*attempt
	for _, a := range t.holding() {
		if time.Since(a.claimed) > d && a.ctx.Err() == nil && a.phase.CompareAndSwap(waiting, unwanted) {
			taken, leases = append(taken, a), append(leases, a.job.Lease())
		}
	}
	t.drop(taken...)
	return leases
}

// report lists what the beat tells the store, and the attempts whose progress it takes along.
func (t *tenure) report() (held []job.Held, progressed []*attempt) {
	for _, a := range t.holding() {
		p := a.progressed.Swap(false)
		held = append(held, job.Held{Lease: a.job.Lease(), Progressed: p})
		if p {
			progressed = append(progressed, a)
		}
	}
	return held, progressed
}

// lose cancels an attempt whose lease the store no longer knows. An attempt that
// is ending at this moment may be among them; there is nothing left to cancel.
func (t *tenure) lose(l job.Lost) {
	t.mu.Lock()
	a := t.held[l.JobID]
	t.mu.Unlock()
	if a == nil || a.job.Fence != l.Fence {
		return
	}
	cause := job.ErrLeaseLost
	if l.State == job.Cancelled {
		cause = errCancelled
	}
	t.stop(a, cause)
}
