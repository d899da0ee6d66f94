package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// hint says when a job is due.
type hint struct {
	job job.ID
	due int64
}

// hint commits a wake-up for each job with its change, where a queue carries them.
func (t *tx) hint(hints ...hint) error {
	if !t.store.hints {
		return nil
	}
	for _, h := range hints {
		if err := t.sendHint(h.job, h.due); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) sendHint(of job.ID, due int64) error {
	id := of.String()
	return t.send(job.MessageHint, id, `{"v":1,"job_id":"`+id+`"}`, due)
}

// alert commits that a job ended as a dead letter.
func (t *tx) alert(j *job.Job) error {
	return t.send(job.MessageAlert, "dead_letter:"+j.ID.String(), list(job.Notice{
		V: 1, Alert: job.AlertDeadLetters, Group: j.Signature, ValueCents: j.ValueCents, Canary: j.Canary,
		JobIDs: []job.ID{j.ID}, CustomerID: j.CustomerID, JobKind: j.Kind, Redrives: j.Redrives,
		Cause: j.Cause, Class: j.Class, Signature: j.Signature, At: fromMicros(t.now),
	}), t.now)
}

// Tell implements [job.Teller].
func (s *Store) Tell(ctx context.Context, e job.Event, n *job.Notice) error {
	e, notice, err := store.Told(e, n)
	if err == nil {
		err = s.write(ctx, func(t *tx) error { return t.tell(e, n, notice) })
	}
	if err != nil {
		return fmt.Errorf("tell of %s: %w", e.Type, err)
	}
	return nil
}

func (t *tx) tell(e job.Event, n *job.Notice, notice []byte) error {
	if err := t.record(e); err != nil || n == nil {
		return err
	}
	_, err := t.exec(q.TellNotice, job.NewID().String(), n.Key, string(notice), t.now,
		fromMicros(t.now).Format(time.RFC3339Nano))
	return err
}

func (t *tx) send(kind, key, payload string, notBefore int64) error {
	_, err := t.exec(q.AddMessages, job.NewID().String(), kind, key, payload, notBefore, t.now)
	return err
}

// TakeMessages implements [job.Outbox].
func (s *Store) TakeMessages(ctx context.Context, kind string, limit int, hide time.Duration) ([]job.Message, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("take messages: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	var taken []job.Message
	err := s.write(ctx, func(t *tx) (err error) {
		taken, err = all(t, scanMessage, q.TakeMessages, t.now, t.now+hide.Microseconds(), limit, kind)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("take messages: %w", err)
	}
	// RETURNING has no order; within a channel, alerts are sent as they came.
	slices.SortFunc(taken, func(a, b job.Message) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return taken, nil
}

// HideMessages implements [job.Outbox].
func (s *Store) HideMessages(ctx context.Context, d time.Duration, taken ...job.Message) (gone []job.ID, err error) {
	if len(taken) == 0 {
		return nil, nil
	}
	err = s.write(ctx, func(t *tx) error {
		gone = nil
		for _, m := range taken {
			n, err := t.exec(q.HideMessages, m.ID.String(), m.Attempts, t.now+max(d, 0).Microseconds())
			if err != nil {
				return err
			}
			if n == 0 {
				gone = append(gone, m.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hide messages: %w", err)
	}
	return gone, nil
}

// AddHints implements [job.Outbox].
func (s *Store) AddHints(ctx context.Context, jobs ...job.ID) error {
	if len(jobs) == 0 {
		return nil
	}
	err := s.write(ctx, func(t *tx) error {
		t.wakes = true
		for _, id := range jobs {
			if err := t.sendHint(id, t.now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add hints: %w", err)
	}
	return nil
}

// MarkSent implements [job.Outbox].
func (s *Store) MarkSent(ctx context.Context, ids ...job.ID) error {
	if len(ids) == 0 {
		return nil
	}
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(q.MarkMessagesSent, t.now, list(ids))
		return err
	})
	if err != nil {
		return fmt.Errorf("mark messages sent: %w", err)
	}
	return nil
}

func scanMessage(r row) (m job.Message, err error) {
	var payload string
	err = r.Scan(&m.ID, &m.Kind, &m.Key, &payload, moment{&m.NotBefore}, &m.Attempts, moment{&m.CreatedAt})
	m.Payload = []byte(payload)
	return m, err
}
