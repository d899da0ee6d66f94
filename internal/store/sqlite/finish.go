package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Complete implements [job.Finisher].
func (s *Store) Complete(ctx context.Context, leases ...job.Lease) (lost []job.Lease, err error) {
	if len(leases) == 0 {
		return nil, nil
	}
	err = s.write(ctx, func(t *tx) (err error) {
		lost, err = t.complete(leases)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("complete jobs: %w", err)
	}
	return lost, nil
}

func (t *tx) complete(leases []job.Lease) ([]job.Lease, error) {
	ended, err := all(t, scanEnded, q.CompleteJobs, t.now, pairs(leases))
	if err != nil {
		return nil, err
	}
	held := make(map[claimKey]bool, len(ended))
	var events []job.Event
	for i := range ended {
		j := &ended[i]
		held[claimKey{j.ID, j.Fence}] = true
		if told(j.Kind) {
			e := byOwner(eventOf(job.EventJobCompleted, j, job.Completed))
			e.Detail = detail(attemptOf(j))
			events = append(events, e)
		}
	}
	if err := t.record(events...); err != nil {
		return nil, err
	}
	var lost []job.Lease
	for _, l := range leases {
		if !held[claimKey{l.JobID, l.Fence}] {
			lost = append(lost, l)
		}
	}
	return lost, t.refuse("complete", lost...)
}

// claimKey is what makes a lease the latest of its job.
type claimKey struct {
	id    job.ID
	fence int64
}

// pairs are leases as a JSON list of [id, fence].
func pairs(leases []job.Lease) string {
	l := make([][2]any, len(leases))
	for i := range leases {
		l[i] = [2]any{leases[i].JobID, leases[i].Fence}
	}
	return list(l)
}

// scanEnded reads what CompleteJobs returns, with the state the job came from.
func scanEnded(r row) (j job.Job, err error) {
	j.State = job.InProgress
	err = r.Scan(&j.ID, &j.Fence, &j.Kind, &j.CustomerID, &j.WorkerID, &j.Attempt, moment{&j.ClaimedAt})
	return j, err
}

// refuse records writes whose lease is lost.
func (t *tx) refuse(verb string, lost ...job.Lease) error {
	events := make([]job.Event, len(lost))
	for i, l := range lost {
		events[i] = job.Event{
			Type: job.EventWriteFenced, JobID: l.JobID, WorkerID: l.WorkerID, Fence: l.Fence,
			Actor: job.ActorWorker(l.WorkerID), Detail: detail(map[string]string{"verb": verb}),
		}
		t.fenced = append(t.fenced, verb)
	}
	return t.record(events...)
}

// leased returns the running job under the lease. When the lease is lost that is
// recorded, and the error, which the caller returns as it is, is ErrLeaseLost.
func (t *tx) leased(verb string, l job.Lease) (job.Job, error) {
	found, err := all(t, scanJob, q.RunningJob, l.JobID.String(), l.Fence)
	if err != nil {
		return job.Job{}, err
	}
	if len(found) == 0 {
		if err := t.refuse(verb, l); err != nil {
			return job.Job{}, err
		}
		return job.Job{}, refused{job.ErrLeaseLost}
	}
	return found[0], nil
}

// end performs act on the job that l holds.
func (s *Store) end(ctx context.Context, verb string, l job.Lease, act func(*tx, job.Job) error) error {
	err := s.write(ctx, func(t *tx) error {
		j, err := t.leased(verb, l)
		if err != nil {
			return err
		}
		return act(t, j)
	})
	if err != nil {
		return fmt.Errorf("%s job %s: %w", verb, l.JobID, err)
	}
	return nil
}

// must checks that a guarded write changed its row. It always does: the guard held
// when the transaction read the row, and nobody else writes meanwhile.
func (t *tx) must(text string, args ...any) error {
	n, err := t.exec(text, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("%d rows changed where one was expected", n)
	}
	return err
}

// Fail implements [job.Finisher].
func (s *Store) Fail(ctx context.Context, l job.Lease, f job.Failure) (job.State, error) {
	f.Cause = clean(f.Cause)
	f.Class = cmp.Or(clean(f.Class), job.ClassTransient)
	f.Signature = cmp.Or(job.TidySignature(f.Signature), job.Signature(f.Class, f.Cause))
	state := job.Pending
	err := s.end(ctx, "fail", l, func(t *tx, j job.Job) (err error) {
		state, err = t.fail(j, f)
		return err
	})
	if err != nil {
		return "", err
	}
	return state, nil
}

func (t *tx) fail(j job.Job, f job.Failure) (job.State, error) {
	after := j
	after.Cause, after.Class, after.Signature = f.Cause, f.Class, f.Signature
	after.Failures++
	if f.Permanent || after.Failures >= j.MaxAttempts {
		after.State = job.Failed
	} else {
		t.again(&after, f.Delay)
	}
	e := byOwner(eventOf(job.EventJobRetried, &j, after.State))
	e.Cause = f.Cause
	return after.State, t.settle(&j, &after, e)
}

// again makes a job due after a delay, with nothing left of its attempt.
func (t *tx) again(j *job.Job, delay time.Duration) {
	j.State = job.Pending
	j.DueAt = fromMicros(t.now + max(delay, 0).Microseconds())
	j.ClaimedAt, j.ProgressAt = time.Time{}, time.Time{}
}

// settle writes the end of an attempt that failed: the row, the event e (or that of a
// dead letter), and the alert or hint that goes with it.
func (t *tx) settle(before, after *job.Job, e job.Event) error {
	d := attemptOf(before)
	d.Class, d.Signature = after.Class, after.Signature
	var finished any
	if after.State == job.Failed {
		e.Type, finished = job.EventJobFailed, t.now
	}
	e.Detail = detail(d)
	err := t.must(q.FailJob, before.ID.String(), before.Fence, string(after.State), after.DueAt.UnixMicro(), finished,
		microsOrNull(after.ClaimedAt), microsOrNull(after.ProgressAt), after.Quarantined,
		after.Cause, after.Class, after.Signature)
	if err != nil {
		return err
	}
	if err := t.record(e); err != nil {
		return err
	}
	if after.State == job.Failed {
		return t.bury(after)
	}
	t.wakes = true
	return t.hint(hint{after.ID, after.DueAt.UnixMicro()})
}

// Release implements [job.Finisher].
func (s *Store) Release(ctx context.Context, cause string, leases ...job.Lease) (lost []job.Lease, err error) {
	if len(leases) == 0 {
		return nil, nil
	}
	err = s.write(ctx, func(t *tx) error {
		lost = nil
		for _, l := range leases {
			j, err := t.leased("release", l)
			if isRefused(err) {
				lost = append(lost, l)
				continue
			}
			if err != nil {
				return err
			}
			if err := t.release(&j, byOwner(eventOf(job.EventJobReleased, &j, job.Pending)), cause); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("release jobs: %w", err)
	}
	return lost, nil
}

// release gives the job back in its old place, as if it had never been claimed.
func (t *tx) release(j *job.Job, e job.Event, cause string) error {
	if err := t.must(q.ReleaseJobs, j.ID.String(), j.Fence); err != nil {
		return err
	}
	e.Cause = cause
	e.Detail = detail(attemptOf(j))
	if err := t.record(e); err != nil {
		return err
	}
	t.wakes = true
	return t.hint(hint{j.ID, j.DueAt.UnixMicro()})
}

// Snooze implements [job.Finisher].
func (s *Store) Snooze(ctx context.Context, l job.Lease, delay time.Duration, cause string) error {
	return s.end(ctx, "snooze", l, func(t *tx, j job.Job) error {
		due := t.now + max(delay, 0).Microseconds()
		if err := t.must(q.SnoozeJob, j.ID.String(), j.Fence, due); err != nil {
			return err
		}
		e := byOwner(eventOf(job.EventJobSnoozed, &j, job.Pending))
		e.Cause = cause
		d := attemptOf(&j)
		d.Until = fromMicros(due)
		e.Detail = detail(d)
		if err := t.record(e); err != nil {
			return err
		}
		t.wakes = t.wakes || delay <= 0
		return t.hint(hint{j.ID, due})
	})
}

// CancelRunning implements [job.Finisher].
func (s *Store) CancelRunning(ctx context.Context, l job.Lease, cause string) error {
	return s.end(ctx, "cancel", l, func(t *tx, j job.Job) error {
		if err := t.must(q.CancelRunningJob, j.ID.String(), j.Fence, t.now, clean(cause)); err != nil {
			return err
		}
		e := byOwner(eventOf(job.EventJobCancelled, &j, job.Cancelled))
		e.Cause = cause
		e.Detail = detail(attemptOf(&j))
		return t.record(e)
	})
}

// Progress implements [job.Finisher].
func (s *Store) Progress(ctx context.Context, l job.Lease) error {
	return s.end(ctx, "progress", l, func(t *tx, j job.Job) error {
		n, err := t.exec(q.ProgressJob, j.ID.String(), j.Fence, t.now, l.WorkerID.String())
		if err != nil || n > 0 {
			return err
		}
		if err := t.refuse("progress", l); err != nil { // another worker's
			return err
		}
		return refused{job.ErrLeaseLost}
	})
}
