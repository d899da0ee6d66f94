package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Register implements [job.Registry].
func (s *Store) Register(ctx context.Context, w job.Worker, lease time.Duration) error {
	if err := checkWorker(w, lease); err != nil {
		return fmt.Errorf("register worker %s: %w", w.ID, err)
	}
	if w.Kinds == nil {
		w.Kinds = []string{}
	}
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec(q.RegisterWorker, w.ID.String(), clean(w.Host), w.PID, clean(w.Version), list(w.Kinds), w.Capacity,
			t.now, t.now+lease.Microseconds(), clean(w.Boot))
		if err != nil || n == 1 {
			return err
		}
		before, err := one(t, scanWorker, q.GetWorker, w.ID.String())
		if err == nil && before.RetiredAt.IsZero() {
			return fmt.Errorf("%w: it is registered already", job.ErrState)
		}
		return errors.Join(err, job.ErrRetired)
	})
	if err != nil {
		return fmt.Errorf("register worker %s: %w", w.ID, err)
	}
	return nil
}

func checkWorker(w job.Worker, lease time.Duration) error {
	switch {
	case w.ID == job.ID{}:
		return &job.InvalidError{Field: "id", Reason: "a worker has an identity"}
	case w.Capacity <= 0:
		return &job.InvalidError{Field: "capacity", Reason: "must be positive"}
	case lease <= 0:
		return &job.InvalidError{Field: "lease", Reason: "must be positive"}
	}
	return nil
}

// Beat implements [job.Registry]. It has a connection of its own and goes between
// two groups of the writer, so that it waits for one commit and for no queue.
func (s *Store) Beat(ctx context.Context, worker job.ID, lease time.Duration, held []job.Held) (job.Pulse, error) {
	var p job.Pulse
	err := s.beat(ctx, func(t *tx) (err error) {
		p, err = t.beat(worker, lease, held)
		return err
	})
	if err != nil {
		return job.Pulse{}, fmt.Errorf("beat of worker %s: %w", worker, s.explain(err))
	}
	return p, nil
}

// beat performs fn in a transaction on the heartbeat's connection, as soon as the
// writer lets go of the file.
func (s *Store) beat(ctx context.Context, fn func(*tx) error) error {
	select {
	case <-s.writer.closing:
		return errClosed
	default:
	}
	select {
	case s.writer.turn <- struct{}{}:
		defer func() { <-s.writer.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.writer.ended:
		return errClosed
	}
	if err := s.pulse.begin(ctx); err != nil {
		return err
	}
	err := fn(newTx(s, s.pulse))
	if err == nil {
		err = s.pulse.exec("COMMIT")
	}
	if err != nil {
		_ = s.pulse.exec("ROLLBACK") // fails where SQLite has rolled back already
	}
	return err
}

func (t *tx) beat(worker job.ID, lease time.Duration, held []job.Held) (job.Pulse, error) {
	earlier, err := one(t, scanWorker, q.GetWorker, worker.String())
	if err != nil {
		return job.Pulse{}, err
	}
	until := t.now + lease.Microseconds()
	n, err := t.exec(q.BeatWorker, worker.String(), t.now, until)
	if err != nil {
		return job.Pulse{}, err
	}
	if n == 0 {
		return job.Pulse{}, job.ErrRetired
	}
	p := job.Pulse{LeaseUntil: fromMicros(until), BeatAt: fromMicros(t.now), Since: fromMicros(t.now)}
	if earlier.LeaseUntil.After(p.BeatAt) {
		p.Since = earlier.BeatAt
	}
	leases := make([]job.Lease, len(held))
	for i, h := range held {
		leases[i] = h.Lease
		if !h.Progressed {
			continue
		}
		if _, err := t.exec(q.ProgressJob, h.JobID.String(), h.Fence, t.now, worker.String()); err != nil {
			return p, err
		}
	}
	p.Lost, err = all(t, func(r row) (lost job.Lost, err error) {
		var i int
		err = r.Scan(&i, maybe[string]{(*string)(&lost.State)})
		if err == nil {
			lost.Lease = leases[i]
		}
		return lost, err
	}, q.LostLeases, pairs(leases), worker.String())
	if err != nil {
		return p, err
	}
	p.Strays, err = all(t, func(r row) (l job.Lease, err error) {
		l.WorkerID = worker
		err = r.Scan(&l.JobID, &l.Fence)
		return l, err
	}, q.StrayLeases, worker.String(), pairs(leases), t.now-lease.Microseconds())
	return p, err
}

// absent explains why a guarded write on a worker changed no row: there is no such
// worker, or it is retired, which the caller has an error for.
func (t *tx) absent(worker job.ID, retired error) error {
	_, err := one(t, scanWorker, q.GetWorker, worker.String())
	if err != nil {
		return err
	}
	return retired
}

// Retire implements [job.Registry].
func (s *Store) Retire(ctx context.Context, worker job.ID, cause string, by job.By) error {
	_, err := s.retire(ctx, worker, cause, by)
	return err
}

func (s *Store) retire(ctx context.Context, worker job.ID, cause string, by job.By) (retired job.Worker, err error) {
	if cause == "" {
		return retired, fmt.Errorf("retire worker %s: %w", worker, &job.InvalidError{Field: "cause", Reason: "say why"})
	}
	err = s.write(ctx, func(t *tx) error {
		found, err := all(t, scanWorker, q.RetireWorker, worker.String(), t.now, clean(cause))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return t.absent(worker, fmt.Errorf("%w: it is retired already", job.ErrState))
		}
		retired = found[0]
		return t.record(retirement(&retired, by))
	})
	if err != nil {
		return retired, fmt.Errorf("retire worker %s: %w", worker, err)
	}
	return retired, nil
}

func retirement(w *job.Worker, by job.By) job.Event {
	return job.Event{
		Type: job.EventWorkerRetired, WorkerID: w.ID, Actor: by.Actor, Cause: w.RetiredCause,
		Detail: detail(struct {
			Host       string    `json:"host"`
			PID        int       `json:"pid"`
			LeaseUntil time.Time `json:"lease_until"`
			Reason     string    `json:"reason,omitempty"`
		}{w.Host, w.PID, w.LeaseUntil, clean(by.Reason)}),
	}
}

// RetireExpired implements [job.Recoverer].
func (s *Store) RetireExpired(ctx context.Context) ([]job.Worker, error) {
	var retired []job.Worker
	err := s.write(ctx, func(t *tx) (err error) {
		retired, err = t.retireExpired(false)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("retire expired workers: %w", err)
	}
	return retired, nil
}

// retireExpired retires whoever has its lease over; held says that the storm breaker
// holds.
func (t *tx) retireExpired(held bool) ([]job.Worker, error) {
	retired, err := all(t, scanWorker, q.RetireExpiredWorkers, t.now, job.RetiredLeaseExpired, held)
	if err != nil {
		return nil, err
	}
	events := make([]job.Event, len(retired))
	for i := range retired {
		events[i] = retirement(&retired[i], job.By{})
	}
	return retired, t.record(events...)
}

// Worker implements [job.Registry].
func (s *Store) Worker(ctx context.Context, id job.ID) (job.Worker, error) {
	w, err := one(s.read(ctx), scanWorker, q.GetWorker, id.String())
	if err != nil {
		return job.Worker{}, fmt.Errorf("read worker %s: %w", id, s.explain(err))
	}
	return w, nil
}

// Workers implements [job.Registry].
func (s *Store) Workers(ctx context.Context, retiredWithin time.Duration) ([]job.Worker, error) {
	since := s.clock().Add(-retiredWithin).UnixMicro()
	workers, err := all(s.read(ctx), scanWorker, q.ListWorkers, since)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", s.explain(err))
	}
	return workers, nil
}
