package alert

import (
	"context"
	"time"
)

// Notifier sends to one channel. It is used by one goroutine at a time.
type Notifier interface {
	// Channel is the channel's name: slack, webhook, pagerduty or email.
	Channel() string
	// Target is a hash of where the channel leads and with what rights, so that a
	// change of settings can be told from a restart. It tells nobody what they are.
	Target() string
	// Least is the least severity that the channel is for.
	Least() Severity
	// Send tries once, until ctx ends, and says what became of it. No secret is in the answer.
	Send(ctx context.Context, p Post) Receipt
}

// Outcome is what became of a message.
type Outcome string

// Outcomes.
const (
	Delivered Outcome = "delivered" // the service has it
	Retry     Outcome = "retry"     // not now
	Refused   Outcome = "refused"   // it will not take this message; others it may
	Closed    Outcome = "closed"    // it will take none until a person mends the channel
)

// Outcomes is every outcome.
var Outcomes = []Outcome{Delivered, Retry, Refused, Closed}

// Receipt answers a try.
type Receipt struct {
	Outcome Outcome
	After   time.Duration // the service asks not to be tried before
	Doubt   bool          // it may have the message: no answer came after it was sent
	Cause   string        // for people, when it was not delivered
}
