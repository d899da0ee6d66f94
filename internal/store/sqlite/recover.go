package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// recoverable is a running job whose owner is retired.
type recoverable struct {
	job.Job
	retired string // why the owner was
}

func scanRecoverable(r row) (o recoverable, err error) {
	err = r.Scan(append([]any{&o.retired}, jobFields(&o.Job)...)...)
	return o, err
}

// Recover implements [job.Recoverer].
func (s *Store) Recover(ctx context.Context, limit int) (job.Recovered, error) {
	if limit <= 0 {
		return job.Recovered{}, fmt.Errorf("recover jobs: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	var done job.Recovered
	err := s.write(ctx, func(t *tx) (err error) {
		done, err = t.recover(limit)
		return err
	})
	if err != nil {
		return job.Recovered{}, fmt.Errorf("recover jobs: %w", err)
	}
	return done, nil
}

func (t *tx) recover(limit int) (done job.Recovered, err error) {
	found, err := all(t, scanRecoverable, q.RecoverableJobs, limit)
	if err != nil {
		return done, err
	}
	for i := range found {
		o := &found[i]
		after, err := t.takeBack(o)
		if err != nil {
			return job.Recovered{}, fmt.Errorf("job %s: %w", o.ID, err)
		}
		done.Jobs = append(done.Jobs, job.RecoveredJob{
			ID: o.ID, Kind: o.Kind, Fence: o.Fence, State: after.State, Crashes: after.Crashes,
			Quarantined: after.Quarantined, Cause: o.retired, WorkerID: o.WorkerID, ValueCents: o.ValueCents,
		})
	}
	return done, nil
}

// takeBack moves one job. An owner that left in order costs it nothing; any other
// end of its owner is a crash.
func (t *tx) takeBack(o *recoverable) (after job.Job, err error) {
	after = o.Job
	if o.retired == job.RetiredStopped {
		after.State = job.Pending
		return after, t.release(&o.Job, eventOf(job.EventJobReleased, &o.Job, job.Pending), o.retired)
	}
	after.Crashes++
	after.Class = job.ClassCrash
	after.Cause = fmt.Sprintf("the worker was lost: %s", o.retired)
	after.Signature = job.Signature(after.Class, after.Cause)
	if after.Crashes >= o.CrashBudget {
		after.State = job.Failed
	} else {
		after.Quarantined = o.Quarantined || after.Crashes >= job.QuarantineAfter
		t.again(&after, t.store.afterCrash(after.Crashes))
	}
	e := eventOf(job.EventJobRecovered, &o.Job, after.State)
	e.Cause = o.retired
	if after.State == job.Failed {
		e.Cause = after.Cause
	}
	if err := t.settle(q.RecoverJobs, &o.Job, &after, e); err != nil {
		return after, err
	}
	if !after.Quarantined || o.Quarantined || after.State == job.Failed {
		return after, nil
	}
	e = eventOf(job.EventJobQuarantined, &o.Job, "")
	e.From, e.Cause, e.Detail = "", o.retired, detail(map[string]int{"crashes": after.Crashes})
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
