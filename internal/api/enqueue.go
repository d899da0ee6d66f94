package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
)

// jobRequest is work for workers in any language.
type jobRequest struct {
	Kind         string          `json:"kind"`
	Payload      json.RawMessage `json:"payload,omitempty"`       // an object: what the worker needs to know
	Priority     int             `json:"priority,omitempty"`      // 1, most urgent, to 4; 4 unless told
	DelaySeconds float64         `json:"delay_seconds,omitempty"` // before it is due
	CustomerID   job.ID          `json:"customer_id,omitzero"`
	MaxAttempts  int             `json:"max_attempts,omitempty"` // failures allowed; the setting MAX_ATTEMPTS unless told
	CrashBudget  int             `json:"crash_budget,omitempty"` // crashes allowed; the setting CRASH_BUDGET unless told
}

// shapes tells what stands in the raw parts.
func (jobRequest) shapes() map[string]any { return map[string]any{"payload": map[string]any{}} }

// spec checks what only the API asks; the rest is the store's to check.
func (in jobRequest) spec(actor string) (job.Spec, error) {
	switch {
	case slices.Contains(ownKinds, in.Kind):
		return job.Spec{}, invalid("jobs of kind %s are not enqueued by hand; an order is placed with POST /api/orders", in.Kind)
	case len(in.Kind) > mostName:
		return job.Spec{}, invalid("kind has more than %d bytes", mostName)
	}
	return job.Spec{
		Kind: in.Kind, Payload: in.Payload, Priority: in.Priority, Delay: seconds(in.DelaySeconds), CustomerID: in.CustomerID,
		MaxAttempts: in.MaxAttempts, CrashBudget: in.CrashBudget, Actor: actor,
	}, checkDelay(in.DelaySeconds)
}

// createJob enqueues a job of a kind that is not the house's own.
func (s *server) createJob(w http.ResponseWriter, r *http.Request) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	var in jobRequest
	if err := decodeBytes(data, &in); err != nil {
		return err
	}
	who := identityOf(r.Context())
	spec, err := in.spec(who.Actor())
	if err != nil {
		return err
	}
	spec.MaxAttempts, spec.CrashBudget = cmp.Or(spec.MaxAttempts, s.MaxAttempts), cmp.Or(spec.CrashBudget, s.CrashBudget)
	if err := s.customerExists(r.Context(), in.CustomerID); err != nil {
		return err
	}
	if key := r.Header.Get(idempotencyHeader); key != "" {
		// The same request is one job also when the answer below was not kept.
		print := idempotency.FingerprintOf(r.Method, r.URL.Path, data)
		spec.IdempotencyKey = fmt.Sprintf("api:%s:%s:%x", who.KeyID, key, print[:8])
	}
	made, err := s.Store.Enqueue(r.Context(), spec)
	if err != nil {
		return err
	}
	j, err := s.Store.Job(r.Context(), made[0].ID)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/jobs/"+j.ID.String())
	status := http.StatusOK
	if made[0].Created {
		status = http.StatusCreated
	}
	return answerJSON(w, status, viewOf(j))
}

// customerExists refuses a customer that there is not; the zero id is nobody.
func (s *server) customerExists(ctx context.Context, id job.ID) error {
	if id == (job.ID{}) {
		return nil
	}
	_, err := s.Store.Customer(ctx, id)
	if errors.Is(err, job.ErrNotFound) {
		return refuse(http.StatusNotFound, codeCustomerNotFound, "there is no customer %s", id)
	}
	return err
}
