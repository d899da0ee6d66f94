package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const warmUp = 300 * time.Millisecond

// enqueue measures how many jobs so many callers add in a window of time.
func enqueue(ctx context.Context, t task) (r result, err error) {
	s, err := openSide(ctx, t)
	if err != nil {
		return r, err
	}
	defer s.close()
	w, err := newWitness(ctx, t)
	if err != nil {
		return r, err
	}
	defer w.close()
	if _, err := callers(ctx, s, t, warmUp); err != nil {
		return r, err
	}
	if err := w.settle(ctx); err != nil {
		return r, err
	}
	before, err := w.count(ctx, "true")
	if err != nil {
		return r, err
	}
	var added int64
	r.Usage, err = measured(t, func() (err error) {
		added, err = callers(ctx, s, t, t.Window)
		return err
	})
	if err != nil {
		return r, err
	}
	after, err := w.count(ctx, "true")
	if err == nil && int64(after-before) != added {
		err = fmt.Errorf("%d jobs were accepted, %d are there", added, after-before)
	}
	jobs := float64(added)
	r.Metrics = rates(jobs, r.Usage)
	return r, err
}

// callers enqueue side by side until the window is over.
func callers(ctx context.Context, s side, t task, window time.Duration) (int64, error) {
	var added atomic.Int64
	errs := make(chan error, t.Callers)
	var all sync.WaitGroup
	until := time.Now().Add(window)
	for range t.Callers {
		all.Go(func() {
			for time.Now().Before(until) {
				if err := s.enqueue(ctx, t.Batch); err != nil {
					errs <- err
					return
				}
				added.Add(int64(t.Batch))
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return 0, fmt.Errorf("enqueue: %w", err)
	default:
		return added.Load(), nil
	}
}
