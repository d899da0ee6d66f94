package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// idle is the least time between two jobs. River passes over notifications that
// follow one another within its FetchCooldown, 100 ms by default.
const idle = 120 * time.Millisecond

// insertToStart measures, on an idle system with one worker, the time from the call
// that enqueues a job to the start of its handler.
func insertToStart(ctx context.Context, t task) (r result, err error) {
	s, err := openSide(ctx, t)
	if err != nil {
		return r, err
	}
	defer s.close()
	from := s
	if t.Remote {
		if from, err = s.another(ctx); err != nil {
			return r, err
		}
		defer from.close()
	}
	started := make(chan time.Time, 1)
	leave, err := s.work(ctx, func() { started <- time.Now() })
	if err != nil {
		return r, err
	}
	time.Sleep(time.Second) // it connects and listens
	const warmUps = 10
	var took []time.Duration
	r.Usage, err = measured(t, func() error {
		for range t.Jobs + warmUps {
			// The system falls idle, for longer than anybody's debouncing, and the next
			// job comes at no moment that fits.
			time.Sleep(idle + rand.N(idle))
			begun := time.Now()
			if err := from.enqueue(ctx, 1); err != nil {
				return err
			}
			select {
			case at := <-started:
				took = append(took, at.Sub(begun))
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	ms := milliseconds(took[warmUps:])
	r.Metrics = map[string]float64{"p50, ms": percentile(ms, 50), "p99, ms": percentile(ms, 99), "max, ms": percentile(ms, 100)}
	return r, leave()
}
