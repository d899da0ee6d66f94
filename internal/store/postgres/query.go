package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// tries is how often a statement is run that was the victim of a deadlock, or that
// never left this process.
const tries = 3

// all runs a named statement and collects its rows. act is what an error says.
func all[T any](ctx context.Context, s *Store, act, statement string, scan pgx.RowToFunc[T], args ...any) ([]T, error) {
	var got []T
	err := again(ctx, func() error {
		rows, err := s.pool.Query(ctx, statements.Get(statement), args...)
		if err != nil {
			return err
		}
		got, err = pgx.CollectRows(rows, scan)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", act, readable(err))
	}
	return got, nil
}

// one runs a named statement whose answer is one row; none is job.ErrNotFound.
func one[T any](ctx context.Context, s *Store, act, statement string, scan pgx.RowToFunc[T], args ...any) (T, error) {
	got, err := all(ctx, s, act, statement, scan, args...)
	if err != nil {
		return *new(T), err
	}
	if len(got) == 0 {
		return *new(T), fmt.Errorf("%s: %w", act, job.ErrNotFound)
	}
	return got[0], nil
}

// changed runs a named statement and counts the rows it answers or changes.
func changed(ctx context.Context, s *Store, act, statement string, args ...any) (int64, error) {
	var tag pgconn.CommandTag
	err := again(ctx, func() (err error) {
		tag, err = s.pool.Exec(ctx, statements.Get(statement), args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", act, readable(err))
	}
	return tag.RowsAffected(), nil
}

// again repeats what certainly did not happen: a statement that a deadlock or a
// serialization failure undid, or that was never sent because its connection had
// died in the pool.
func again(ctx context.Context, run func() error) error {
	var err error
	for range tries {
		err = run()
		undone := hasCode(err, codeDeadlock, codeSerialization)
		unsent := err != nil && pgconn.SafeToRetry(err) && !errors.As(err, new(*pgconn.ConnectError))
		if err == nil || !undone && !unsent || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// The types below read a NULL as the zero value. They are converted pointers of
// the field that is read into, so that scanning allocates nothing.
type (
	nullText string
	nullTime time.Time
	nullID   uuid.UUID
	nullInt  int
	nullInt8 int64
)

func (t *nullText) ScanText(v pgtype.Text) error  { *t = nullText(v.String); return nil }
func (n *nullInt) ScanInt64(v pgtype.Int8) error  { *n = nullInt(v.Int64); return nil }
func (n *nullInt8) ScanInt64(v pgtype.Int8) error { *n = nullInt8(v.Int64); return nil }

func (d *nullID) ScanUUID(v pgtype.UUID) error {
	*d = nullID{}
	if v.Valid {
		*d = v.Bytes
	}
	return nil
}

func (t *nullTime) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = nullTime{}
	if v.Valid {
		*t = nullTime(v.Time.UTC())
	}
	return nil
}

// The functions below make arguments; the zero value becomes NULL.

func dbID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: id != uuid.Nil} }
func dbText(s string) pgtype.Text   { return pgtype.Text{String: s, Valid: s != ""} }
func dbInt(n int) pgtype.Int4       { return pgtype.Int4{Int32: int32(n), Valid: n != 0} }
func dbInt8(n int64) pgtype.Int8    { return pgtype.Int8{Int64: n, Valid: n != 0} }
func micros(d time.Duration) int64  { return d.Microseconds() }

// plain makes text that Postgres can store: valid UTF-8 without NUL, at most 8 KiB.
// What a site or a runtime says is neither by itself.
func plain(s string) string {
	const most = 8 << 10
	if len(s) > most {
		s = s[:most]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// leaseIDs splits leases into the two arrays that statements take.
func leaseIDs(leases []job.Lease) (ids [][16]byte, fences []int64) {
	ids, fences = make([][16]byte, len(leases)), make([]int64, len(leases))
	for i, l := range leases {
		ids[i], fences[i] = l.JobID, l.Fence
	}
	return ids, fences
}

func scanID(row pgx.CollectableRow) (id uuid.UUID, err error) {
	err = row.Scan((*nullID)(&id))
	return id, err
}

func scanText(row pgx.CollectableRow) (text string, err error) {
	err = row.Scan((*nullText)(&text))
	return text, err
}
