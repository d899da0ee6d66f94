package job

import (
	"context"
	"time"
)

// Handler performs the jobs of one kind. It is called concurrently.
//
// nil completes the job. An ordinary error fails the attempt, to be tried again
// after a backoff; [Permanent], [Cancel] and [Snooze] choose another arrow. The
// context is cancelled, with a cause, when the lease is lost (ErrLeaseLost), the
// job was cancelled, or the drain's grace is over; the handler then returns soon,
// and whatever it returns is not recorded under a lost lease.
type Handler interface {
	Handle(ctx context.Context, a Attempt) error
}

// HandlerFunc makes a function a [Handler].
type HandlerFunc func(ctx context.Context, a Attempt) error

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, a Attempt) error { return f(ctx, a) }

// Attempt is one run of a job.
type Attempt struct {
	Job Job

	// Left is the time until the worker's lease, as far as the worker can be sure
	// of it, is over. Nothing may leave the house after. It reads a clock that
	// runs through suspend, and grows again with each good beat.
	Left func() time.Duration

	// Progress says that the handler got further; the next beat tells the store.
	Progress func()

	// Drain is closed when the worker wants to stop. A handler that can pause
	// ends what it has begun, begins nothing more and returns [ErrDrained]; one
	// that cannot just goes on until the grace is over and ctx is cancelled.
	Drain <-chan struct{}
}
