// Package local keeps the contract of queue with the database: the unsent hints of
// the outbox are the messages, and taking one hides it. It needs no server, no
// account and no network. Either a relay carries the hints of an outbox away or this
// queue hands them out, not both.
package local

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// poll is the time between two looks while nothing wakes a receiver: hints of other
// processes may not.
const poll = 250 * time.Millisecond

// Store is what the queue needs of a job store.
type Store interface {
	job.Outbox
	job.Waker
}

// Queue keeps [queue.Queue] with a store.
type Queue struct{ store Store }

var _ queue.Queue = (*Queue)(nil)

// New is the queue of a store.
func New(s Store) *Queue { return &Queue{s} }

// Name says that it is the database.
func (q *Queue) Name() string { return "database" }

// Send adds hints. Two of one job are one message.
func (q *Queue) Send(ctx context.Context, hints ...queue.Outgoing) []error {
	ids := make([]job.ID, len(hints))
	for i, h := range hints {
		ids[i] = h.Hint.JobID
	}
	return slices.Repeat([]error{q.store.AddHints(ctx, ids...)}, len(hints))
}

// Receive takes hints that are due.
func (q *Queue) Receive(ctx context.Context, most int, wait, hide time.Duration) ([]queue.Message, error) {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	wake := q.store.Wake(listening)
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		asked := time.Now()
		taken, err := q.store.TakeMessages(ctx, job.MessageHint, min(max(most, 1), 10), hide)
		if err != nil || len(taken) > 0 {
			return read(taken, asked), err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-over.C:
			return nil, nil
		case <-wake:
		case <-time.After(poll):
		}
	}
}

func read(taken []job.Message, asked time.Time) []queue.Message {
	messages := make([]queue.Message, len(taken))
	for i, m := range taken {
		messages[i] = queue.Message{
			ID: m.ID.String(), Body: m.Payload, SentAt: m.CreatedAt, Receives: m.Attempts,
			Receipt: strconv.Itoa(m.Attempts), ReceivedAt: asked,
		}
	}
	return messages
}

// Extend hides messages on.
func (q *Queue) Extend(ctx context.Context, d time.Duration, ms ...queue.Message) []error {
	taken := make([]job.Message, len(ms))
	for i, m := range ms {
		taken[i].ID, taken[i].Attempts = row(m)
	}
	gone, err := q.store.HideMessages(ctx, d, taken...)
	errs := slices.Repeat([]error{err}, len(ms))
	for i, m := range taken {
		if slices.Contains(gone, m.ID) {
			errs[i] = queue.ErrGone
		}
	}
	return errs
}

// Return gives messages back.
func (q *Queue) Return(ctx context.Context, d time.Duration, ms ...queue.Message) []error {
	return q.Extend(ctx, d, ms...)
}

// Delete ends messages.
func (q *Queue) Delete(ctx context.Context, ms ...queue.Message) []error {
	ids := make([]job.ID, len(ms))
	for i, m := range ms {
		ids[i], _ = row(m)
	}
	return slices.Repeat([]error{q.store.MarkSent(ctx, ids...)}, len(ms))
}

// row is the row of a message, and the take that holds it. What is not ours is the row
// of nobody.
func row(m queue.Message) (id job.ID, take int) {
	_ = id.UnmarshalText([]byte(m.ID))
	take, _ = strconv.Atoi(m.Receipt)
	return id, take
}
