package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"
)

// witness asks the database itself, on a connection of its own, what became of the
// jobs. Neither side is asked about its own success.
type witness struct {
	db   *sql.DB
	side string
	pg   bool
}

func newWitness(ctx context.Context, t task) (*witness, error) {
	w := &witness{side: t.Side, pg: t.Store == "postgres"}
	var err error
	if w.pg {
		w.db, err = sql.Open("pgx", t.URL)
	} else {
		w.db, err = sql.Open("sqlite", sqliteURL(t.URL))
	}
	if err != nil {
		return nil, err
	}
	w.db.SetMaxOpenConns(1)
	if w.pg {
		// Whether one row is left is asked of an index, also where statistics are old.
		_, err = w.db.ExecContext(ctx, "SET enable_seqscan = off")
	}
	return w, err
}

func (w *witness) close() { _ = w.db.Close() }

// sqliteURL opens a file with the durability that ours has: WAL, each commit synced.
func sqliteURL(path string) string {
	q := url.Values{
		"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(30000)"},
		"_txlock": {"immediate"},
	}
	return "file:" + path + "?" + q.Encode()
}

// settle gives both sides the same start: statistics as autovacuum makes them, and
// no checkpoint soon. Nobody analyses a SQLite file, so neither do we.
func (w *witness) settle(ctx context.Context) error {
	if w.pg {
		return errors.Join(w.exec(ctx, "VACUUM ANALYZE"), w.checkpoint(ctx))
	}
	return w.checkpoint(ctx)
}

func (w *witness) checkpoint(ctx context.Context) error {
	if w.pg {
		return w.exec(ctx, "CHECKPOINT")
	}
	return w.exec(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
}

func (w *witness) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := w.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (w *witness) is(ctx context.Context, question string) (yes bool, err error) {
	err = w.db.QueryRowContext(ctx, "SELECT "+question).Scan(&yes)
	return yes, err
}

func (w *witness) count(ctx context.Context, condition string) (n int, err error) {
	err = w.db.QueryRowContext(ctx, "SELECT count(*) FROM "+w.table()+" WHERE "+condition).Scan(&n)
	return n, err
}

func (w *witness) table() string {
	if w.side == "ours" {
		return "jobs"
	}
	return "river_job"
}

// Conditions as the partial indexes of each side know them.
func (w *witness) waiting() string {
	if w.side == "ours" {
		return "(EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND NOT quarantined) OR EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND quarantined))"
	}
	return "EXISTS (SELECT 1 FROM river_job WHERE state IN ('available', 'retryable', 'scheduled', 'pending'))"
}

func (w *witness) running() string {
	if w.side == "ours" {
		return "EXISTS (SELECT 1 FROM jobs WHERE state = 'in_progress')"
	}
	return "EXISTS (SELECT 1 FROM river_job WHERE state = 'running')"
}

// until polls a question until its answer is yes.
func (w *witness) until(ctx context.Context, every time.Duration, question string) error {
	for {
		yes, err := w.is(ctx, question)
		if err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(every):
		}
	}
}

// finished returns when the database knows of no job that waits or runs.
func (w *witness) finished(ctx context.Context) error {
	return w.until(ctx, 2*time.Millisecond, "NOT "+w.running()+" AND NOT "+w.waiting())
}
