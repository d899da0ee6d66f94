package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// recoverable is a running job that may be taken from its owner.
type recoverable struct {
	job.Job
	cause string // of the owner's retirement, or job.NoProgress
}

func scanRecoverable(r row) (o recoverable, err error) {
	err = r.Scan(append([]any{&o.cause}, jobFields(&o.Job)...)...)
	return o, err
}

// Recover implements [job.Recoverer].
func (s *Store) Recover(ctx context.Context, limit int) (job.Recovered, error) {
	if limit <= 0 {
		return job.Recovered{}, fmt.Errorf("recover jobs: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	var done job.Recovered
	err := s.write(ctx, func(t *tx) (err error) {
		done, err = t.recover(taking{limit: limit})
		return err
	})
	if err != nil {
		return job.Recovered{}, fmt.Errorf("recover jobs: %w", err)
	}
	return done, nil
}

// RecoverStalled implements [job.Recoverer].
func (s *Store) RecoverStalled(ctx context.Context, threshold time.Duration, limit int) (job.Recovered, error) {
	if err := checkStalled(threshold, limit); err != nil {
		return job.Recovered{}, fmt.Errorf("recover stalled jobs: %w", err)
	}
	var done job.Recovered
	err := s.write(ctx, func(t *tx) (err error) {
		done, err = t.recoverStalled(threshold, taking{limit: limit})
		return err
	})
	if err != nil {
		return job.Recovered{}, fmt.Errorf("recover stalled jobs: %w", err)
	}
	return done, nil
}

func checkStalled(threshold time.Duration, limit int) error {
	switch {
	case threshold <= 0:
		return &job.InvalidError{Field: "threshold", Reason: "must be positive"}
	case limit <= 0:
		return &job.InvalidError{Field: "limit", Reason: "must be positive"}
	}
	return nil
}

// RecoverJob implements [job.Recoverer].
func (s *Store) RecoverJob(ctx context.Context, id job.ID, threshold time.Duration, by job.By) (job.RecoveredJob, error) {
	var done job.Recovered
	err := checkStalled(threshold, 1)
	if err == nil {
		err = s.write(ctx, func(t *tx) (err error) {
			done, err = t.recoverOne(id, threshold, by)
			return err
		})
	}
	if err != nil {
		return job.RecoveredJob{}, fmt.Errorf("recover job %s: %w", id, err)
	}
	return done.Jobs[0], nil
}

func (t *tx) recoverOne(id job.ID, threshold time.Duration, by job.By) (done job.Recovered, err error) {
	alone := taking{limit: 1, only: id, by: by}
	if done, err = t.recover(alone); err != nil || len(done.Jobs) > 0 {
		return done, err
	}
	if done, err = t.recoverStalled(threshold, alone); err != nil || len(done.Jobs) > 0 {
		return done, err
	}
	j, err := one(t, scanJob, q.GetJob, id.String())
	if err != nil {
		return done, err
	}
	return done, fmt.Errorf("%w: it is %s and not stale", job.ErrState, j.State)
}

// taking says what a recovery takes, and for whom.
type taking struct {
	limit int
	only  job.ID // zero: any
	by    job.By // zero: the system
}

func (t *tx) recover(what taking) (done job.Recovered, err error) {
	found, err := all(t, scanRecoverable, q.RecoverableJobs, what.limit, idOrNull(what.only))
	if err != nil {
		return done, err
	}
	return t.takeAll(found, func(o *recoverable) (job.Job, error) { return t.takeBack(o, what.by) })
}

func (t *tx) recoverStalled(threshold time.Duration, what taking) (done job.Recovered, err error) {
	found, err := all(t, func(r row) (o recoverable, err error) {
		o.Job, err = scanJob(r)
		o.cause = job.NoProgress
		return o, err
	}, q.StalledJobs, what.limit, idOrNull(what.only), t.now-threshold.Microseconds(), t.now)
	if err != nil {
		return done, err
	}
	return t.takeAll(found, func(o *recoverable) (job.Job, error) {
		return t.crashed(q.RecoverStalledJobs, o, what.by, "the handler made no progress", o.ProgressAt.UnixMicro())
	})
}

// takeAll moves each of the jobs that were found.
func (t *tx) takeAll(found []recoverable, take func(*recoverable) (after job.Job, err error)) (done job.Recovered, err error) {
	for i := range found {
		o := &found[i]
		after, err := take(o)
		if err != nil {
			return job.Recovered{}, fmt.Errorf("job %s: %w", o.ID, err)
		}
		done.Jobs = append(done.Jobs, job.RecoveredJob{
			ID: o.ID, Kind: o.Kind, Fence: o.Fence, State: after.State, Crashes: after.Crashes,
			Quarantined: after.Quarantined, Cause: o.cause, WorkerID: o.WorkerID, ValueCents: o.ValueCents,
		})
	}
	return done, nil
}

// takeBack moves one job of a retired owner. One that left in order costs the job
// nothing; any other end of its owner is a crash.
func (t *tx) takeBack(o *recoverable, by job.By) (after job.Job, err error) {
	if o.cause == job.RetiredStopped {
		after = o.Job
		after.State = job.Pending
		e := eventOf(job.EventJobReleased, &o.Job, job.Pending)
		e.Actor = by.Actor
		return after, t.release(&o.Job, e, o.cause)
	}
	return t.crashed(q.RecoverJobs, o, by, "the worker was lost: "+o.cause)
}

// crashed moves one job by a statement whose arguments are those of settle and guard.
func (t *tx) crashed(text string, o *recoverable, by job.By, why string, guard ...any) (after job.Job, err error) {
	after = o.Job
	after.Crashes++
	after.Class = job.ClassCrash
	after.Cause = why
	after.Signature = job.Signature(after.Class, after.Cause)
	if after.Crashes >= o.CrashBudget {
		after.State = job.Failed
	} else {
		after.Quarantined = o.Quarantined || after.Crashes >= job.QuarantineAfter
		t.again(&after, t.store.afterCrash(after.Crashes))
	}
	e := eventOf(job.EventJobRecovered, &o.Job, after.State)
	e.Actor, e.Cause = by.Actor, o.cause
	if after.State == job.Failed {
		e.Cause = after.Cause
	}
	d := attemptOf(&o.Job)
	d.Reason = clean(by.Reason)
	if o.cause == job.NoProgress {
		d.ProgressAt = o.ProgressAt
	}
	if err := t.settle(text, &o.Job, &after, e, d, guard...); err != nil {
		return after, err
	}
	if !after.Quarantined || o.Quarantined || after.State == job.Failed {
		return after, nil
	}
	e = eventOf(job.EventJobQuarantined, &o.Job, "")
	e.Actor, e.From, e.Cause, e.Detail = by.Actor, "", o.cause, detail(map[string]int{"crashes": after.Crashes})
	return after, t.record(e)
}

// afterCrash is the delay after so many crashes. The first is most likely not the
// job's fault, so it costs no time.
func (s *Store) afterCrash(crashes int) time.Duration {
	if crashes <= 1 {
		return 0
	}
	return s.waits.Delay(crashes - 1)
}
