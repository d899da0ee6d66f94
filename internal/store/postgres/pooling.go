package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Mode says how connections relate to server sessions.
type Mode string

const (
	// Session: a connection keeps its server session, as without a pooler.
	Session Mode = "session"
	// Transaction: each transaction may run in another server session.
	Transaction Mode = "transaction"
)

// heardWithin is how long a notification may take before it counts as lost.
const heardWithin = 2 * time.Second

// proveMode finds out the mode, or believes the operator, and tells what follows.
func (c Config) proveMode(ctx context.Context, config *pgx.ConnConfig, hint bool) (Mode, error) {
	mode, why := Mode(c.Pooling), "as configured"
	if c.proves() {
		var err error
		if mode, why, err = prove(ctx, config); err != nil {
			return "", err
		}
	}
	switch {
	case mode == Transaction && c.DirectURL == "":
		c.Log.WarnContext(ctx, "Postgres is behind a transaction pooler: jobs are found by polling only, dead workers by their lease only, "+
			"statements are not kept prepared; set DATABASE_DIRECT_URL for wake-ups and the death-watch", "mode", mode, "proof", why)
	case mode == Transaction:
		c.Log.InfoContext(ctx, "Postgres is behind a transaction pooler: wake-ups use the direct connection, "+
			"statements are not kept prepared", "mode", mode, "proof", why)
	case hint:
		c.Log.InfoContext(ctx, "Postgres looks like a transaction pooler by its URL, but gives sessions", "mode", mode, "proof", why)
	default:
		c.Log.DebugContext(ctx, "Postgres gives sessions", "mode", mode, "proof", why)
	}
	return mode, nil
}

// proves reports whether the mode is found out, not believed.
func (c Config) proves() bool { return c.Pooling == "" || c.Pooling == "auto" }

// prove opens two clients. While both are open, one server session for both proves
// a transaction pooler. Two different ones prove nothing, a busy pooler has many:
// then a notification that one sends and the other hears proves sessions.
func prove(ctx context.Context, config *pgx.ConnConfig) (mode Mode, why string, err error) {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // works in either mode
	a, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = a.Close(context.WithoutCancel(ctx)) }()
	b, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = b.Close(context.WithoutCancel(ctx)) }()

	seen := map[uint32]*pgx.Conn{}
	for range 3 {
		for _, conn := range []*pgx.Conn{a, b} {
			var pid uint32
			if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
				return "", "", err
			}
			if other, known := seen[pid]; known && other != conn {
				return Transaction, fmt.Sprintf("two open clients share backend %d", pid), nil
			}
			seen[pid] = conn
		}
	}
	if len(seen) > 2 {
		return Transaction, "a client changes its backend", nil
	}
	heard, err := hears(ctx, a, b)
	if err != nil {
		return "", "", err
	}
	if !heard {
		return Transaction, "a notification was not heard", nil
	}
	return Session, "a notification was heard", nil
}

// hears reports whether what b notifies reaches a.
func hears(ctx context.Context, a, b *pgx.Conn) (bool, error) {
	channel := pgx.Identifier{"directorybolt_probe_" + uuid.NewString()}.Sanitize()
	if _, err := a.Exec(ctx, "LISTEN "+channel); err != nil {
		return false, err
	}
	if _, err := b.Exec(ctx, "NOTIFY "+channel); err != nil {
		return false, err
	}
	wait, cancel := context.WithTimeout(ctx, heardWithin)
	defer cancel()
	_, err := a.WaitForNotification(wait)
	if err == nil {
		return true, nil // the session ends with the probe, and the LISTEN with it
	}
	if ctx.Err() != nil || !pgconn.Timeout(err) && !errors.Is(err, context.DeadlineExceeded) {
		return false, err
	}
	// Whichever session took the LISTEN goes back to the pool; it must not stay in it.
	_, err = a.Exec(ctx, "UNLISTEN "+channel)
	return false, err
}
