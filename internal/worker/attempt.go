package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
)

// runSlots runs attempts in all slots until there are no more. In a drain, what
// has not begun stays held and is released at the end.
func (t *tenure) runSlots() {
	t.slots.Add(t.Concurrency)
	for range t.Concurrency {
		go t.slot()
	}
	t.slots.Wait()
}

// slot runs one attempt after another, until there are no more or it is lost to a
// handler: then another has taken its place, and it ends when the handler does.
func (t *tenure) slot() {
	for a := range t.todo {
		if !t.stopping() && a.phase.CompareAndSwap(waiting, running) && !t.run(a) {
			t.foundAgain(a)
			return
		}
		t.leaveSlot()
	}
	t.slots.Done()
}

func (t *tenure) stopping() bool {
	select {
	case <-t.drain:
		return true
	case <-t.over:
		return true
	default:
		return false
	}
}

// leaveSlot counts an attempt that is through its handler and tells the fetcher.
func (t *tenure) leaveSlot() {
	t.finished.Add(1)
	t.unbegun.Add(-1)
	select {
	case t.freed <- struct{}{}:
	default:
	}
}

// run performs one attempt and records how it ended. What was cancelled while it
// waited does not begin. false: the slot was lost meanwhile.
func (t *tenure) run(a *attempt) (kept bool) {
	defer a.cancel(nil)
	a.begun = time.Now()
	err := context.Cause(a.ctx)
	if err == nil {
		ctx, span := t.traceAttempt(a)
		err = call(ctx, t.Handlers[a.job.Kind], job.Attempt{
			Job:      a.job,
			Left:     t.left,
			Progress: func() { a.progressed.Store(true) },
			Drain:    t.drain,
		})
		span.End(fault(err))
	}
	kept = a.phase.CompareAndSwap(running, returned)
	t.conclude(a, err, context.Cause(a.ctx))
	return kept
}

// call is the one place where a handler's panic becomes an error.
func call(ctx context.Context, h job.Handler, a job.Attempt) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{value: r, stack: debug.Stack()}
		}
	}()
	return h.Handle(ctx, a)
}

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// conclude chooses the arrow that ends the attempt. cause is why the attempt's
// context ended, nil if it did not. A success is offered to the store even when
// the pool has fenced itself: the store's fence decides. Any other end after that
// is left to the tenure's end, which releases the job.
func (t *tenure) conclude(a *attempt, err, cause error) {
	fenced, late := errors.Is(cause, errFenced), errors.Is(cause, errGraceOver)
	snooze := (*job.SnoozeError)(nil)
	switch {
	case cause != nil && !fenced && !late:
		t.Metrics.LeaseLost(a.job.Kind)
		t.Log.Info("attempt ended without its lease", "job_id", a.job.ID, "fence", a.job.Fence, "cause", cause.Error())
		t.drop(a)
	case err == nil:
		select {
		case t.ended <- a:
		case <-t.closed:
		}
	case fenced:
	case errors.As(err, &snooze):
		t.end(a, "", func(ctx context.Context, l job.Lease) (string, error) {
			return "snooze", t.Store.Snooze(ctx, l, snooze.Delay, snooze.Reason)
		})
	case job.IsCancel(err):
		t.end(a, "", func(ctx context.Context, l job.Lease) (string, error) {
			return "cancel", t.Store.CancelRunning(ctx, l, err.Error())
		})
	case job.IsPermanent(err), errors.As(err, new(*panicError)):
		t.fail(a, err)
	case late, errors.Is(err, job.ErrDrained): // after the grace an error says only that it is over
		t.end(a, "", func(ctx context.Context, l job.Lease) (string, error) {
			_, err := t.Store.Release(ctx, "drain", l)
			return "release", err
		})
	default:
		t.fail(a, err)
	}
}

// fail records an ordinary or permanent failure.
func (t *tenure) fail(a *attempt, err error) {
	f := job.Failure{Cause: err.Error(), Class: job.ClassTransient, Delay: t.Backoff.Delay(a.job.Failures + 1)}
	var p *panicError
	switch {
	case errors.As(err, &p):
		f.Class = job.ClassPanic
		t.Log.Error("handler panicked", "job_id", a.job.ID, "kind", a.job.Kind, "panic", p.Error(), "stack", string(p.stack))
	case job.IsPermanent(err):
		f.Class, f.Permanent = job.ClassPermanent, true
	}
	t.end(a, f.Class, func(ctx context.Context, l job.Lease) (string, error) {
		state, err := t.Store.Fail(ctx, l, f)
		if err != nil {
			return "fail", err
		}
		t.Log.Warn("attempt failed", "job_id", l.JobID, "kind", a.job.Kind, "attempt", a.job.Attempt, "state", string(state), "class", f.Class, "error", f.Cause)
		if state == job.Pending {
			return "retry", nil
		}
		t.tally.Count(job.FactFailed, a.job.Kind, 1)
		return "fail", nil
	})
}

// end records an arrow, again and again while the store is away and the lease
// holds. When the lease is over the end is not ours to record. write names the
// verb, for the metrics.
func (t *tenure) end(a *attempt, class string, write func(context.Context, job.Lease) (verb string, err error)) {
	for n := 1; ; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		verb, err := write(ctx, a.job.Lease())
		cancel()
		switch {
		case err == nil:
			t.Metrics.JobEnded(a.job.Kind, verb, class, time.Since(a.begun))
			t.drop(a)
			return
		case errors.Is(err, job.ErrLeaseLost):
			t.Metrics.LeaseLost(a.job.Kind)
			t.drop(a)
			return
		case !t.again(n):
			t.Log.Warn("end of attempt not recorded, recovery will take the job", "job_id", a.job.ID, "verb", verb, "error", err.Error())
			return
		}
	}
}

// again waits before the n-th repetition of a write; false means that the tenure
// is over. Its own clock does not decide that here: a beat may still renew the
// lease in the last moment, and then nobody else would record what was given up.
func (t *tenure) again(n int) bool {
	timer := time.NewTimer(backoff.Policy{Base: 50 * time.Millisecond, Cap: time.Second}.Ceiling(n))
	defer timer.Stop()
	select {
	case <-t.over:
		return false
	case <-t.gone:
		return false
	case <-timer.C:
		return true
	}
}
