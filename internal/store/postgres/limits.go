package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// LimitsConfig says how the logs of rate limits are kept. Zero means the default.
type LimitsConfig struct {
	// Conns is how many connections they have for themselves; 2, and at most 4 are of
	// use.
	Conns int
	// Commit waits for the disk at each statement, as if every policy were durable.
	Commit bool
}

// limitsSettings keep a statement of a process that is gone from holding a row.
const limitsSettings = `SET statement_timeout = '5s'; SET jit = off`

// Limits keeps the logs of rate limits on connections of its own, so that neither
// jobs nor requests wait for each other. It is safe for concurrent use.
type Limits struct {
	pool   *pgxpool.Pool
	commit bool
}

var _ ratelimit.Storage = (*Limits)(nil)

// Limits opens the logs of rate limits in this database. The caller closes them,
// before or after the store.
func (s *Store) Limits(ctx context.Context, c LimitsConfig) (*Limits, error) {
	if c.Conns == 0 {
		c.Conns = 2
	}
	config := s.pool.Config()
	config.MaxConns, config.MinConns = int32(c.Conns), int32(c.Conns)
	config.MaxConnLifetime = 24 * time.Hour // a new connection takes longer than a decision may
	config.AfterConnect = nil
	if s.mode == Session {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.PgConn().Exec(ctx, limitsSettings).ReadAll()
			return err
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open rate limits: %w", readable(err))
	}
	return &Limits{pool: pool, commit: c.Commit}, nil
}

// Close ends its connections.
func (l *Limits) Close() error {
	l.pool.Close()
	return nil
}

// Ping implements [ratelimit.Storage].
func (l *Limits) Ping(ctx context.Context) error {
	if err := l.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ping rate limits: %w", readable(err))
	}
	return nil
}

// Admit implements [ratelimit.Storage].
func (l *Limits) Admit(ctx context.Context, asks []ratelimit.Ask) ([]ratelimit.Answer, error) {
	answers := make([]ratelimit.Answer, 0, len(asks))
	args := l.arguments(asks)
	err := unsent(func() error {
		answers = answers[:0]
		return l.admit(ctx, args, asks, &answers)
	})
	if err != nil {
		return nil, fmt.Errorf("admit %d keys: %w", len(asks), counted(err))
	}
	return answers, nil
}

// admit runs the statement. Its rows come in the order of the asks.
func (l *Limits) admit(ctx context.Context, args []any, asks []ratelimit.Ask, answers *[]ratelimit.Answer) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ratelimit.ErrUncounted, err)
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, statements.Get("AdmitRequests"), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var key [16]byte
	var a ratelimit.Answer
	into := []any{&key, &a.Granted, &a.Used, &a.FreeAt, &a.At}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if n := len(*answers); n >= len(asks) || asks[n].Key != key {
			return errors.New("answers are out of order")
		}
		*answers = append(*answers, a)
	}
	return rows.Err()
}

func (l *Limits) arguments(asks []ratelimit.Ask) []any {
	n := len(asks)
	keys := make([][16]byte, n)
	ints, longs := make([]int32, 6*n), make([]int64, 2*n)
	column := func(i int) []int32 { return ints[i*n : (i+1)*n] }
	commit := l.commit
	for i, a := range asks {
		keys[i] = a.Key
		for c, v := range [...]int64{
			int64(a.N), int64(a.Limit), a.Window.Milliseconds(), int64(a.Debt),
			min(a.DebtAge.Milliseconds(), int64(ratelimit.MaxWindow/time.Millisecond)), int64(a.Known),
		} {
			ints[c*n+i] = int32(v)
		}
		longs[i], longs[n+i] = a.KnownAt, a.KnownUntil
		commit = commit || a.Durable
	}
	sync := "off"
	if commit {
		sync = "on"
	}
	return []any{keys, column(0), column(1), column(2), column(3), column(4), column(5), longs[:n], longs[n:], sync}
}

// unsent repeats once what was never sent, because its connection had died in the
// pool.
func unsent(run func() error) error {
	err := run()
	if err != nil && pgconn.SafeToRetry(err) && !errors.As(err, new(*pgconn.ConnectError)) {
		err = run()
	}
	return err
}

// counted tells an error after which nothing was counted: the statement was not
// sent, or the server undid it. A session that was ended may have committed before.
func counted(err error) error {
	var pg *pgconn.PgError
	undone := errors.As(err, &pg) && pg.Severity == "ERROR"
	if undone || pgconn.SafeToRetry(err) || errors.As(err, new(*pgconn.ConnectError)) {
		return fmt.Errorf("%w: %w", ratelimit.ErrUncounted, readable(err))
	}
	return readable(err)
}

// Sweep implements [ratelimit.Storage].
func (l *Limits) Sweep(ctx context.Context, limit int) (int, error) {
	tag, err := l.pool.Exec(ctx, statements.Get("SweepRateLimits"), limit)
	if err != nil {
		return 0, readable(err)
	}
	return int(tag.RowsAffected()), nil
}

// Secret returns the secret of that name, which all processes on this database
// share. It is made when first asked for.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	made := make([]byte, 32)
	_, _ = rand.Read(made) // never fails
	if _, err := changed(ctx, s, "keep the secret "+name, "KeepSecret", name, made); err != nil {
		return nil, err
	}
	return one(ctx, s, "read the secret "+name, "ReadSecret", func(row pgx.CollectableRow) (value []byte, err error) {
		err = row.Scan(&value)
		return value, err
	}, name)
}
