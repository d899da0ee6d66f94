package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Enqueue implements [job.Enqueuer].
func (s *Store) Enqueue(ctx context.Context, specs ...job.Spec) ([]job.Enqueued, error) {
	specs, err := wellFormed(specs)
	if err != nil || len(specs) == 0 {
		return nil, err
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
	}{p.Package, p.Quota, p.ValueCents, p.Canary})
}

// wellFormed checks the specs and returns them with their defaults.
func wellFormed(specs []job.Spec) ([]job.Spec, error) {
	full := make([]job.Spec, len(specs))
	for i, p := range specs {
		if err := check(&p); err != nil {
			if len(specs) > 1 {
				return nil, fmt.Errorf("enqueue job %d of %d: %w", i+1, len(specs), err)
			}
			return nil, fmt.Errorf("enqueue job: %w", err)
		}
		if p.ID == (job.ID{}) {
			p.ID = job.NewID()
		}
		p.Priority = cmp.Or(p.Priority, job.PriorityLowest)
		p.MaxAttempts = cmp.Or(p.MaxAttempts, job.DefaultMaxAttempts)
		p.CrashBudget = cmp.Or(p.CrashBudget, job.DefaultCrashBudget)
		if len(p.Payload) == 0 {
			p.Payload = json.RawMessage("{}")
		}
		full[i] = p
	}
	return full, nil
}

// longestDelay keeps every due time within what a moment can say.
const longestDelay = 100 * 365 * 24 * time.Hour

func check(p *job.Spec) error {
	bad := func(field, reason string) error { return &job.InvalidError{Field: field, Reason: reason} }
	switch {
	case p.Kind == "":
		return bad("kind", "name the kind of job")
	case !isText(p.Kind):
		return bad("kind", "is not valid text")
	case p.Priority < 0 || p.Priority > job.PriorityLowest:
		return bad("priority", "must be 1, most urgent, to 4")
	case p.Delay < 0 || p.Delay > longestDelay:
		return bad("delay", "must be between zero and a hundred years")
	case p.Quota < 0:
		return bad("quota", "must not be negative")
	case p.ValueCents < 0:
		return bad("value_cents", "must not be negative")
	case p.MaxAttempts < 0 || p.MaxAttempts > 1<<15-1:
		return bad("max_attempts", "must be positive and below 32768")
	case p.CrashBudget < 0 || p.CrashBudget > 1<<15-1:
		return bad("crash_budget", "must be positive and below 32768")
	case !isText(p.Package):
		return bad("package", "is not valid text")
	case !isText(p.IdempotencyKey):
		return bad("idempotency_key", "is not valid text")
	case len(p.Payload) > 0 && !isObject(p.Payload):
		return bad("payload", "must be a JSON object")
	}
	return nil
}

// isText: both dialects can keep it.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// isObject reports a JSON object.
func isObject(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) && json.Valid(b) && utf8.Valid(b)
}
