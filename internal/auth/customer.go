package auth

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// Account is a customer, as orders know it.
type Account struct {
	ID        uuid.UUID `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name,omitempty"`
	Canary    bool      `json:"canary,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Customers knows who buys. All methods may be called concurrently.
type Customers interface {
	// Customer answers a customer; job.ErrNotFound when there is none, or it was erased.
	Customer(ctx context.Context, id uuid.UUID) (Account, error)

	// CustomerByEmail answers a customer by its e-mail address, in any case;
	// job.ErrNotFound as above.
	CustomerByEmail(ctx context.Context, email string) (Account, error)

	// EraseCustomer removes, in one transaction, what is personal about a customer: its
	// name and address, the profiles of its orders, the identities, listings and evidence
	// of its submissions, what sites and people said about them, its keys and sessions.
	// What remains is anonymous: which orders there were, what was paid, what became of
	// each directory, when. Pending rechecks are cancelled and open letters purged. It is
	// journalled. Erasing again removes what came since. The blobs that its submissions
	// referred to are noted for those who keep them, see evidence.Erasures.
	//
	// job.ErrNotFound when there was no such customer, job.ErrState, with nothing changed,
	// while an order of it is not over.
	EraseCustomer(ctx context.Context, id uuid.UUID, by job.By) (Erasure, error)
}

// Erasure tells what was removed of a customer.
type Erasure struct {
	Jobs        int64    `json:"jobs"`
	Submissions int64    `json:"submissions"`
	Events      int64    `json:"events"`
	Letters     int64    `json:"letters"`
	Keys        int64    `json:"keys"`
	Evidence    []string `json:"evidence"` // names of blobs that nothing refers to any more: each process removes them from its own disk
}
