package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/jackc/pgx/v5"
)

// AddFacts adds to the sums of the minutes in which the facts happened.
func (s *Store) AddFacts(ctx context.Context, facts ...job.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	facts, err := store.CheckFacts(facts)
	if err != nil {
		return fmt.Errorf("add facts: %w", err)
	}
	names, labels := make([]string, len(facts)), make([]string, len(facts))
	values, ago := make([]int64, len(facts)), make([]int64, len(facts))
	for i, f := range facts {
		names[i], labels[i], values[i], ago[i] = f.Name, f.Labels, f.Value, micros(f.Ago)
	}
	_, err = changed(ctx, s, "add facts", "AddFacts", names, labels, values, ago)
	return err
}

// Rollups lists the sums of a name.
func (s *Store) Rollups(ctx context.Context, name string, from, to time.Time) ([]job.Rollup, error) {
	return all(ctx, s, "list rollups of "+name, "ListRollups", func(row pgx.CollectableRow) (r job.Rollup, err error) {
		var span int64
		err = row.Scan(&r.Name, &r.Labels, (*nullTime)(&r.At), &span, &r.Value)
		r.Span = time.Duration(span) * time.Second
		return r, err
	}, plain(name), from, to)
}

// pruneRollups folds minutes into hours, and forgets the oldest of these.
func (s *Store) pruneRollups(ctx context.Context, now time.Time, batch int) error {
	for {
		n, err := one(ctx, s, "fold rollups", "FoldRollups", func(row pgx.CollectableRow) (n int64, err error) {
			err = row.Scan(&n)
			return n, err
		}, now.Add(-store.KeepMinutes).Truncate(time.Hour), batch)
		if err != nil {
			return err
		}
		if n < int64(batch) {
			break
		}
	}
	_, err := changed(ctx, s, "prune rollups", "PruneRollups", now.Add(-store.KeepHours))
	return err
}
