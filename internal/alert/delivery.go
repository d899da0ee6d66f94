package alert

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Delivery is one message for one channel: a row from the moment it is to be said
// until the channel has accepted it.
type Delivery struct {
	ID        job.ID    `json:"id"`
	Channel   string    `json:"channel"`
	AlertID   job.ID    `json:"alert_id,omitzero"` // zero: a digest of several
	Topic     string    `json:"topic"`             // kind, as the lane of its digests
	Lane      string    `json:"lane"`              // order is kept within channel and lane
	Message   Message   `json:"message"`
	DueAt     time.Time `json:"due_at"` // when people should have heard of it
	CreatedAt time.Time `json:"created_at"`
	NextAt    time.Time `json:"next_at"` // not tried before; while it is on its way, hidden until then
	Attempts  int       `json:"attempts"`

	// DoubtAt is when the first attempt began of which nobody knows how it ended:
	// before an attempt it is set, after a clear answer it is taken back. The channel
	// may have the message already when this is not zero.
	DoubtAt  time.Time `json:"doubt_at,omitzero"`
	SentAt   time.Time `json:"sent_at,omitzero"`
	Refusals int       `json:"refusals,omitempty"`
	ParkedAt time.Time `json:"parked_at,omitzero"` // refused again and again: a person must look; tried seldom
	Error    string    `json:"error,omitempty"`    // of the last attempt
}

// Channel is what is remembered of a channel, for all processes.
type Channel struct {
	Name         string    `json:"name"`
	Target       string    `json:"target"`                 // a hash of where it leads: another target is another chance
	NextAt       time.Time `json:"next_at,omitzero"`       // nothing is sent before
	Failures     int       `json:"failures,omitempty"`     // in a row
	FailingSince time.Time `json:"failing_since,omitzero"` // zero: the last answer was good
	HeldAt       time.Time `json:"held_at,omitzero"`       // since when it refuses everything: a person must mend it
	Error        string    `json:"error,omitempty"`        // of the last failure
	GoodAt       time.Time `json:"good_at,omitzero"`       // when it last accepted something
	Told         bool      `json:"told,omitempty"`         // the other channels have heard of it
}

// Backlog is what waits for a channel.
type Backlog struct {
	Channel
	Waiting   int64     `json:"waiting"`
	OldestDue time.Time `json:"oldest_due,omitzero"` // of those
	Parked    int64     `json:"parked"`
}

// Post is a delivery on its way: what a notifier gets.
type Post struct {
	ID      job.ID // the same each time the message is tried
	Message Message
	At      time.Time     // now
	Late    time.Duration // zero: in time
	Repeat  time.Time     // zero: surely the first; else the attempt at that moment may have arrived
	Plain   bool          // it was refused before: as little form as possible
}
