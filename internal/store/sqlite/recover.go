package sqlite

import (
	"context"
	"fmt"
	"maps"
	"slices"
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

// recoverMost is how many jobs one recovery transaction moves at most, whatever it is
// asked for: there is one writer, and a claim behind it waits for the whole of it.
const recoverMost = 500

// Recover implements [job.Recoverer].
func (s *Store) Recover(ctx context.Context, limit int) (job.Recovered, error) {
	if limit <= 0 {
		return job.Recovered{}, fmt.Errorf("recover jobs: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	var done job.Recovered
	err := s.write(ctx, func(t *tx) (err error) {
		done, err = t.recover(taking{limit: min(limit, recoverMost)})
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
		done, err = t.recoverStalled(threshold, taking{limit: min(limit, recoverMost)})
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
	done, err = t.recover(alone)
	if err == nil && len(done.Jobs) == 0 {
		done, err = t.recoverStalled(threshold, alone)
	}
	if err != nil {
		return done, err
	}
	j, err := one(t, scanJob, q.GetJob, id.String())
	if err != nil {
		return done, err
	}
	if len(done.Jobs) > 0 {
		entry := job.JournalEntry{By: by, Act: job.ActRecover}
		entered(&entry, j.ID, j.ValueCents, j.Canary)
		return done, t.journal(entry)
	}
	return done, fmt.Errorf("%w: it is %s and not stale", job.ErrState, j.State)
}

// taking says what a recovery takes, and for whom.
type taking struct {
	limit int
	only  job.ID // zero: any
	by    job.By // zero: the system
}

// recover moves jobs of retired owners, all those of one cause together. Owners that
// left in order cost their jobs nothing; any other end of an owner is a crash.
func (t *tx) recover(what taking) (done job.Recovered, err error) {
	found, err := all(t, scanRecoverable, q.RecoverableJobs, what.limit, idOrNull(what.only))
	if err != nil {
		return done, err
	}
	byCause := map[string][]recoverable{}
	for _, o := range found {
		byCause[o.cause] = append(byCause[o.cause], o)
	}
	for _, cause := range slices.Sorted(maps.Keys(byCause)) {
		move := t.crashed
		if cause == job.RetiredStopped {
			move = t.released
		}
		moved, err := move(crash{text: q.RecoverJobs, found: byCause[cause], by: what.by, why: "the worker was lost: " + cause})
		if err != nil {
			return job.Recovered{}, err
		}
		done.Jobs = append(done.Jobs, moved...)
	}
	return done, nil
}

func (t *tx) recoverStalled(threshold time.Duration, what taking) (done job.Recovered, err error) {
	found, err := all(t, func(r row) (o recoverable, err error) {
		o.Job, err = scanJob(r)
		o.cause = job.NoProgress
		return o, err
	}, q.StalledJobs, what.limit, idOrNull(what.only), t.now-threshold.Microseconds(), t.now)
	if err != nil || len(found) == 0 {
		return done, err
	}
	done.Jobs, err = t.crashed(crash{text: q.RecoverStalledJobs, found: found, by: what.by, why: "the handler made no progress"})
	return done, err
}

// crash is one cause that takes jobs from their owners.
type crash struct {
	text  string // RecoverJobs or RecoverStalledJobs
	found []recoverable
	by    job.By
	why   string // for the row
}

// released gives back the jobs of owners that left in order.
func (t *tx) released(c crash) (moved []job.RecoveredJob, err error) {
	for i := range c.found {
		o := &c.found[i]
		e := eventOf(job.EventJobReleased, &o.Job, job.Pending)
		e.Actor = c.by.Actor
		if err := t.release(&o.Job, e, o.cause); err != nil {
			return nil, fmt.Errorf("job %s: %w", o.ID, err)
		}
		after := o.Job
		after.State = job.Pending
		moved = append(moved, o.moved(&after))
	}
	return moved, nil
}

// crashed counts a crash of each job: one statement for the rows of a state, and a few
// for the events. One job at a time, a hundred thousand would take twice as long.
func (t *tx) crashed(c crash) (moved []job.RecoveredJob, err error) {
	signature := job.Signature(job.ClassCrash, c.why)
	rows := map[job.State][][]any{}
	var events []job.Event
	var hints []hint
	for i := range c.found {
		o := &c.found[i]
		after := t.afterCrash(o)
		after.Cause, after.Class, after.Signature = c.why, job.ClassCrash, signature
		rows[after.State] = append(rows[after.State], []any{o.ID, o.Fence, after.DueAt.UnixMicro(), after.Quarantined, microsOrNull(o.ProgressAt)})
		events = append(events, c.events(o, &after)...)
		moved = append(moved, o.moved(&after))
		if after.State == job.Pending {
			t.wakes = true
			hints = append(hints, hint{after.ID, after.DueAt.UnixMicro()})
			continue
		}
		if err := t.bury(&after); err != nil {
			return nil, err
		}
	}
	for state, rows := range rows {
		n, err := t.exec(c.text, t.now, list(rows), c.why, job.ClassCrash, signature, state)
		if err != nil {
			return nil, err
		}
		if int(n) != len(rows) { // never, as in must
			return nil, fmt.Errorf("%d rows changed where %d were expected", n, len(rows))
		}
	}
	if err := t.record(events...); err != nil {
		return nil, err
	}
	return moved, t.hint(hints...)
}

// afterCrash is the job as it is after one crash more.
func (t *tx) afterCrash(o *recoverable) job.Job {
	after := o.Job
	after.Crashes++
	if after.Crashes >= o.CrashBudget {
		after.State = job.Failed
		return after
	}
	after.Quarantined = o.Quarantined || after.Crashes >= job.QuarantineAfter
	t.again(&after, t.store.afterCrash(after.Crashes))
	return after
}

// events tell of one job that crashed: what became of it, and its quarantine when
// it begins with this crash.
func (c crash) events(o *recoverable, after *job.Job) []job.Event {
	e := eventOf(job.EventJobRecovered, &o.Job, after.State)
	e.Actor, e.Cause = c.by.Actor, o.cause
	if after.State == job.Failed {
		e.Type, e.Cause = job.EventJobFailed, after.Cause
	}
	d := attemptOf(&o.Job)
	d.Class, d.Signature, d.Reason = after.Class, after.Signature, clean(c.by.Reason)
	if o.cause == job.NoProgress {
		d.ProgressAt = o.ProgressAt
	}
	e.Detail = detail(d)
	if !after.Quarantined || o.Quarantined || after.State == job.Failed {
		return []job.Event{e}
	}
	quarantine := eventOf(job.EventJobQuarantined, &o.Job, "")
	quarantine.Actor, quarantine.From, quarantine.Cause = c.by.Actor, "", o.cause
	quarantine.Detail = detail(map[string]int{"crashes": after.Crashes})
	return []job.Event{e, quarantine}
}

// moved is what the caller hears of a job.
func (o *recoverable) moved(after *job.Job) job.RecoveredJob {
	return job.RecoveredJob{
		ID: o.ID, Kind: o.Kind, Fence: o.Fence, State: after.State, Crashes: after.Crashes,
		Quarantined: after.Quarantined, Cause: o.cause, WorkerID: o.WorkerID, ValueCents: o.ValueCents, Canary: o.Canary,
	}
}

// afterCrash is the delay after so many crashes. The first is most likely not the
// job's fault, so it costs no time.
func (s *Store) afterCrash(crashes int) time.Duration {
	if crashes <= 1 {
		return 0
	}
	return s.waits.Delay(crashes - 1)
}
