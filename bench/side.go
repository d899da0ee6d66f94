package main

import (
	"context"
	"fmt"
)

// side is one of the systems under test, with its schema in place.
type side interface {
	// fill enqueues n no-op jobs over four priorities, as fast as it can.
	fill(ctx context.Context, n int) error
	// enqueue adds n jobs in one call.
	enqueue(ctx context.Context, n int) error
	// work starts a worker that calls handle for each job; leave stops it in order.
	work(ctx context.Context, handle func()) (leave func() error, err error)
	// another opens a second handle on the same database, as another process would.
	another(ctx context.Context) (side, error)
	close() error
}

// openSide opens the side that the task names and migrates its database.
func openSide(ctx context.Context, t task) (side, error) {
	switch t.Side {
	case "ours":
		return openOurs(ctx, t)
	case "river":
		return openRiver(ctx, t)
	}
	return nil, fmt.Errorf("no side is called %q", t.Side)
}

// fillBatch is the most jobs that fill adds in one call.
const fillBatch = 5000

func inBatches(n int, f func(n int) error) error {
	for n > 0 {
		batch := min(n, fillBatch)
		if err := f(batch); err != nil {
			return err
		}
		n -= batch
	}
	return nil
}
