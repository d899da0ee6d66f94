package job

import (
	"errors"
	"fmt"
	"time"
)

// Errors a store returns. Callers match them with errors.Is.
var (
	// ErrLeaseLost: the lease named is no longer the job's latest, or the job is
	// no longer in progress. Nothing was changed.
	ErrLeaseLost = errors.New("lease lost")
	// ErrRetired: the worker's lease was declared over; it must stop and may
	// register again only under a new identity.
	ErrRetired = errors.New("worker retired")
	// ErrDrained: a handler paused because its worker drains; the job is released.
	ErrDrained = errors.New("drained")
	// ErrNotFound: no such job, worker, order or submission.
	ErrNotFound = errors.New("not found")
	// ErrState: the job is in a state that has no such arrow. Nothing was changed.
	ErrState = errors.New("state does not allow this")
	// ErrErased: the customer was erased, and with it what the job would need. It is
	// an [ErrState] too. Nothing was changed.
	ErrErased = fmt.Errorf("its customer was erased, and with it what the job would need: %w", ErrState)
	// ErrFull: the store has no room left. Nothing was half-written.
	ErrFull = errors.New("store is full")
	// ErrReadOnly: the store cannot be written.
	ErrReadOnly = errors.New("store is read-only")
	// ErrSchema: the schema is not the one this binary needs; run the migrations.
	ErrSchema = errors.New("schema does not match")
)

// A handler's ordinary error means: try again after a backoff. The functions
// below wrap an error to choose another arrow. Each keeps the error's text; of nil
// they make nil.

// Permanent marks an error that no retry can mend: the job fails at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// Cancel marks an error after which the job is cancelled.
func Cancel(err error) error {
	if err == nil {
		return nil
	}
	return &cancelError{err}
}

// Snooze gives the job back, uncounted, until delay has passed on the store's clock.
func Snooze(delay time.Duration, reason string) error { return &SnoozeError{delay, reason} }

// IsPermanent reports whether err, or one it wraps, came from [Permanent].
func IsPermanent(err error) bool { return errors.As(err, new(*permanentError)) }

// IsCancel reports whether err, or one it wraps, came from [Cancel].
func IsCancel(err error) bool { return errors.As(err, new(*cancelError)) }

// SnoozeError asks for a [Snooze]; find it with errors.As.
type SnoozeError struct {
	Delay  time.Duration
	Reason string
}

func (e *SnoozeError) Error() string { return fmt.Sprintf("snooze %s: %s", e.Delay, e.Reason) }

// InvalidError names the field of an argument that a store or a handler refused.
type InvalidError struct {
	Field  string
	Reason string
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Reason) }

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

type cancelError struct{ error }

func (e *cancelError) Unwrap() error { return e.error }
