package job

import (
	"context"
	"errors"
)

// ErrNoSession: the way to the store keeps no session, so that no lock could last
// as long as a process does.
var ErrNoSession = errors.New("no session")

// Lifelines tell at once that a worker's process has ended, sooner than its lease
// would: a lifeline is a lock that the system takes from a process when it dies.
// It is an accelerator. Where there is none, and for a process that freezes, the
// lease decides.
type Lifelines interface {
	// Lifeline holds the lock of a registered worker and returns when it is held.
	// ErrNoSession: there is none here, and there will be none.
	Lifeline(ctx context.Context, worker ID) (Lifeline, error)

	// WatchLifelines retires workers whose lifeline it saw held and then found free,
	// with the cause [RetiredLockLost], and tells each it retired; a worker that is
	// retired already is left as it is. Any number may watch at once: one of them
	// retires. It watches until ctx ends, whatever happens to its connections, or
	// returns ErrNoSession.
	WatchLifelines(ctx context.Context, tell func(dead Worker)) error
}

// Lifeline is held for a worker until it is released, cut, or the process ends.
type Lifeline interface {
	// Cut is closed when the lock is lost though the process lives. Whoever watches
	// may have taken the worker for dead.
	Cut() <-chan struct{}

	// Release lets go. A worker that is not retired by then counts as dead.
	Release()
}
