package queue

import (
	"context"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Errors of a transport. Callers match them with errors.Is.
var (
	// ErrGone: the receipt is no longer the message's latest, or the message is no
	// longer there. To be expected: the time ran out, and others have it.
	ErrGone = errors.New("message is no longer held")
	// ErrHeldLong: a message cannot be held any longer; SQS ends it after 12 hours.
	ErrHeldLong = errors.New("message was held as long as can be")
)

// Queue carries hints. All methods may be called concurrently.
//
// Methods that take several messages answer each by itself: errs has one entry for
// each argument, in the same order, and nil means that it was done. A transport
// tries again by itself what failed for no fault of the message, as long as ctx
// leaves it time.
type Queue interface {
	// Name is what people know the queue by. It holds no secret.
	Name() string

	// Send hands hints over. One that was accepted may arrive more than once, in
	// any order. One that was not may have been accepted all the same, when the answer
	// was lost; sending it again is then a double.
	Send(ctx context.Context, hints ...Outgoing) (errs []error)

	// Receive waits up to wait, at most 20 s, until there are messages, and returns
	// at most max of them, at most 10; nobody else gets them within hide. None is
	// an empty slice and no error. What arrives after ctx ended is hidden all the
	// same: whoever can wait lets Receive end by itself.
	Receive(ctx context.Context, max int, wait, hide time.Duration) ([]Message, error)

	// Extend hides messages for d from now on. [ErrHeldLong] when it cannot be.
	Extend(ctx context.Context, d time.Duration, ms ...Message) (errs []error)

	// Return gives messages back to be received after d; zero: at once.
	Return(ctx context.Context, d time.Duration, ms ...Message) (errs []error)

	// Delete ends messages. [ErrGone]: another receive has it by now, or it is gone.
	// No error is no proof of the contrary: a transport may not know.
	Delete(ctx context.Context, ms ...Message) (errs []error)
}

// Outgoing is a hint to send.
type Outgoing struct {
	ID   job.ID // of the outbox row: the same one sent again may be recognised as a double
	Hint Hint
}

// Message is a message that was received. Only the transport that made it can read
// its receipt.
type Message struct {
	ID         string
	Body       []byte
	SentAt     time.Time         // by the transport's clock
	Receives   int               // this one included; an estimate
	Attributes map[string]string // of the sender

	Receipt    string
	ReceivedAt time.Time // by this machine's clock, before the transport was asked
}

// Lanes are queues by priority, the most urgent first. There may be fewer than
// priorities: the last one takes the rest.
type Lanes []Queue

// For is the queue for jobs of a priority. A priority that was not said is the
// lowest.
func (l Lanes) For(priority int) Queue {
	if priority < job.PriorityUrgent || priority > len(l) {
		return l[len(l)-1]
	}
	return l[priority-1]
}
