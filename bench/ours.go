package main

import (
	"context"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// engine is a job store as both dialects have it.
type engine interface {
	job.Store
	Migrate(ctx context.Context) ([]store.Migration, error)
	Close() error
}

// ours is DirectoryBolt at its defaults.
type ours struct {
	task
	store engine
}

func openOurs(ctx context.Context, t task) (*ours, error) {
	s, err := openEngine(ctx, t)
	if err != nil {
		return nil, err
	}
	if t.Kind == "" {
		t.Kind = job.KindNoop
	}
	return &ours{t, s}, nil
}

func openEngine(ctx context.Context, t task) (s engine, err error) {
	if t.Store == "postgres" {
		s, err = postgres.Open(ctx, postgres.Config{URL: t.URL, Log: quiet})
	} else {
		s, err = sqlite.Open(ctx, sqlite.Config{Path: t.URL, Log: quiet})
	}
	if err != nil {
		return nil, err
	}
	if _, err := s.Migrate(ctx); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return s, nil
}

func (o *ours) fill(ctx context.Context, n int) error {
	return inBatches(n, func(n int) error { return o.add(ctx, n, func(i int) int { return 1 + i%4 }) })
}

func (o *ours) enqueue(ctx context.Context, n int) error {
	return o.add(ctx, n, func(int) int { return job.PriorityLowest })
}

func (o *ours) add(ctx context.Context, n int, priority func(i int) int) error {
	specs := make([]job.Spec, n)
	for i := range specs {
		specs[i] = job.Spec{Kind: o.Kind, Priority: priority(i)}
	}
	_, err := o.store.Enqueue(ctx, specs...)
	return err
}

func (o *ours) work(ctx context.Context, handle func()) (leave func() error, err error) {
	handler := job.HandlerFunc(func(context.Context, job.Attempt) error {
		handle()
		return nil
	})
	return o.pool(ctx, handler)
}

// pool runs a pool at its defaults, except for what the task says about its lease.
func (o *ours) pool(ctx context.Context, h job.Handler) (leave func() error, err error) {
	p, err := worker.New(worker.Config{
		Store: o.store, Log: quiet, Handlers: map[string]job.Handler{o.Kind: h}, Heartbeat: o.Beat, Lease: o.Lease,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() { left <- p.Run(ctx) }()
	return func() error { cancel(); return <-left }, nil
}

func (o *ours) another(ctx context.Context) (side, error) { return openOurs(ctx, o.task) }

func (o *ours) close() error { return o.store.Close() }
