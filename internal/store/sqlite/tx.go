package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"sync"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// tx is one caller's part of a write transaction, at one moment of the store's clock.
type tx struct {
	store  *Store
	ses    *session
	now    int64    // microseconds
	fenced []string // verbs of refused writes
	wakes  bool     // a job may have become claimable
}

func newTx(s *Store, ses *session) *tx {
	return &tx{store: s, ses: ses, now: s.clock().UnixMicro()}
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(text string, args ...any) (int64, error) {
	st, err := t.ses.prepare(text)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(unhurried, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) query(text string, args ...any) (*sql.Rows, error) {
	st, err := t.ses.prepare(text)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(unhurried, args...)
}

// insert adds rows of one shape, several to a statement: that costs half of one
// statement a row. text ends with the VALUES of one row.
func (t *tx) insert(text string, rows [][]any) error {
	const chunk = 16
	for ; len(rows) >= chunk; rows = rows[chunk:] {
		args := make([]any, 0, chunk*len(rows[0]))
		for _, row := range rows[:chunk] {
			args = append(args, row...)
		}
		if _, err := t.exec(multiRow(text, chunk), args...); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if _, err := t.exec(text, row...); err != nil {
			return err
		}
	}
	return nil
}

var multiRowTexts sync.Map // of text: all with the same number of rows

// multiRow repeats the VALUES of an INSERT.
func multiRow(text string, n int) string {
	if known, ok := multiRowTexts.Load(text); ok {
		return known.(string)
	}
	_, values, _ := strings.Cut(text, "VALUES ")
	long := text + strings.Repeat(", "+values, n-1)
	multiRowTexts.Store(text, long)
	return long
}

// reader is the pool of connections that only read.
type reader struct {
	db    *sql.DB
	stmts sync.Map // text -> *sql.Stmt
}

func openReader(ctx context.Context, path string, connections int) (*reader, error) {
	if connections == 0 {
		connections = 4
	}
	db, err := openDB(path, connections, "busy_timeout(10000)", "query_only(ON)")
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return &reader{db: db}, nil
}

func (r *reader) close() error {
	r.stmts.Range(func(_, st any) bool {
		_ = st.(*sql.Stmt).Close()
		return true
	})
	return r.db.Close()
}

// prepare returns the statement, which database/sql prepares once a connection.
func (r *reader) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if st, ok := r.stmts.Load(text); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := r.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if first, raced := r.stmts.LoadOrStore(text, st); raced {
		_ = st.Close()
		return first.(*sql.Stmt), nil
	}
	return st, nil
}

// view is a read on one connection at one moment, or a plain read.
type view struct {
	ctx  context.Context
	pool *reader
	tx   *sql.Tx // nil: each statement by itself
}

func (v view) query(text string, args ...any) (*sql.Rows, error) {
	st, err := v.pool.prepare(v.ctx, text)
	if err != nil {
		return nil, err
	}
	if v.tx != nil {
		st = v.tx.StmtContext(v.ctx, st)
	}
	return st.QueryContext(v.ctx, args...)
}

// read returns a view whose statements see what is committed when each begins.
func (s *Store) read(ctx context.Context) view { return view{ctx: ctx, pool: s.reads} }

// snapshot runs fn on a view that sees one moment.
func (s *Store) snapshot(ctx context.Context, fn func(view) error) error {
	tx, err := s.reads.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.explain(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := fn(view{ctx: ctx, pool: s.reads, tx: tx}); err != nil {
		return s.explain(err)
	}
	return nil
}

// querier is what both a write transaction and a view are.
type querier interface {
	query(text string, args ...any) (*sql.Rows, error)
}

// row is what a scan reads from.
type row interface{ Scan(dest ...any) error }

// all collects the rows of a statement.
func all[T any](q querier, scan func(row) (T, error), text string, args ...any) (list []T, err error) {
	rows, err := q.query(text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// one returns the first row of a statement, or job.ErrNotFound.
func one[T any](q querier, scan func(row) (T, error), text string, args ...any) (v T, err error) {
	list, err := all(q, scan, text, args...)
	if err != nil {
		return v, err
	}
	if len(list) == 0 {
		return v, job.ErrNotFound
	}
	return list[0], nil
}

// q are the statements of queries/*.sql, by name.
var q = func() (s statements) {
	if err := store.MustReadStatements(queries, "queries").Bind(&s); err != nil {
		panic(err)
	}
	return s
}()
