package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// backend is a store as commands use it, of either dialect.
type backend interface {
	job.Store
	submit.Ledger
	submit.Pacer

	// Migrate applies what is pending and returns it.
	Migrate(ctx context.Context) ([]store.Migration, error)
	// MigrationStatus lists all migrations; it changes nothing.
	MigrationStatus(ctx context.Context) ([]store.Migration, error)
	Close() error
}

// existence says what to do about a SQLite file that is not there.
type existence bool

const (
	mustExist existence = false
	mayCreate existence = true
)

// databasePath is the SQLite file of a data directory.
func databasePath(c config.Config) string { return filepath.Join(c.DataDir, "directorybolt.db") }

// storeName says which store the settings choose, without secrets.
func storeName(c config.Config) string {
	if c.DatabaseURL != "" {
		return "postgres"
	}
	return databasePath(c)
}

// openStore opens the store that the settings name, for a command that looks or
// acts and is gone. It takes no lock and migrates nothing.
func (a *app) openStore(ctx context.Context) (backend, error) {
	c, err := a.settings()
	if err != nil {
		return nil, err
	}
	return a.open(ctx, c, a.quietLogger(c))
}

// open opens a store and checks its schema.
func (a *app) open(ctx context.Context, c config.Config, log *slog.Logger) (backend, error) {
	s, err := connect(ctx, c, log, mustExist)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openUnmigrated opens a store whatever its schema, for migrations.
func (a *app) openUnmigrated(ctx context.Context, e existence) (backend, error) {
	c, err := a.settings()
	if err != nil {
		return nil, err
	}
	return connect(ctx, c, a.quietLogger(c), e)
}

// openOwn opens the store for a process that serves from it: a SQLite store is
// locked, made if it is missing, and migrated; Postgres must be migrated.
func (a *app) openOwn(ctx context.Context, c config.Config, log *slog.Logger) (backend, error) {
	if c.DatabaseURL != "" {
		return a.open(ctx, c, log)
	}
	release, err := lockDataDir(c.DataDir)
	if err != nil {
		return nil, err
	}
	s, err := connect(ctx, c, log, mayCreate)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	own := &ownStore{s, release}
	if _, err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, own.Close())
	}
	return own, nil
}

// ownStore is a store whose data directory is ours alone.
type ownStore struct {
	backend
	release func() error
}

// Close closes the store, then gives the directory up.
func (s *ownStore) Close() error { return errors.Join(s.backend.Close(), s.release()) }

// checkSchema is an error when the schema is behind this binary.
func checkSchema(ctx context.Context, s backend) error {
	pending, err := pendingMigrations(ctx, s)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fmt.Errorf("open the store: %s pending: %w", count(len(pending), "migration"), job.ErrSchema)
	}
	return nil
}

func pendingMigrations(ctx context.Context, s backend) ([]store.Migration, error) {
	all, err := s.MigrationStatus(ctx)
	if err != nil {
		return nil, err
	}
	var pending []store.Migration
	for _, m := range all {
		if !m.Applied {
			pending = append(pending, m)
		}
	}
	return pending, nil
}

// present reports a SQLite file that is not there.
func present(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return remedied(fmt.Errorf("open the store: there is no database %s", path),
			"start: directorybolt all, or run: directorybolt migrate up; --data-dir and DATABASE_URL choose another")
	}
	return err
}

// makeDataDir makes the data directory.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return remedied(fmt.Errorf("make the data directory %s: %w", dir, cause(err)), "choose another with --data-dir or DATA_DIR")
	}
	return nil
}

// newProcess wires the worker with its handlers, and the stale monitor.
func newProcess(c config.Config, s backend, catalog *directory.Catalog, log *slog.Logger) (*process, error) {
	engine, err := submit.New(submit.Config{
		Ledger:      s,
		Pacer:       s,
		Jobs:        s,
		Catalog:     catalog,
		Methods:     methods(c),
		Evidence:    evidence.NewDir(filepath.Join(c.DataDir, "evidence")),
		Concurrency: c.SubmitConcurrency,
		Schedule:    c.RecheckSchedule,
		Log:         log,
	})
	if err != nil {
		return nil, err
	}
	pool, err := worker.New(worker.Config{
		Store: s,
		Handlers: map[string]job.Handler{
			job.KindOrder:   engine.Order(),
			job.KindRecheck: engine.Recheck(),
			job.KindNoop:    job.HandlerFunc(func(context.Context, job.Attempt) error { return nil }),
		},
		Concurrency: c.WorkerConcurrency,
		Heartbeat:   c.Heartbeat,
		Lease:       c.Lease,
		Poll:        c.PollInterval,
		DrainGrace:  c.DrainGrace,
		Version:     thisBuild().Version,
		Log:         log,
	})
	if err != nil {
		return nil, err
	}
	monitor := stale.New(stale.Config{Store: s, Interval: c.LivenessInterval(), Log: log})
	return &process{worker: pool.Run, services: []func(context.Context) error{monitor.Run}}, nil
}
