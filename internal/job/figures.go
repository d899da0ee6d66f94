package job

import (
	"context"
	"time"
)

// Figures answer what reports ask of the history, exactly, as long as retention keeps it.
// Canaries are in none of them.
type Figures interface {
	// OrdersPlaced sums up the orders that were placed in [from, to).
	OrdersPlaced(ctx context.Context, from, to time.Time) (Sum, error)

	// OrdersCompleted lists the orders that were completed in [from, to), the quickest first.
	OrdersCompleted(ctx context.Context, from, to time.Time) ([]Completion, error)

	// CountEvents counts events of these types in [from, to). A type that did not occur is
	// left out.
	CountEvents(ctx context.Context, from, to time.Time, types ...string) (map[string]int64, error)

	// JobsFailed counts the jobs that failed for good in [from, to) and were not completed
	// in it, each once, however often it failed; those of the kinds without are left out.
	JobsFailed(ctx context.Context, from, to time.Time, without ...string) (int64, error)
}

// Completion is an order that was completed.
type Completion struct {
	Took       time.Duration // from its placing
	ValueCents int64
}
