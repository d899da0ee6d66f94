package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// Register adds a worker with a lease from the database's now.
func (s *Store) Register(ctx context.Context, w job.Worker, lease time.Duration) error {
	if err := checkWorker(w, lease); err != nil {
		return fmt.Errorf("register worker: %w", err)
	}
	kinds := append([]string{}, w.Kinds...)
	n, err := changed(ctx, s, "register worker "+w.ID.String(), "RegisterWorker",
		dbID(w.ID), plain(w.Host), w.PID, plain(w.Version), kinds, w.Capacity, micros(lease), plain(w.Boot))
	if err != nil || n > 0 {
		return err
	}
	known, err := s.standing(ctx, w.ID)
	if err != nil {
		return err
	}
	if !known.RetiredAt.IsZero() {
		return fmt.Errorf("register worker %s: %w", w.ID, job.ErrRetired)
	}
	return fmt.Errorf("register worker %s: it is registered already: %w", w.ID, job.ErrState)
}

func checkWorker(w job.Worker, lease time.Duration) error {
	switch {
	case w.ID == job.ID{}:
		return &job.InvalidError{Field: "id", Reason: "is required"}
	case w.Capacity <= 0:
		return &job.InvalidError{Field: "capacity", Reason: "must be positive"}
	case lease <= 0:
		return &job.InvalidError{Field: "lease", Reason: "must be positive"}
	}
	return nil
}

// standing is a worker, and what it may still do.
type standing struct {
	job.Worker
	leased bool // not retired, and the lease is not over
}

func (s *Store) standing(ctx context.Context, worker job.ID) (standing, error) {
	return one(ctx, s, "read worker "+worker.String(), "GetWorker", func(row pgx.CollectableRow) (w standing, err error) {
		err = row.Scan(append(workerColumns(&w.Worker), &w.leased)...)
		return w, err
	}, dbID(worker))
}

// Worker answers one worker, retired or not.
func (s *Store) Worker(ctx context.Context, id job.ID) (job.Worker, error) {
	w, err := s.standing(ctx, id)
	return w.Worker, err
}

// Beat renews the worker's lease first, in a statement that no lock on a job can
// delay, and then looks after the held leases. It never uses the pool.
func (s *Store) Beat(ctx context.Context, worker job.ID, lease time.Duration, held []job.Held) (job.Pulse, error) {
	if lease <= 0 {
		return job.Pulse{}, fmt.Errorf("beat: %w", &job.InvalidError{Field: "lease", Reason: "must be positive"})
	}
	var pulse job.Pulse
	err := s.beats.do(ctx, func(conn *pgx.Conn) (err error) {
		pulse, err = beat(ctx, conn, worker, lease, held)
		return err
	})
	if err == nil {
		return pulse, nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		// Not renewed: retired, unless there is no such worker.
		if _, err := s.standing(ctx, worker); err != nil {
			return job.Pulse{}, fmt.Errorf("beat: %w", err)
		}
		return job.Pulse{}, fmt.Errorf("beat of worker %s: %w", worker, job.ErrRetired)
	}
	return job.Pulse{}, fmt.Errorf("beat of worker %s: %w", worker, readable(err))
}

// beat renews first: whatever is said about jobs, the lease holds.
func beat(ctx context.Context, conn *pgx.Conn, worker job.ID, lease time.Duration, held []job.Held) (p job.Pulse, err error) {
	err = conn.QueryRow(ctx, statements.Get("BeatWorker"), dbID(worker), micros(lease)).
		Scan((*nullTime)(&p.LeaseUntil), (*nullTime)(&p.BeatAt), (*nullTime)(&p.Since))
	if err != nil {
		return p, err
	}
	if err := recordProgress(ctx, conn, worker, held); err != nil {
		return p, err
	}
	leases := make([]job.Lease, len(held))
	for i, h := range held {
		leases[i] = h.Lease
	}
	ids, fences := leaseIDs(leases)
	if len(leases) > 0 {
		p.Lost, err = list(ctx, conn, func(row pgx.CollectableRow) (l job.Lost, err error) {
			l.WorkerID = worker
			err = row.Scan((*nullID)(&l.JobID), &l.Fence, (*nullText)(&l.State))
			return l, err
		}, "LostLeases", ids, fences, dbID(worker))
		if err != nil {
			return p, err
		}
	}
	p.Strays, err = list(ctx, conn, func(row pgx.CollectableRow) (l job.Lease, err error) {
		l.WorkerID = worker
		err = row.Scan((*nullID)(&l.JobID), &l.Fence)
		return l, err
	}, "StrayLeases", dbID(worker), ids, micros(lease))
	return p, err
}

// recordProgress tells of the worker's jobs that got further since the last beat.
func recordProgress(ctx context.Context, conn *pgx.Conn, worker job.ID, held []job.Held) error {
	var moved []job.Lease
	for _, h := range held {
		if h.Progressed {
			moved = append(moved, h.Lease)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	ids, fences := leaseIDs(moved)
	return again(ctx, func() error {
		_, err := conn.Exec(ctx, statements.Get("ProgressJob"), ids, fences, dbID(worker))
		return err
	})
}

// list collects the rows of a statement on one connection.
func list[T any](ctx context.Context, conn *pgx.Conn, scan func(pgx.CollectableRow) (T, error), name string, args ...any) ([]T, error) {
	rows, err := conn.Query(ctx, statements.Get(name), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// Retire declares a worker's lease over.
func (s *Store) Retire(ctx context.Context, worker job.ID, cause string, by job.By) error {
	what := "retire worker " + worker.String()
	if cause == "" {
		return fmt.Errorf("%s: %w", what, &job.InvalidError{Field: "cause", Reason: "is required"})
	}
	n, err := changed(ctx, s, what, "RetireWorker", dbID(worker), plain(cause), actor(by), plain(by.Reason))
	if err != nil || n > 0 {
		return err
	}
	if _, err := s.standing(ctx, worker); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: it is retired already: %w", what, job.ErrState)
}

// Workers lists live workers and those retired lately.
func (s *Store) Workers(ctx context.Context, retiredWithin time.Duration) ([]job.Worker, error) {
	return all(ctx, s, "list workers", "ListWorkers", scanWorker, micros(retiredWithin))
}

// RetireExpired retires every worker whose lease is over.
func (s *Store) RetireExpired(ctx context.Context) ([]job.Worker, error) {
	return s.retireExpired(ctx, false)
}

func (s *Store) retireExpired(ctx context.Context, doubting bool) ([]job.Worker, error) {
	return all(ctx, s, "retire expired workers", "RetireExpiredWorkers", scanWorker, doubting, job.StormOwners, micros(job.StormHold))
}

func scanWorker(row pgx.CollectableRow) (w job.Worker, err error) {
	err = row.Scan(workerColumns(&w)...)
	return w, err
}

// workerColumns are where the columns of a worker are read into.
func workerColumns(w *job.Worker) []any {
	return []any{
		(*nullID)(&w.ID), &w.Host, &w.PID, &w.Version, &w.Kinds, &w.Capacity, &w.Boot, (*nullTime)(&w.StartedAt),
		(*nullTime)(&w.BeatAt), (*nullTime)(&w.LeaseUntil), (*nullTime)(&w.RetiredAt), (*nullText)(&w.RetiredCause),
	}
}

// Recover moves jobs whose owner is retired. A batch passes over jobs that somebody
// else has locked; before it says that nothing is left, it waits for them.
func (s *Store) Recover(ctx context.Context, limit int) (job.Recovered, error) {
	if limit <= 0 {
		return job.Recovered{}, fmt.Errorf("recover jobs: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	for {
		moved, err := s.recoverBatch(ctx, limit)
		if err != nil || len(moved) > 0 {
			return job.Recovered{Jobs: moved}, err
		}
		left, err := all(ctx, s, "look for jobs to recover", "RecoverableJobs", scanID, limit)
		if err != nil || len(left) == 0 {
			return job.Recovered{}, err
		}
	}
}

// RecoverStalled moves jobs of live workers that make no progress.
func (s *Store) RecoverStalled(ctx context.Context, threshold time.Duration, limit int) (job.Recovered, error) {
	if err := checkStalled(threshold, limit); err != nil {
		return job.Recovered{}, fmt.Errorf("recover stalled jobs: %w", err)
	}
	moved, err := s.moveBack(ctx, "recover stalled jobs", "RecoverStalledJobs", taking{limit: limit}, micros(threshold))
	return job.Recovered{Jobs: moved}, err
}

// RecoverJob moves one stale job for a person.
func (s *Store) RecoverJob(ctx context.Context, id job.ID, threshold time.Duration, by job.By) (job.RecoveredJob, error) {
	what := "recover job " + id.String()
	if err := checkStalled(threshold, 1); err != nil {
		return job.RecoveredJob{}, fmt.Errorf("%s: %w", what, err)
	}
	one := taking{limit: 1, only: id, by: by}
	moved, err := s.moveBack(ctx, what, "RecoverJobs", one)
	if err == nil && len(moved) == 0 {
		moved, err = s.moveBack(ctx, what, "RecoverStalledJobs", one, micros(threshold))
	}
	if err != nil {
		return job.RecoveredJob{}, err
	}
	if len(moved) > 0 {
		return moved[0], nil
	}
	j, err := s.Job(ctx, id)
	if err != nil {
		return job.RecoveredJob{}, fmt.Errorf("%s: %w", what, err)
	}
	return job.RecoveredJob{}, fmt.Errorf("%s: it is %s and not stale: %w", what, j.State, job.ErrState)
}

// Stale lists running jobs that recovery takes or is about to.
func (s *Store) Stale(ctx context.Context, threshold time.Duration, limit int) ([]job.StaleJob, error) {
	if err := checkStalled(threshold, limit); err != nil {
		return nil, fmt.Errorf("list stale jobs: %w", err)
	}
	return all(ctx, s, "list stale jobs", "StaleJobs", func(row pgx.CollectableRow) (j job.StaleJob, err error) {
		err = row.Scan((*nullID)(&j.ID), &j.Kind, &j.Cause, (*nullTime)(&j.Since), &j.Fence, &j.Crashes, &j.CrashBudget,
			&j.ValueCents, &j.Canary, (*nullID)(&j.WorkerID), &j.Host, &j.PID, (*nullTime)(&j.BeatAt),
			(*nullTime)(&j.ClaimedAt), (*nullTime)(&j.ProgressAt))
		j.Detector = job.DetectorOf(j.Cause)
		return j, err
	}, micros(threshold), limit)
}

// Ahead counts the jobs that claims take first.
func (s *Store) Ahead(ctx context.Context, id job.ID, kinds []string) (int, error) {
	return one(ctx, s, "count jobs ahead of "+id.String(), "JobsAhead", func(row pgx.CollectableRow) (n int, err error) {
		err = row.Scan(&n)
		return n, err
	}, dbID(id), append([]string{}, kinds...), job.MostAhead)
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

func (s *Store) recoverBatch(ctx context.Context, limit int) ([]job.RecoveredJob, error) {
	return s.moveBack(ctx, "recover jobs", "RecoverJobs", taking{limit: limit})
}

// taking says what a recovery takes, and for whom.
type taking struct {
	limit int
	only  job.ID // zero: any
	by    job.By // zero: the system
}

// moveBack runs a statement that takes jobs from their owners; more are its
// arguments after those that all such statements share.
func (s *Store) moveBack(ctx context.Context, act, statement string, t taking, more ...any) ([]job.RecoveredJob, error) {
	crash := backoff.Policy{Base: s.config.BackoffBase, Cap: s.config.BackoffCap}
	args := append([]any{
		t.limit, job.QuarantineAfter, micros(crash.Ceiling(1)), micros(crash.Ceiling(1 << 20)), s.config.Hints,
		dbID(t.only), actor(t.by), dbText(plain(t.by.Reason)),
	}, more...)
	moved, err := all(ctx, s, act, statement, func(row pgx.CollectableRow) (r job.RecoveredJob, err error) {
		err = row.Scan((*nullID)(&r.ID), &r.Kind, &r.Fence, (*nullText)(&r.State), &r.Crashes, &r.Quarantined, &r.Cause,
			(*nullID)(&r.WorkerID), &r.ValueCents, &r.Canary)
		return r, err
	}, args...)
	if len(moved) > 0 {
		s.bell.ring()
	}
	return moved, err
}
