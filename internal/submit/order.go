package submit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Order is the payload of a job of kind order.
type Order struct {
	V       int                `json:"v"` // version of the shape; 1
	Package string             `json:"package"`
	Profile directory.Business `json:"profile"`
	Trace   string             `json:"trace,omitempty"` // traceparent of the request that placed it
}

// OrderOptions are what most callers leave out.
type OrderOptions struct {
	Key   string // idempotency key; empty: made of customer, package and profile, so that the same order twice is one
	Actor string // who asked, for the history
	Trace string // traceparent of the request; empty: none
}

// OrderSpec makes the job of an order. The profile must be normalized and valid.
func OrderSpec(customer job.ID, b *directory.Business, p directory.Package, o OrderOptions) (job.Spec, error) {
	order := Order{V: 1, Package: p.Name, Profile: *b}
	payload, err := json.Marshal(order)
	if err != nil {
		return job.Spec{}, fmt.Errorf("encode order: %w", err)
	}
	key := o.Key
	if key == "" {
		sum := sha256.Sum256(append([]byte(customer.String()+"\n"), payload...))
		key = "order:" + hex.EncodeToString(sum[:16])
	}
	if order.Trace = o.Trace; order.Trace != "" { // no part of what makes two orders one
		if payload, err = json.Marshal(order); err != nil {
			return job.Spec{}, fmt.Errorf("encode order: %w", err)
		}
	}
	return job.Spec{
		Kind:           job.KindOrder,
		Priority:       p.Priority,
		IdempotencyKey: key,
		CustomerID:     customer,
		Package:        p.Name,
		Quota:          p.Quota,
		ValueCents:     p.PriceCents,
		Payload:        payload,
		Actor:          o.Actor,
	}, nil
}

// ParseOrder reads a payload that [OrderSpec] made. An unreadable payload is a
// permanent error; one of a later version is a snooze, see [readPayload].
func ParseOrder(payload []byte) (Order, error) {
	var o Order
	return o, readPayload("order", payload, &o, &o.V)
}

// newerWait is how long a job of a later release waits for a worker of that release.
const newerWait = time.Minute

// readPayload decodes a payload of version 1. A later version was written by a
// newer release, whose workers will come during a rolling deploy: the job waits for
// them, uncounted, instead of failing.
func readPayload(kind string, payload []byte, into any, version *int) error {
	if err := json.Unmarshal(payload, into); err != nil {
		return job.Permanent(fmt.Errorf("read %s payload: %w", kind, err))
	}
	switch {
	case *version > 1:
		return job.Snooze(newerWait, fmt.Sprintf("its payload has version %d, which needs a newer worker", *version))
	case *version < 1:
		return job.Permanent(fmt.Errorf("read %s payload: version %d is not known to this binary", kind, *version))
	}
	return nil
}
