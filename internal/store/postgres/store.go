package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed queries/*.sql
var queryFiles embed.FS

var statements = store.MustReadStatements(queryFiles, "queries")

var (
	_ job.Store     = (*Store)(nil)
	_ submit.Ledger = (*Store)(nil)
	_ submit.Pacer  = (*Store)(nil)
	_ alert.Store   = (*Store)(nil)
)

// Config says which database and how. Zero means the default.
type Config struct {
	// URL of the database, also when it leads through a pooler. Required.
	URL string
	// DirectURL leads to the same database past a pooler in transaction mode. It is
	// used for what needs a session: wake-ups, the heartbeat and migrations.
	DirectURL string
	// Pooling is "session" or "transaction" when the operator knows it; "auto" or
	// empty: Open finds out.
	Pooling string
	// Hints makes changes that wake a job write outbox hints. Only for when a queue
	// transport is configured: nobody else takes them away.
	Hints bool
	// Log hears of the pooling mode and of lost connections; nil: slog.Default().
	Log *slog.Logger
	// OnFenced hears of each refused write, by verb. It must not block.
	OnFenced func(verb string)
	// BackoffBase and BackoffCap bound the delay after the second and later crashes
	// of a job, and the time a host's breaker stays open; zero means 30 s and 15 min.
	BackoffBase, BackoffCap time.Duration
	// MaxConns bounds the pool; zero means 10. Heartbeat and wake-ups have one
	// connection each beside it.
	MaxConns int
	// ConnectTimeout bounds one attempt to connect; zero means 5 s.
	ConnectTimeout time.Duration
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.URL == "" {
		faults = append(faults, &job.InvalidError{Field: "url", Reason: "is required"})
	}
	switch c.Pooling {
	case "", "auto", string(Session), string(Transaction):
	default:
		faults = append(faults, &job.InvalidError{Field: "pooling", Reason: fmt.Sprintf("must be auto, session or transaction, not %q", c.Pooling)})
	}
	if c.MaxConns < 0 {
		faults = append(faults, &job.InvalidError{Field: "max_conns", Reason: "must not be negative"})
	}
	return errors.Join(faults...)
}

// sessionSettings bound what a client that froze in the middle of something can
// hold on to. The others keep plans steady: each statement is written for an index,
// and a plan that was kept from when the table was small, or made from statistics
// of an empty queue, would read a hundred thousand jobs to claim ten. Behind a
// transaction pooler settings would leak to strangers; there, plans are not kept.
const sessionSettings = `
SET statement_timeout = '60s';
SET idle_in_transaction_session_timeout = '30s';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET jit = off`

// Store is the truth about jobs, kept in Postgres. It is safe for concurrent use.
type Store struct {
	config Config
	mode   Mode
	pool   *pgxpool.Pool
	direct *pgx.ConnConfig // what needs a session uses this; the pool's own where there is no other
	beats  *session
	bell   *bell
	ring   *ring

	sessions sessions
	cursor   cursor
}

// Open connects and finds out what the connection can do. It does not need the
// schema to be there: see [Store.Migrate] and [Store.CheckSchema].
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("open Postgres: %w", err)
	}
	c = c.withDefaults()
	config, hint, err := c.poolConfig()
	if err != nil {
		return nil, err
	}
	direct, err := c.directConfig(config)
	if err != nil {
		return nil, err
	}
	mode, err := c.proveMode(ctx, config.ConnConfig, hint)
	if err != nil {
		return nil, fmt.Errorf("open Postgres: %w", readable(err))
	}
	if mode == Transaction {
		// Named prepared statements live in a server session, which is another each
		// time. Descriptions of parameters and results may be kept.
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		if c.DirectURL == "" {
			direct.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
	} else {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.PgConn().Exec(ctx, sessionSettings).ReadAll()
			return err
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open Postgres: %w", readable(err))
	}
	s := &Store{config: c, mode: mode, pool: pool, direct: direct, beats: newSession(direct), ring: newRing()}
	s.sessions.known = c.DirectURL == "" && (mode == Transaction || c.proves())
	s.sessions.given = mode == Session
	s.bell = newBell(s)
	if err := s.checkVisible(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.OnFenced == nil {
		c.OnFenced = func(string) {}
	}
	if c.MaxConns == 0 {
		c.MaxConns = 10
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	return c
}

// Close ends every connection and every subscription to wake-ups.
func (s *Store) Close() error {
	s.ring.close()
	s.bell.close()
	s.beats.close()
	s.pool.Close()
	return nil
}

// Mode tells what was found out about the way to the database.
func (s *Store) Mode() Mode { return s.mode }

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ping Postgres: %w", readable(err))
	}
	return nil
}

// Now is the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	return one(ctx, s, "read the clock", "StoreNow", func(row pgx.CollectableRow) (now time.Time, err error) {
		err = row.Scan((*nullTime)(&now))
		return now, err
	})
}

// checkVisible refuses a role from which row-level security hides rows: an empty
// table and a hidden one look the same, and every order would be lost from sight.
func (s *Store) checkVisible(ctx context.Context) error {
	const hidden = `SELECT coalesce((SELECT row_security_active(oid) FROM pg_class WHERE oid = to_regclass('jobs')), false), current_user`
	var blind bool
	var role string
	if err := s.pool.QueryRow(ctx, hidden).Scan(&blind, &role); err != nil {
		return fmt.Errorf("open Postgres: %w", readable(err))
	}
	if blind {
		return fmt.Errorf("open Postgres: row-level security hides the table jobs from role %q; "+
			"connect as the owner of the tables, or as a role with BYPASSRLS such as service_role", role)
	}
	return nil
}
