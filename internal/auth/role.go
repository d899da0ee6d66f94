package auth

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// Role is what a key is for. A key has one.
type Role string

// Roles.
const (
	Customer Role = "customer" // places and follows its own orders
	Worker   Role = "worker"   // claims and ends jobs
	Staff    Role = "staff"    // sees everything, acts on jobs and letters
	Admin    Role = "admin"    // staff, and keys, purges and erasures
)

// Roles lists every role.
var Roles = []Role{Customer, Worker, Staff, Admin}

// Valid reports whether r is one of [Roles].
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Identity is who asks, once that is proved.
type Identity struct {
	KeyID      string    `json:"key_id"`
	Name       string    `json:"name"`
	Role       Role      `json:"role"`
	CustomerID uuid.UUID `json:"customer_id,omitzero"` // of customers
}

// Actor names who asks, for the history.
func (i Identity) Actor() string { return "key:" + i.KeyID }

// SeesAll reports whether other people's orders are open to it.
func (i Identity) SeesAll() bool { return i.Role == Staff || i.Role == Admin }

// Sees reports whether what belongs to the customer is open to it.
func (i Identity) Sees(customer uuid.UUID) bool {
	return i.SeesAll() || i.Role == Customer && i.CustomerID != uuid.Nil && i.CustomerID == customer
}

// checkOwner: a customer's key belongs to a customer, and no other does.
func checkOwner(r Role, customer uuid.UUID) error {
	switch {
	case !r.Valid():
		return fmt.Errorf("role %q: choose one of %v", r, Roles)
	case r == Customer && customer == uuid.Nil:
		return fmt.Errorf("a key of role %s needs the customer it belongs to", r)
	case r != Customer && customer != uuid.Nil:
		return fmt.Errorf("a key of role %s belongs to no customer", r)
	}
	return nil
}
