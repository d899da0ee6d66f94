package queue

import (
	"context"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// ErrRefused: the dead letter queue takes no such letter; trying again is no use.
var ErrRefused = errors.New("letter refused")

// DeadLetters is a dead letter queue: what the transport moved there by itself, and
// the letters that were sent there. All methods may be called concurrently; where
// several messages are named, each is answered by itself, as in [Queue].
type DeadLetters interface {
	// Name is what people know the queue by. It holds no secret.
	Name() string

	// Depth counts the messages. The numbers are estimates that may be a minute old.
	// An error is an error: zero means that the queue was seen empty.
	Depth(ctx context.Context) (Depth, error)

	// Look receives up to max letters and hides them from everybody for hide, at most
	// 12 hours. There is no other way to read them, and it has effects: each look
	// counts as a receive, and until hide is over or they are given back, nobody else
	// sees them. Give back with Return what you do not Delete.
	Look(ctx context.Context, max int, hide time.Duration) (Sample, error)

	// Return gives looked-at letters back at once. [ErrGone] says that the time was
	// over already, which comes to the same.
	Return(ctx context.Context, ls ...Letter) (errs []error)

	// Delete ends letters for good. The caller has kept what is in them.
	Delete(ctx context.Context, ls ...Letter) (errs []error)

	// Bury adds a letter. Done again after a lost answer it is a double, which its
	// JobID tells. [ErrRefused] when it can never be added.
	Bury(ctx context.Context, b Burial) error

	// Retention is how long a letter stays, counted from its SentAt.
	Retention(ctx context.Context) (time.Duration, error)
}

// Depth is how many messages a queue has.
type Depth struct {
	Visible  int64 // ready to be received
	InFlight int64 // somebody looks at them
	Delayed  int64 // not ready yet
}

// Total is all of them.
func (d Depth) Total() int64 { return d.Visible + d.InFlight + d.Delayed }

// Sample is what a look saw.
type Sample struct {
	Letters []Letter
	// Complete: the look ended because nothing more came. It is still an estimate: what
	// others hold is not seen.
	Complete bool
}

// Letter is a message in a dead letter queue.
type Letter struct {
	Message

	// Hint is what the body says; Poison is why it says nothing, and then no job can
	// be told from it.
	Hint   Hint
	Poison *PoisonError

	// Expires is when the queue drops the letter by its retention.
	Expires time.Time
	// Source names the queue that the transport moved it from; empty: it was sent here.
	Source string
}

// NewLetter reads a message of a dead letter queue.
func NewLetter(m Message, retention time.Duration) Letter {
	l := Letter{Message: m, Expires: m.SentAt.Add(retention)}
	h, err := Decode(m.Body)
	if !errors.As(err, &l.Poison) {
		l.Hint = h
	}
	return l
}

// Burial is a letter to add.
type Burial struct {
	ID     job.ID // the same one added again may be recognised as a double
	Hint   Hint
	Reason string // one sentence
	// Notes go with it as attributes: at most 8, named by letters, digits, - _ and dots. What a
	// transport cannot carry of a text it leaves out.
	Notes map[string]string
}

// Attributes that a buried letter carries. A message that has them and arrives in
// an ordinary queue was moved there by hand.
const (
	AttributeReason = "directorybolt.reason"
	AttributeJob    = "directorybolt.job_id"
)

// Mover moves dead letters back to where they came from. A [DeadLetters] may be one.
// It moves everything there is, without a choice: use it only where no message
// names a job, because a job's own way back is a redrive in the store.
type Mover interface {
	// Move begins to move everything, at most perSecond messages a second; zero: as
	// fast as the transport likes. One move runs at a time.
	Move(ctx context.Context, perSecond int) (handle string, err error)
	// Moves lists the latest moves, the latest first.
	Moves(ctx context.Context) ([]Move, error)
	// CancelMove stops a move. What was moved stays moved, and some more may follow:
	// the number is what the transport says at this moment, and Moves says it later.
	CancelMove(ctx context.Context, handle string) (moved int64, err error)
}

// Move is one move of dead letters.
type Move struct {
	Handle    string // only while it runs
	State     string // RUNNING, COMPLETED, CANCELLING, CANCELLED or FAILED
	Moved     int64
	ToMove    int64
	StartedAt time.Time
	Failure   string // why it failed
}
