package sqlite

import (
	"context"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// Arrive implements [submit.Witness].
func (s *Store) Arrive(ctx context.Context, a directory.Arrival) error {
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec(q.Arrive, job.NewID().String(), a.OrderID.String(), clean(a.Directory), a.Fence, a.WorkerID.String(), t.now, a.Until.UnixMicro())
		if err == nil && n == 0 {
			return directory.ErrLate
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("record the arrival of a canary at %s: %w", a.Directory, err)
	}
	return nil
}

// Arrivals implements [submit.Witness].
func (s *Store) Arrivals(ctx context.Context, order uuid.UUID) ([]directory.Arrival, error) {
	found, err := all(s.read(ctx), scanArrival, q.ListArrivals, order.String())
	if err != nil {
		return nil, fmt.Errorf("list arrivals of canaries: %w", s.explain(err))
	}
	return found, nil
}

func scanArrival(r row) (a directory.Arrival, err error) {
	err = r.Scan(&a.OrderID, &a.Directory, &a.Fence, &a.WorkerID, moment{&a.At})
	return a, err
}
