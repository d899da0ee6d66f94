package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// Enqueue implements [job.Enqueuer].
func (s *Store) Enqueue(ctx context.Context, specs ...job.Spec) ([]job.Enqueued, error) {
	specs, err := store.Complete(specs)
	if err != nil {
		return nil, fmt.Errorf("enqueue jobs: %w", err)
	}
	if len(specs) == 0 {
		return nil, nil
	}
	var answers []job.Enqueued
	err = s.write(ctx, func(t *tx) (err error) {
		answers, err = t.enqueue(specs)
		return err
	})
	if isDouble(err) {
		err = &job.InvalidError{Field: "id", Reason: "a job with this id exists"}
	}
	if err != nil {
		return nil, fmt.Errorf("enqueue jobs: %w", err)
	}
	return answers, nil
}

// enqueue answers known keys and adds the rest.
func (t *tx) enqueue(specs []job.Spec) ([]job.Enqueued, error) {
	answers := make([]job.Enqueued, len(specs))
	keys := map[string]job.ID{}
	fresh := make([]*job.Spec, 0, len(specs))
	for i := range specs {
		spec := &specs[i]
		known, err := t.enqueuedBefore(spec.IdempotencyKey, keys)
		if err != nil {
			return nil, err
		}
		if known != (job.ID{}) {
			answers[i] = job.Enqueued{ID: known}
			continue
		}
		if spec.IdempotencyKey != "" {
			keys[spec.IdempotencyKey] = spec.ID
		}
		answers[i] = job.Enqueued{ID: spec.ID, Created: true}
		fresh = append(fresh, spec)
	}
	return answers, t.add(fresh)
}

// enqueuedBefore is the job that has the key: an earlier one, or one of this call.
func (t *tx) enqueuedBefore(key string, keys map[string]job.ID) (job.ID, error) {
	if key == "" {
		return job.ID{}, nil
	}
	if id, ok := keys[key]; ok {
		return id, nil
	}
	found, err := all(t, scanID, q.EnqueuedBefore, key)
	if err != nil || len(found) == 0 {
		return job.ID{}, err
	}
	return found[0], nil
}

func (t *tx) add(specs []*job.Spec) error {
	rows := make([][]any, len(specs))
	var events []job.Event
	var hints []hint
	for i, p := range specs {
		due := t.now + p.Delay.Microseconds()
		rows[i] = []any{
			p.ID.String(), p.Kind, p.Priority, due, idOrNull(p.CustomerID), orNull(p.Package), orNull(p.Quota),
			p.ValueCents, p.Canary, string(p.Payload), p.MaxAttempts, p.CrashBudget, orNull(p.IdempotencyKey), t.now,
		}
		if isOrder(p.Kind) {
			events = append(events, job.Event{
				Type: job.EventOrderCreated, JobID: p.ID, OrderID: p.ID, CustomerID: p.CustomerID,
				Actor: p.Actor, To: string(job.Pending), Detail: orderDetail(p),
			})
		}
		hints = append(hints, hint{p.ID, due})
	}
	if err := t.insert(q.EnqueueJobs, rows); err != nil {
		return err
	}
	if err := t.record(events...); err != nil {
		return err
	}
	t.wakes = true
	return t.hint(hints...)
}

func orderDetail(p *job.Spec) json.RawMessage {
	return detail(struct {
		Package    string `json:"package,omitempty"`
		Quota      int    `json:"quota,omitempty"`
		ValueCents int64  `json:"value_cents"`
		Canary     bool   `json:"canary,omitempty"`
		Trace      string `json:"trace_id,omitempty"`
	}{p.Package, p.Quota, p.ValueCents, p.Canary, traceID(p.Payload)})
}

// traceID is the trace in which an order was placed, where its payload names one.
func traceID(payload json.RawMessage) string {
	var placed struct {
		Trace string `json:"trace"` // a traceparent: version, trace, span, flags
	}
	_ = json.Unmarshal(payload, &placed) // one that names none is not our concern
	if parts := strings.Split(placed.Trace, "-"); len(parts) > 1 {
		return parts[1]
	}
	return ""
}
