package main

import (
	"context"
	"fmt"
)

// drain fills a queue, then measures from the start of a worker until the database
// says that every job is completed.
func drain(ctx context.Context, t task) (r result, err error) {
	s, err := openSide(ctx, t)
	if err != nil {
		return r, err
	}
	defer s.close()
	w, err := newWitness(ctx, t)
	if err != nil {
		return r, err
	}
	defer w.close()
	if err := s.fill(ctx, t.Jobs); err != nil {
		return r, fmt.Errorf("fill: %w", err)
	}
	before, err := w.count(ctx, "state = 'completed'")
	if err != nil {
		return r, err
	}
	if err := w.settle(ctx); err != nil {
		return r, err
	}

	done := make(chan struct{}, t.Jobs)
	var leave func() error
	r.Usage, err = measured(t, func() (err error) {
		if leave, err = s.work(ctx, func() { done <- struct{}{} }); err != nil {
			return err
		}
		for range t.Jobs {
			select {
			case <-done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return w.finished(ctx)
	})
	if err != nil {
		return r, err
	}
	if err := leave(); err != nil {
		return r, fmt.Errorf("stop: %w", err)
	}
	if len(done) > 0 {
		return r, fmt.Errorf("%d jobs ran twice", len(done))
	}
	completed, err := w.count(ctx, "state = 'completed'")
	if err == nil && completed-before != t.Jobs {
		err = fmt.Errorf("completed %d of %d jobs", completed-before, t.Jobs)
	}
	jobs := float64(t.Jobs)
	r.Metrics = rates(jobs, r.Usage)
	return r, err
}

// addFinished puts jobs into our table that were completed long ago.
func addFinished(ctx context.Context, t task) (r result, err error) {
	s, err := openOurs(ctx, t)
	if err != nil {
		return r, err
	}
	defer s.close()
	w, err := newWitness(ctx, t)
	if err != nil {
		return r, err
	}
	defer w.close()
	statement := finishedSQLite
	if w.pg {
		statement = finishedPostgres
	}
	for n := t.Jobs; n > 0; n -= finishedBatch {
		if _, err := w.db.ExecContext(ctx, statement, min(n, finishedBatch)); err != nil {
			return r, fmt.Errorf("add finished jobs: %w", err)
		}
	}
	return r, w.settle(ctx)
}

const finishedBatch = 250_000

const finishedPostgres = `
INSERT INTO jobs (id, kind, state, priority, due_at, fence, attempt, max_attempts, crash_budget, worker_id, payload,
                  created_at, claimed_at, progress_at, finished_at)
SELECT directorybolt_uuid7(), 'noop', 'completed', 1 + n % 4, at, 1, 1, 5, 3, gen_random_uuid(), '{}', at, at, at, at
  FROM generate_series(1, $1::integer) AS n, LATERAL (SELECT now() - interval '1 hour' AS at) AS earlier`

const finishedSQLite = `
WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < ?)
INSERT INTO jobs (id, kind, state, priority, due_at, fence, attempt, max_attempts, crash_budget, worker_id, payload,
                  created_at, claimed_at, progress_at, finished_at)
SELECT printf('%08x-0000-7000-8000-%s', n, lower(hex(randomblob(6)))), 'noop', 'completed', 1 + n % 4, at, 1, 1, 5, 3,
       '00000000-0000-7000-8000-000000000000', '{}', at, at, at, at
  FROM series, (SELECT (unixepoch() - 3600) * 1000000 AS at)`

// rates are what a number of jobs came to. CPU a job is told beside the rate,
// because on a machine that is shared it wavers less.
func rates(jobs float64, u usage) map[string]float64 {
	m := map[string]float64{
		"jobs/s":  jobs / u.Wall.Seconds(),
		cpuMetric: float64((u.Client + u.Server).Microseconds()) / jobs,
	}
	if u.Server > 0 {
		m["… of the process"] = float64(u.Client.Microseconds()) / jobs
		m["… of Postgres"] = float64(u.Server.Microseconds()) / jobs
	}
	return m
}

const cpuMetric = "CPU, µs/job"
