package auth

import (
	"context"
	"time"

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
}
