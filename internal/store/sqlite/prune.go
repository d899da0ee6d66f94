package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Defaults of [job.Retention].
const (
	keepFinished = 90 * 24 * time.Hour
	keepArchive  = 365 * 24 * time.Hour
	pruneBatch   = 1000
)

// Prune implements [job.Keeper]. Each batch is a transaction of its own, so that
// nobody waits long for one; a pass that is interrupted has done whole batches.
func (s *Store) Prune(ctx context.Context, r job.Retention) (job.Pruned, error) {
	r.Finished = cmp.Or(r.Finished, keepFinished)
	r.Archive = cmp.Or(r.Archive, keepArchive)
	r.Batch = cmp.Or(r.Batch, pruneBatch)
	if r.Finished < 0 || r.Archive < 0 || r.Batch < 0 {
		return job.Pruned{}, fmt.Errorf("prune: %w", &job.InvalidError{Field: "retention", Reason: "must not be negative"})
	}
	now := s.clock()
	p := pruning{s: s, ctx: ctx, batch: r.Batch, horizon: now.Add(-r.Finished).UnixMicro()}
	for _, step := range []func() error{
		p.jobs,
		func() error { return p.rows(&p.done.Events, q.PruneEvents, p.horizon) },
		func() error { return p.rows(&p.done.Outbox, q.PruneOutbox, p.horizon) },
		func() error { return p.once(&p.done.Workers, q.PruneWorkers, p.horizon) },
		func() error { return p.once(new(int64), q.PrunePasses, p.horizon) },
		func() error { return p.once(new(int64), q.PruneStorms, p.horizon) },
		func() error { return p.rows(new(int64), q.PruneLetters, now.Add(-r.Archive).UnixMicro()) },
		func() error { return p.rows(new(int64), q.PruneErasedEvidence, now.Add(-r.Archive).UnixMicro()) },
		func() error {
			return p.once(new(int64), q.PruneRequests, now.Add(-2*idempotency.Keep).UnixMicro())
		},
		func() error { return p.rows(new(int64), q.PruneDeliveries, p.horizon) },
		func() error { return p.rows(new(int64), q.PruneAlerts, p.horizon) },
		func() error { return p.rollups(now) },
		func() error { return p.once(new(int64), q.PruneArrivals, p.horizon) },
		func() error { return p.once(new(int64), q.PruneArchive, now.Add(-r.Archive).UnixMicro()) },
	} {
		if err := step(); err != nil {
			return p.done, fmt.Errorf("prune: %w", err)
		}
	}
	return p.done, nil
}

// pruning is one pass.
type pruning struct {
	s       *Store
	ctx     context.Context
	batch   int
	horizon int64 // what ended before it goes
	done    job.Pruned
}

// candidate is a row of PrunableJobs.
type candidate struct {
	rowid   int64
	id      job.ID
	created int64
	old     bool
}

func scanCandidate(r row) (c candidate, err error) {
	err = r.Scan(&c.rowid, &c.id, &c.created, &c.old)
	return c, err
}

// jobs walks the jobs in the order they came and ends at the first that came after
// the horizon: none behind it can have ended before.
func (p *pruning) jobs() error {
	var last int64
	for {
		page, err := all(p.s.read(p.ctx), scanCandidate, q.PrunableJobs, last, p.horizon, p.batch)
		if err != nil {
			return p.s.explain(err)
		}
		var ids []job.ID
		for _, c := range page {
			if c.old {
				ids = append(ids, c.id)
			}
		}
		if err := p.forget(ids); err != nil {
			return err
		}
		if len(page) < p.batch || page[len(page)-1].created >= p.horizon {
			return nil
		}
		last = page[len(page)-1].rowid
	}
}

// forget replaces jobs by their counts.
func (p *pruning) forget(ids []job.ID) error {
	if len(ids) == 0 {
		return nil
	}
	var jobs, events int64
	err := p.s.write(p.ctx, func(t *tx) (err error) {
		names := list(ids)
		if _, err = t.exec(q.ArchiveJobs, names); err != nil {
			return err
		}
		if jobs, err = t.exec(q.PruneJobs, names); err != nil {
			return err
		}
		events, err = t.exec(q.PruneJobEvents, names)
		return err
	})
	p.done.Jobs += jobs
	p.done.Events += events
	return err
}

// rows repeats a bounded statement until it finds nothing more before the horizon.
func (p *pruning) rows(count *int64, text string, horizon int64) error {
	for {
		before := *count
		if err := p.once(count, text, horizon, p.batch); err != nil || *count-before < int64(p.batch) {
			return err
		}
	}
}

func (p *pruning) once(count *int64, text string, args ...any) error {
	var n int64
	err := p.s.write(p.ctx, func(t *tx) (err error) {
		n, err = t.exec(text, args...)
		return err
	})
	*count += n
	return err
}
