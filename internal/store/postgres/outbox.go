package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/jackc/pgx/v5"
)

// Tell commits an event, and what a person must be told with it.
func (s *Store) Tell(ctx context.Context, e job.Event, n *job.Notice) error {
	args, err := toldArgs(e, n)
	if err != nil {
		return err
	}
	_, err = changed(ctx, s, "tell of "+e.Type, "TellNotice", args...)
	return err
}

// toldArgs are those of TellNotice.
func toldArgs(e job.Event, n *job.Notice) ([]any, error) {
	e, notice, err := store.Told(e, n)
	if err != nil {
		return nil, fmt.Errorf("tell of %s: %w", e.Type, err)
	}
	key := ""
	if n != nil {
		key = n.Key
	}
	return []any{
		e.Type, dbID(e.JobID), dbID(e.OrderID), dbID(e.CustomerID), dbText(e.Directory), dbID(e.WorkerID), dbInt8(e.Fence),
		e.Actor, dbText(e.From), dbText(e.To), dbText(key), dbText(e.Cause), []byte(e.Detail), notice,
	}, nil
}

// TakeMessages hands out due messages of a kind and hides them for a while.
func (s *Store) TakeMessages(ctx context.Context, kind string, limit int, hide time.Duration) ([]job.Message, error) {
	return all(ctx, s, "take outbox messages", "TakeMessages", scanMessage, limit, delay(hide), kind)
}

func scanMessage(row pgx.CollectableRow) (m job.Message, err error) {
	err = row.Scan((*nullID)(&m.ID), &m.Kind, &m.Key, &m.Payload, (*nullTime)(&m.NotBefore), &m.Attempts, (*nullTime)(&m.CreatedAt))
	return m, err
}

// HideMessages hides taken messages on.
func (s *Store) HideMessages(ctx context.Context, d time.Duration, taken ...job.Message) (gone []job.ID, err error) {
	if len(taken) == 0 {
		return nil, nil
	}
	ids, takes := make([]job.ID, len(taken)), make([]int32, len(taken))
	for i, m := range taken {
		ids[i], takes[i] = m.ID, int32(m.Attempts)
	}
	hidden, err := all(ctx, s, "hide outbox messages", "HideMessages", scanID, arrayOf(ids), takes, delay(d))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(ids, func(id job.ID) bool { return slices.Contains(hidden, id) }), nil
}

// AddHints adds a hint for each job.
func (s *Store) AddHints(ctx context.Context, jobs ...job.ID) error {
	if len(jobs) == 0 {
		return nil
	}
	_, err := changed(ctx, s, "add hints", "AddHints", arrayOf(jobs))
	if err == nil {
		s.bell.ring()
	}
	return err
}

// MarkSent ends messages.
func (s *Store) MarkSent(ctx context.Context, ids ...job.ID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := changed(ctx, s, "mark outbox messages sent", "MarkMessagesSent", arrayOf(ids))
	return err
}

func arrayOf(ids []job.ID) [][16]byte {
	array := make([][16]byte, len(ids))
	for i, id := range ids {
		array[i] = id
	}
	return array
}
