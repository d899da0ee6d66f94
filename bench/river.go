package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

// riverDefaults are River's, with the MaxWorkers of its documentation, for it has
// no default of its own.
var riverDefaults = riverSetting{MaxWorkers: 100, Cooldown: river.FetchCooldownDefault, Poll: river.FetchPollIntervalDefault}

// riverConns bounds River's pool on Postgres. Its driver leaves that to the
// program; this is more than it uses, so that it never waits for a connection.
const riverConns = 20

// riverClient is a client, whatever its driver.
type riverClient interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	InsertMany(ctx context.Context, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	InsertManyFast(ctx context.Context, params []river.InsertManyParams) (int, error)
}

// peer is River.
type peer struct {
	task
	inserter riverClient
	client   func(*river.Config) (riverClient, error)
	exec     riverdriver.Executor
	shut     func() error
}

type noopArgs struct{}

func (noopArgs) Kind() string { return "noop" }

type noopWorker struct {
	river.WorkerDefaults[noopArgs]
	handle func(context.Context, *river.Job[noopArgs]) error
}

func (w *noopWorker) Work(ctx context.Context, j *river.Job[noopArgs]) error { return w.handle(ctx, j) }

func openRiver(ctx context.Context, t task) (*peer, error) {
	if t.Store == "postgres" {
		config, err := pgxpool.ParseConfig(t.URL)
		if err != nil {
			return nil, err
		}
		config.MaxConns = riverConns
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return nil, err
		}
		return newPeer(ctx, t, riverpgxv5.New(pool), func() error { pool.Close(); return nil })
	}
	db, err := sql.Open("sqlite", sqliteURL(t.URL))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // as its driver's documentation says
	return newPeer(ctx, t, riversqlite.New(db), db.Close)
}

func newPeer[T any](ctx context.Context, t task, driver riverdriver.Driver[T], shut func() error) (*peer, error) {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	p := &peer{task: t, exec: driver.GetExecutor(), shut: shut}
	p.client = func(c *river.Config) (riverClient, error) {
		c.Logger = quiet
		return river.NewClient(driver, c)
	}
	// An inserting client spaces its notifications by the same setting as a worker's.
	setting := p.setting()
	p.inserter, err = p.client(&river.Config{FetchCooldown: setting.Cooldown, FetchPollInterval: setting.Poll})
	return p, err
}

func (p *peer) fill(ctx context.Context, n int) error {
	return inBatches(n, func(n int) error {
		_, err := p.inserter.InsertManyFast(ctx, params(n, func(i int) int { return 1 + i%4 }))
		return err
	})
}

func (p *peer) enqueue(ctx context.Context, n int) (err error) {
	switch {
	case n == 1:
		_, err = p.inserter.Insert(ctx, noopArgs{}, nil)
	case p.Fast:
		_, err = p.inserter.InsertManyFast(ctx, params(n, func(int) int { return 1 }))
	default:
		_, err = p.inserter.InsertMany(ctx, params(n, func(int) int { return 1 }))
	}
	return err
}

func params(n int, priority func(i int) int) []river.InsertManyParams {
	many := make([]river.InsertManyParams, n)
	for i := range many {
		many[i] = river.InsertManyParams{Args: noopArgs{}, InsertOpts: &river.InsertOpts{Priority: priority(i)}}
	}
	return many
}

func (p *peer) work(ctx context.Context, handle func()) (leave func() error, err error) {
	return p.run(ctx, &river.Config{}, func(context.Context, *river.Job[noopArgs]) error {
		handle()
		return nil
	})
}

// setting is the task's, River's default where it says nothing.
func (p *peer) setting() riverSetting {
	return riverSetting{
		MaxWorkers: cmp.Or(p.River.MaxWorkers, riverDefaults.MaxWorkers),
		Cooldown:   cmp.Or(p.River.Cooldown, riverDefaults.Cooldown),
		Poll:       cmp.Or(p.River.Poll, riverDefaults.Poll),
	}
}

// run starts a client with the task's settings.
func (p *peer) run(ctx context.Context, c *river.Config, handle func(context.Context, *river.Job[noopArgs]) error) (leave func() error, err error) {
	setting := p.setting()
	c.Workers = river.NewWorkers()
	river.AddWorker(c.Workers, &noopWorker{handle: handle})
	c.FetchCooldown, c.FetchPollInterval = setting.Cooldown, setting.Poll
	c.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: setting.MaxWorkers}}
	client, err := p.client(c)
	if err != nil {
		return nil, err
	}
	if err := client.Start(ctx); err != nil {
		return nil, err
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return client.Stop(ctx)
	}, nil
}

func (p *peer) another(ctx context.Context) (side, error) {
	if p.Store == "sqlite" {
		return nil, errors.New("a second River handle on one SQLite file is not measured")
	}
	return openRiver(ctx, p.task)
}

func (p *peer) close() error { return p.shut() }
