package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// operate performs act on a job that a person named.
func (s *Store) operate(ctx context.Context, verb string, id job.ID, act func(*tx, *job.Job) error) error {
	err := s.write(ctx, func(t *tx) error {
		j, err := one(t, scanJob, q.GetJob, id.String())
		if err != nil {
			return err
		}
		return act(t, &j)
	})
	if err != nil {
		return fmt.Errorf("%s job %s: %w", verb, id, err)
	}
	return nil
}

// Cancel implements [job.Operator].
func (s *Store) Cancel(ctx context.Context, id job.ID, by job.By) error {
	return s.operate(ctx, "cancel", id, func(t *tx, j *job.Job) error { return t.cancel(j, by) })
}

func (t *tx) cancel(j *job.Job, by job.By) error {
	if !job.Allowed(j.State, job.Cancelled) {
		return wrongState(j)
	}
	if err := t.must(q.CancelJob, j.ID.String(), t.now, clean(by.Reason)); err != nil {
		return err
	}
	e := eventOf(job.EventJobCancelled, j, job.Cancelled)
	e.Actor, e.Cause = by.Actor, by.Reason
	if j.State == job.InProgress {
		e.Detail = detail(attemptOf(j))
	} else {
		e.WorkerID = job.ID{} // nobody runs it
	}
	if err := t.record(e); err != nil {
		return err
	}
	entry := job.JournalEntry{By: by, Act: job.ActCancel}
	entered(&entry, j.ID, j.ValueCents, j.Canary)
	return t.journal(entry)
}

func wrongState(j *job.Job) error { return fmt.Errorf("%w: it is %s", job.ErrState, j.State) }

// Hasten implements [job.Operator].
func (s *Store) Hasten(ctx context.Context, id job.ID, by job.By) error {
	return s.operate(ctx, "hasten", id, func(t *tx, j *job.Job) error {
		if j.State != job.Pending {
			return wrongState(j)
		}
		if j.DueAt.UnixMicro() <= t.now {
			return nil
		}
		if err := t.must(q.HastenJob, id.String(), t.now); err != nil {
			return err
		}
		e := eventOf(job.EventJobHastened, j, job.Pending)
		e.Actor, e.Cause, e.WorkerID = by.Actor, by.Reason, job.ID{} // nobody runs it
		e.Detail = detail(map[string]time.Time{"until": j.DueAt})
		if err := t.record(e); err != nil {
			return err
		}
		entry := job.JournalEntry{By: by, Act: job.ActHasten}
		entered(&entry, j.ID, j.ValueCents, j.Canary)
		t.wakes = true
		return errors.Join(t.journal(entry), t.hint(hint{j.ID, t.now}))
	})
}

// Pause implements [job.Operator].
func (s *Store) Pause(ctx context.Context, scope job.Scope, by job.By) error {
	if err := scope.Validate(); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec(q.PauseScope, clean(scope.Key()), t.now, clean(by.Actor), clean(by.Reason))
		if err != nil || n == 0 {
			return err
		}
		if err := t.record(scopeEvent("scope.paused", scope, by)); err != nil {
			return err
		}
		return t.journal(job.JournalEntry{By: by, Act: job.ActPause, Subject: clean(scope.Key()), Count: 1})
	})
	if err != nil {
		return fmt.Errorf("pause %s: %w", scope.Key(), err)
	}
	return nil
}

// Resume implements [job.Operator].
func (s *Store) Resume(ctx context.Context, scope job.Scope, by job.By) error {
	if err := scope.Validate(); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec(q.ResumeScope, clean(scope.Key()))
		if err != nil {
			return err
		}
		if n == 0 {
			return job.ErrNotFound
		}
		t.wakes = true
		if err := t.record(scopeEvent("scope.resumed", scope, by)); err != nil {
			return err
		}
		return t.journal(job.JournalEntry{By: by, Act: job.ActResume, Subject: clean(scope.Key()), Count: 1})
	})
	if err != nil {
		return fmt.Errorf("resume %s: %w", scope.Key(), err)
	}
	return nil
}

func scopeEvent(typ string, scope job.Scope, by job.By) job.Event {
	return job.Event{
		Type: typ, CustomerID: scope.Customer, Actor: by.Actor, Cause: by.Reason,
		Detail: detail(map[string]string{"scope": clean(scope.Key())}),
	}
}

// Pauses implements [job.Reader].
func (s *Store) Pauses(ctx context.Context) ([]job.Pause, error) {
	pauses, err := all(s.read(ctx), scanPause, q.ListPauses)
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", s.explain(err))
	}
	return pauses, nil
}

func scanPause(r row) (p job.Pause, err error) {
	var key string
	if err = r.Scan(&key, moment{&p.At}, &p.By.Actor, &p.By.Reason); err != nil {
		return p, err
	}
	p.Scope, err = parseScope(key)
	return p, err
}

// parseScope reads what [job.Scope.Key] writes.
func parseScope(key string) (s job.Scope, err error) {
	what, name, _ := strings.Cut(key, ":")
	switch what {
	case "all":
		s.All = true
	case "kind":
		s.Kind = name
	case "customer":
		s.Customer, err = uuid.Parse(name)
	default:
		err = fmt.Errorf("unknown scope %q", key)
	}
	return s, err
}
