package submit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Order is the payload of a job of kind order.
type Order struct {
	V       int                `json:"v"` // version of the shape; 1
	Package string             `json:"package"`
	Profile directory.Business `json:"profile"`
}

// OrderOptions are what most callers leave out.
type OrderOptions struct {
	Key   string // idempotency key; empty: made of customer, package and profile, so that the same order twice is one
	Actor string // who asked, for the history
}

// OrderSpec makes the job of an order. The profile must be normalized and valid.
func OrderSpec(customer job.ID, b *directory.Business, p directory.Package, o OrderOptions) (job.Spec, error) {
	payload, err := json.Marshal(Order{V: 1, Package: p.Name, Profile: *b})
	if err != nil {
		return job.Spec{}, fmt.Errorf("encode order: %w", err)
	}
	key := o.Key
	if key == "" {
		sum := sha256.Sum256(append([]byte(customer.String()+"\n"), payload...))
		key = "order:" + hex.EncodeToString(sum[:16])
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

// ParseOrder reads a payload that [OrderSpec] made. The error is permanent: no
// retry makes a payload readable.
func ParseOrder(payload []byte) (Order, error) {
	var o Order
	if err := json.Unmarshal(payload, &o); err != nil {
		return o, job.Permanent(fmt.Errorf("read order payload: %w", err))
	}
	if o.V != 1 {
		return o, job.Permanent(fmt.Errorf("read order payload: version %d is not known to this binary", o.V))
	}
	return o, nil
}
