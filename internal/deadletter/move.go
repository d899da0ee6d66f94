package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// Errors of [Move].
var (
	// ErrNamesJobs: messages in the queue name jobs. A move takes everything there is,
	// and the way back of a job is a redrive in the store.
	ErrNamesJobs = errors.New("messages in the dead letter queue name jobs")
	// ErrNoMove: this dead letter queue has no moves.
	ErrNoMove = errors.New("the dead letter queue cannot move messages")
)

// Move moves messages that name no job back to the queues they came from.
type Move struct {
	Store Store
	Queue queue.DeadLetters
	By    job.By
	Rate  int               // messages a second; zero: as fast as the queue likes
	Poll  time.Duration     // between two looks at how far it is; 1 s
	Tell  func(moved int64) // hears how far it is; nil: nobody
	Log   *slog.Logger      // nil: slog.Default()
}

// Run looks at the queue first, so that no message is moved that the store has not
// kept, and then moves everything. It returns how many messages the queue says it
// moved. When ctx ends the move goes on in the queue; the letters stay open.
func (m Move) Run(ctx context.Context) (int64, error) {
	mover, can := m.Queue.(queue.Mover)
	if !can {
		return 0, fmt.Errorf("move messages of %s: %w", m.Queue.Name(), ErrNoMove)
	}
	if m.Poll <= 0 {
		m.Poll = time.Second
	}
	if m.Tell == nil {
		m.Tell = func(int64) {}
	}
	ids, err := m.letters(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if _, err := mover.Move(ctx, m.Rate); err != nil {
		return 0, err
	}
	moved, err := m.await(ctx, mover)
	if err != nil {
		return moved, err
	}
	_, err = m.Store.ResolveLetters(ctx, ids, job.FateMoved, m.By)
	return moved, err
}

// letters looks into the queue and lists the letters of what a move would take.
func (m Move) letters(ctx context.Context) (ids []job.ID, err error) {
	var r Result
	if err := New(Config{Store: m.Store, Queue: m.Queue, Log: m.Log}).look(ctx, &r); err != nil {
		return nil, err
	}
	f := job.LetterFilter{Limit: redriveBatch}
	for {
		page, err := m.Store.Letters(ctx, f)
		if err != nil {
			return nil, err
		}
		for i := range page {
			l := &page[i]
			f.Before = l.ID
			switch {
			case l.JobID == (job.ID{}):
				ids = append(ids, l.ID)
			case l.MessageID != "":
				return nil, fmt.Errorf("message %s of job %s: %w", l.MessageID, l.JobID, ErrNamesJobs)
			}
		}
		if len(page) < f.Limit {
			return ids, nil
		}
	}
}

// await waits until the latest move has ended.
func (m Move) await(ctx context.Context, mover queue.Mover) (int64, error) {
	for {
		moves, err := mover.Moves(ctx)
		if err != nil || len(moves) == 0 {
			return 0, err
		}
		now := moves[0]
		m.Tell(now.Moved)
		switch now.State {
		case "COMPLETED":
			return now.Moved, nil
		case "FAILED", "CANCELLED":
			return now.Moved, fmt.Errorf("move messages of %s: %s after %d: %s", m.Queue.Name(), now.State, now.Moved, now.Failure)
		}
		if err := sleep(ctx, m.Poll); err != nil {
			return now.Moved, err
		}
	}
}
