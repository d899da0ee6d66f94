package postgres

import (
	"context"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Arrive takes an effect of a canary in.
func (s *Store) Arrive(ctx context.Context, a directory.Arrival) error {
	act := "record the arrival of a canary at " + a.Directory
	n, err := changed(ctx, s, act, "Arrive", dbID(job.NewID()), dbID(a.OrderID), plain(a.Directory), a.Fence, dbID(a.WorkerID), a.Until)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s: %w", act, directory.ErrLate)
	}
	return err
}

// Arrivals lists what arrived of an order.
func (s *Store) Arrivals(ctx context.Context, order uuid.UUID) ([]directory.Arrival, error) {
	return all(ctx, s, "list arrivals of canaries", "ListArrivals", func(row pgx.CollectableRow) (a directory.Arrival, err error) {
		err = row.Scan((*nullID)(&a.OrderID), &a.Directory, &a.Fence, (*nullID)(&a.WorkerID), (*nullTime)(&a.At))
		return a, err
	}, dbID(order))
}
