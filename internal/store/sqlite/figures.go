package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

// OrdersPlaced implements [job.Figures].
func (s *Store) OrdersPlaced(ctx context.Context, from, to time.Time) (job.Sum, error) {
	sum, err := one(s.read(ctx), func(r row) (sum job.Sum, err error) {
		err = r.Scan(&sum.Count, &sum.ValueCents)
		return sum, err
	}, q.OrdersPlaced, from.UnixMicro(), to.UnixMicro())
	if err != nil {
		return sum, fmt.Errorf("sum up placed orders: %w", s.explain(err))
	}
	return sum, nil
}

// OrdersCompleted implements [job.Figures].
func (s *Store) OrdersCompleted(ctx context.Context, from, to time.Time) ([]job.Completion, error) {
	done, err := all(s.read(ctx), func(r row) (c job.Completion, err error) {
		var took int64
		err = r.Scan(&took, &c.ValueCents)
		c.Took = time.Duration(took) * time.Microsecond
		return c, err
	}, q.OrdersCompleted, from.UnixMicro(), to.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("list completed orders: %w", s.explain(err))
	}
	return done, nil
}

// CountEvents implements [job.Figures].
func (s *Store) CountEvents(ctx context.Context, from, to time.Time, types ...string) (map[string]int64, error) {
	type line struct {
		name string
		n    int64
	}
	lines, err := all(s.read(ctx), func(r row) (l line, err error) {
		err = r.Scan(&l.name, &l.n)
		return l, err
	}, q.CountEvents, from.UnixMicro(), to.UnixMicro(), list(append([]string{}, types...)))
	if err != nil {
		return nil, fmt.Errorf("count events: %w", s.explain(err))
	}
	counts := map[string]int64{}
	for _, l := range lines {
		counts[l.name] = l.n
	}
	return counts, nil
}

// JobsFailed implements [job.Figures].
func (s *Store) JobsFailed(ctx context.Context, from, to time.Time, without ...string) (int64, error) {
	n, err := one(s.read(ctx), func(r row) (n int64, err error) {
		err = r.Scan(&n)
		return n, err
	},
		q.JobsFailed, from.UnixMicro(), to.UnixMicro(), list(append([]string{}, without...)))
	if err != nil {
		return 0, fmt.Errorf("count failed jobs: %w", s.explain(err))
	}
	return n, nil
}

// AlertsDelivered implements [alert.Reader].
func (s *Store) AlertsDelivered(ctx context.Context, from, to time.Time, late time.Duration) (alert.Punctuality, error) {
	p, err := one(s.read(ctx), func(r row) (p alert.Punctuality, err error) {
		err = r.Scan(&p.Delivered, &p.Late, &p.Waiting)
		return p, err
	}, q.AlertsDelivered, from.UnixMicro(), to.UnixMicro(), late.Microseconds(), s.clock().UnixMicro())
	if err != nil {
		return p, fmt.Errorf("count delivered alerts: %w", s.explain(err))
	}
	return p, nil
}
