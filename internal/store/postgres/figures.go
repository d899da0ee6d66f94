package postgres

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// OrdersPlaced sums up the orders that were placed in a time.
func (s *Store) OrdersPlaced(ctx context.Context, from, to time.Time) (job.Sum, error) {
	return one(ctx, s, "sum up placed orders", "OrdersPlaced", func(row pgx.CollectableRow) (sum job.Sum, err error) {
		err = row.Scan(&sum.Count, &sum.ValueCents)
		return sum, err
	}, from, to)
}

// OrdersCompleted lists the orders that were completed in a time.
func (s *Store) OrdersCompleted(ctx context.Context, from, to time.Time) ([]job.Completion, error) {
	return all(ctx, s, "list completed orders", "OrdersCompleted", func(row pgx.CollectableRow) (c job.Completion, err error) {
		err = row.Scan(&c.Took, &c.ValueCents)
		return c, err
	}, from, to)
}

// CountEvents counts events of some types in a time.
func (s *Store) CountEvents(ctx context.Context, from, to time.Time, types ...string) (map[string]int64, error) {
	type line struct {
		name string
		n    int64
	}
	lines, err := all(ctx, s, "count events", "CountEvents", func(row pgx.CollectableRow) (l line, err error) {
		err = row.Scan(&l.name, &l.n)
		return l, err
	}, from, to, types)
	counts := map[string]int64{}
	for _, l := range lines {
		counts[l.name] = l.n
	}
	return counts, err
}

// JobsFailed counts jobs that failed for good.
func (s *Store) JobsFailed(ctx context.Context, from, to time.Time, without ...string) (int64, error) {
	return one(ctx, s, "count failed jobs", "JobsFailed", pgx.RowTo[int64], from, to, append([]string{}, without...))
}

// AlertsDelivered tells how punctually people were told.
func (s *Store) AlertsDelivered(ctx context.Context, from, to time.Time, late time.Duration) (alert.Punctuality, error) {
	return one(ctx, s, "count delivered alerts", "AlertsDelivered", func(row pgx.CollectableRow) (p alert.Punctuality, err error) {
		err = row.Scan(&p.Delivered, &p.Late, &p.Waiting)
		return p, err
	}, from, to, micros(late))
}
