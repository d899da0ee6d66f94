package ratelimit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Down is what a policy does while the storage does not answer.
type Down string

const (
	// Local goes on from the last count known, at most the limit in each instance, and
	// tells the storage afterwards what it let pass.
	Local Down = "local"
	// Open lets everything pass.
	Open Down = "open"
	// Closed refuses everything, as [Unavailable].
	Closed Down = "closed"
)

// Policy is a limit with a name.
type Policy struct {
	Name   string        // the same in headers, metrics and settings
	Limit  int           // requests, from 1 to MaxLimit
	Window time.Duration // whole milliseconds, at most MaxWindow
	Down   Down          // empty: Local
	// Durable keeps a stamp through a crash of the storage's machine, at the price of
	// a wait for its disk. Without it the last half second may be forgotten.
	Durable bool
}

const (
	MaxLimit  = 1_000_000
	MaxWindow = 24 * time.Hour
)

// Names of the policies in [Policies].
const (
	Public    = "public"
	Auth      = "auth"
	Staff     = "staff"
	StaffEdit = "staff_write"
	Admin     = "admin"
	KeyHour   = "key_hour"
	Worker    = "worker"
)

// netFactor is how much of a client's limit all clients of a network have together.
const netFactor = 16

// NetOf names the policy of the networks that goes with a client's: a /48 of IPv6
// holds 65 536 clients of /64.
func NetOf(policy string) string { return policy + "_net" }

// Policies returns the policies of this backend, changed by those given, of the same
// name. What a change leaves out is as it was. A name that is not there is an error.
func Policies(changes ...Policy) ([]Policy, error) {
	all := []Policy{
		{Name: Public, Limit: 100, Window: time.Minute},                               // a client, for every route not named below
		{Name: Auth, Limit: 5, Window: 15 * time.Minute, Down: Closed, Durable: true}, // a key that opens sessions, an address that fails to
		{Name: Staff, Limit: 300, Window: time.Minute},                                // a key, for pages and routes that read
		{Name: StaffEdit, Limit: 30, Window: time.Minute},                             // a key, for routes that change something
		{Name: Admin, Limit: 10, Window: time.Minute, Down: Closed},                   // a key, for keys, purge, settings
		{Name: KeyHour, Limit: 1000, Window: time.Hour},                               // a customer's key; asked first, never given back
		{Name: Worker, Limit: 600, Window: time.Minute},                               // a key, for workers in other languages
	}
	for _, c := range changes {
		i := slices.IndexFunc(all, func(p Policy) bool { return p.Name == c.Name })
		if i < 0 {
			return nil, fmt.Errorf("there is no rate policy %q", c.Name)
		}
		p := &all[i]
		p.Limit, p.Window, p.Down = cmp.Or(c.Limit, p.Limit), cmp.Or(c.Window, p.Window), cmp.Or(c.Down, p.Down)
	}
	for _, p := range all[:2] { // those that count by address
		p.Name, p.Limit = NetOf(p.Name), min(netFactor*p.Limit, MaxLimit)
		all = append(all, p)
	}
	return all, nil
}

// Validate reports every fault at once.
func (p Policy) Validate() error {
	var faults []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Errorf("policy %q: "+format, append([]any{p.Name}, args...)...))
		}
	}
	wrong(p.Name == "", "has no name")
	wrong(p.Limit < 1 || p.Limit > MaxLimit, "limit %d, want 1 to %d", p.Limit, MaxLimit)
	wrong(p.Window < time.Millisecond || p.Window > MaxWindow || p.Window%time.Millisecond != 0,
		"window %s, want whole milliseconds up to %s", p.Window, MaxWindow)
	switch p.Down {
	case "", Local, Open, Closed:
	default:
		wrong(true, "behaviour %q while the storage is down, want %s, %s or %s", p.Down, Local, Open, Closed)
	}
	return errors.Join(faults...)
}
