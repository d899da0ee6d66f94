package postgres

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// Retention of job.Retention's zero values.
const (
	keepFinished = 90 * 24 * time.Hour
	keepArchive  = 365 * 24 * time.Hour
	pruneBatch   = 1000
)

// Prune forgets finished work in batches, each a transaction of its own.
func (s *Store) Prune(ctx context.Context, r job.Retention) (job.Pruned, error) {
	if r.Finished <= 0 {
		r.Finished = keepFinished
	}
	if r.Archive <= 0 {
		r.Archive = keepArchive
	}
	if r.Batch <= 0 {
		r.Batch = pruneBatch
	}
	var p job.Pruned
	now, err := s.Now(ctx)
	if err != nil {
		return p, err
	}
	horizon := now.Add(-r.Finished)
	if err := s.pruneJobs(ctx, horizon, r.Batch, &p); err != nil {
		return p, err
	}
	for _, rest := range []struct {
		what, statement string
		count           *int64
		before          time.Time
	}{
		{"prune events", "PruneEvents", &p.Events, horizon},
		{"prune workers", "PruneWorkers", &p.Workers, horizon},
		{"prune outbox", "PruneOutbox", &p.Outbox, horizon},
		{"prune storms", "PruneStorms", new(int64), horizon},
		{"prune passes of monitors", "PrunePasses", new(int64), horizon},
		{"prune idempotency keys", "PruneRequests", new(int64), now.Add(-2 * idempotency.Keep)},
		{"prune deliveries of alerts", "PruneDeliveries", new(int64), horizon},
		{"prune resolved alerts", "PruneAlerts", new(int64), horizon},
		{"prune arrivals of canaries", "PruneArrivals", new(int64), horizon},
		{"prune letters", "PruneLetters", new(int64), now.Add(-r.Archive)},
		{"prune erased evidence", "PruneErasedEvidence", new(int64), now.Add(-r.Archive)},
	} {
		for {
			n, err := changed(ctx, s, rest.what, rest.statement, rest.before, r.Batch)
			*rest.count += n
			if err != nil {
				return p, err
			}
			if n < int64(r.Batch) {
				break
			}
		}
	}
	if err := s.pruneRollups(ctx, now, r.Batch); err != nil {
		return p, err
	}
	_, err = changed(ctx, s, "prune archive", "PruneArchive", now.Add(-r.Archive))
	return p, err
}

func (s *Store) pruneJobs(ctx context.Context, horizon time.Time, batch int, p *job.Pruned) error {
	type gone struct{ jobs, events int64 }
	for {
		n, err := one(ctx, s, "prune jobs", "PruneJobs", func(row pgx.CollectableRow) (g gone, err error) {
			err = row.Scan(&g.jobs, &g.events)
			return g, err
		}, dbID(job.IDAt(horizon)), horizon, batch)
		if err != nil {
			return err
		}
		p.Jobs += n.jobs
		p.Events += n.events
		if n.jobs < int64(batch) {
			return nil
		}
	}
}
