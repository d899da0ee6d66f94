package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5/pgconn"
)

// Codes of conditions that this package knows by name.
const (
	codeInvalidText       = "22021"
	codeUntranslatable    = "22P05"
	codeUniqueViolation   = "23505"
	codeCheckViolation    = "23514"
	codeReadOnly          = "25006"
	codeSerialization     = "40001"
	codeDeadlock          = "40P01"
	codeUndefinedColumn   = "42703"
	codeUndefinedFunction = "42883"
	codeUndefinedTable    = "42P01"
	codeDiskFull          = "53100"
	codeLockNotAvailable  = "55P03"
)

// readable turns what the driver says into our errors, recognised by code.
func readable(err error) error {
	var refused *pgconn.ConnectError
	if errors.As(err, &refused) {
		return unreachable(refused)
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch pg.Code {
	case codeDiskFull:
		return fmt.Errorf("%w: %w", job.ErrFull, err)
	case codeReadOnly:
		return fmt.Errorf("%w: %w", job.ErrReadOnly, err)
	case codeUndefinedTable, codeUndefinedColumn, codeUndefinedFunction:
		return fmt.Errorf("%w; run: directorybolt migrate up: %w", job.ErrSchema, err)
	case codeUntranslatable, codeInvalidText:
		return fmt.Errorf("%w: %w", &job.InvalidError{Field: "text", Reason: "holds a character that Postgres cannot store, such as NUL"}, err)
	}
	return err
}

// connectFault says in one sentence where there is no database. It keeps the cause
// for errors.Is, but not in its text: the driver tells each address it tried.
type connectFault struct {
	text  string
	cause error
}

func (f *connectFault) Error() string { return f.text }
func (f *connectFault) Unwrap() error { return f.cause }

// unreachable names host, port and database, and why; never the password.
func unreachable(err *pgconn.ConnectError) error {
	c := err.Config
	where := net.JoinHostPort(c.Host, fmt.Sprint(c.Port))
	return &connectFault{
		text:  fmt.Sprintf("cannot connect to Postgres at %s, database %q, user %q: %s", where, c.Database, c.User, reason(err)),
		cause: err,
	}
}

func reason(err error) string {
	var pg *pgconn.PgError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &pg):
		return pg.Message
	case errors.As(err, &dns):
		return "no such host"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return errors.Unwrap(err).Error()
}

func hasCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, code := range codes {
		if pg.Code == code {
			return true
		}
	}
	return false
}

// violates reports whether err is a violation of the named unique index.
func violates(err error, index string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == codeUniqueViolation && pg.ConstraintName == index
}
