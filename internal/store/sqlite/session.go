package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"
)

// patience is how long a write waits for other processes to let go of the file.
const patience = 10 * time.Second

// pageSize is SQLite's default; MaxBytes is counted in it.
const pageSize = 4096

// unhurried is the context of statements in a write transaction. A statement that
// is interrupted midway takes the transactions of the other callers in the group
// with it, so none is; and each cancellable context costs the driver a goroutine.
var unhurried = context.Background()

// session is one connection that writes, with its prepared statements. It is used
// by one goroutine at a time.
type session struct {
	db       *sql.DB
	conn     *sql.Conn
	stmts    map[string]*sql.Stmt
	patience time.Duration
}

func openSession(ctx context.Context, path string, maxBytes int64) (*session, error) {
	pragmas := []string{"busy_timeout(0)", "cache_size(-8192)", "journal_size_limit(67108864)"}
	if maxBytes > 0 {
		pragmas = append(pragmas, fmt.Sprintf("max_page_count(%d)", max(maxBytes/pageSize, 1)))
	}
	db, err := openDB(path, 1, pragmas...)
	if err != nil {
		return nil, err
	}
	var conn *sql.Conn
	err = whileBusy(ctx, patience, func() (err error) {
		conn, err = db.Conn(ctx)
		return err
	})
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &session{db: db, conn: conn, stmts: map[string]*sql.Stmt{}, patience: patience}, nil
}

func (c *session) close() error {
	for _, st := range c.stmts {
		_ = st.Close()
	}
	_ = c.conn.Close()
	return c.db.Close()
}

// journalWAL asks for the write-ahead log and answers the mode there is. Two
// processes that make the same file contend here without SQLite's own wait.
func (c *session) journalWAL(ctx context.Context) (mode string, err error) {
	err = whileBusy(ctx, c.patience, func() error {
		return c.conn.QueryRowContext(ctx, "PRAGMA journal_mode(WAL)").Scan(&mode)
	})
	return mode, err
}

// prove begins to write and gives up: a file that cannot be written is found out
// at start. A file that another process is writing can be written, and whoever only
// wants to read need not wait for that process.
func (c *session) prove() error {
	err := c.exec("BEGIN IMMEDIATE")
	if isBusy(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.exec("ROLLBACK")
}

// begin takes the write lock of the file, waiting for other processes. It does not
// use SQLite's own wait, which sleeps up to a tenth of a second at a time, so that
// whoever commits often wins every race; short sleeps give everybody a share.
func (c *session) begin(ctx context.Context) error {
	return whileBusy(ctx, c.patience, func() error { return c.exec("BEGIN IMMEDIATE") })
}

// whileBusy repeats act while another process holds the file, up to patience.
func whileBusy(ctx context.Context, patience time.Duration, act func() error) error {
	deadline := time.Now().Add(patience)
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 4*time.Millisecond) {
		err := act()
		if err == nil || !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		pause := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// exec runs a statement that is not worth keeping prepared, or has no arguments.
func (c *session) exec(text string) error {
	st, err := c.prepare(text)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(unhurried)
	return err
}

// prepare returns the statement, prepared once in the connection's life.
func (c *session) prepare(text string) (*sql.Stmt, error) {
	if st, ok := c.stmts[text]; ok {
		return st, nil
	}
	st, err := c.conn.PrepareContext(unhurried, text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = st
	return st, nil
}
