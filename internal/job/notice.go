package job

import (
	"context"
	"time"
)

// Teller commits what a person must learn of and no job's change tells.
type Teller interface {
	// Tell adds e to the history and, unless n is nil, n to the outbox (kind alert),
	// in one transaction. The store gives the event its id, time and version. While a
	// notice with the same Key is unsent, the later one takes its place. The error is
	// an *InvalidError when e has no type, or n no key or no kind.
	Tell(ctx context.Context, e Event, n *Notice) error
}

// Notice is the payload of an outbox message of kind alert: what a person must learn
// of. The statements that end a job as a dead letter write the same shape.
//
// Notices of one Alert and Group fall together to one alert. It is open until a
// notice says Resolved.
type Notice struct {
	Key string `json:"-"` // of the outbox row; unsent doubles collapse
	V   int    `json:"v"` // 1; the store sets it

	Alert      string `json:"alert"`                 // kind, see the Alert constants
	Group      string `json:"group,omitempty"`       // what falls together within the kind: an error signature, a detector, a monitor; empty: all of the kind
	Severity   string `json:"severity,omitempty"`    // page, warn or info; empty: the kind's own
	Resolved   bool   `json:"resolved,omitempty"`    // the trouble is over, Text says how
	Text       string `json:"text,omitempty"`        // one sentence for people; no secret
	Count      int64  `json:"count,omitempty"`       // how many things it speaks of; 0 means 1
	ValueCents int64  `json:"value_cents,omitempty"` // at risk with these
	Whole      bool   `json:"whole,omitempty"`       // Count and ValueCents are all there is of the group, told before or not
	Canary     bool   `json:"canary,omitempty"`

	JobIDs     []ID   `json:"job_ids,omitempty"` // a sample, at most MostNoticeJobs are kept
	CustomerID ID     `json:"customer_id,omitzero"`
	JobKind    string `json:"job_kind,omitempty"`
	Redrives   int    `json:"redrives,omitempty"` // of the job before this; more than 0: failed again
	Cause      string `json:"cause,omitempty"`
	Class      string `json:"class,omitempty"`
	Signature  string `json:"signature,omitempty"`

	At time.Time `json:"at,omitzero"` // when it happened, on the store's clock; zero: when it is told
}

// MostNoticeJobs bounds the sample of jobs in a notice.
const MostNoticeJobs = 10

// Kinds of alert.
const (
	AlertDeadLetters     = "dead_letters"     // jobs that will not run unless a person says so
	AlertStaleRecovered  = "stale_recovered"  // jobs taken back from workers that died or hung
	AlertStorm           = "storm"            // too many owners dead at once to believe it
	AlertOrphans         = "orphans"          // rows that nobody would ever come to
	AlertMonitorSilent   = "monitor_silent"   // a monitor missed its passes
	AlertQueueBlind      = "queue_blind"      // the dead letter queue cannot be looked at
	AlertLettersExpiring = "letters_expiring" // retention is about to delete dead letters
	AlertBooks           = "books"            // sums that must balance do not
	AlertHealth          = "health"           // a service is not up that no other kind speaks of
	AlertLimiter         = "limiter"          // the rate limiter works without its store
	AlertShortfall       = "shortfall"        // fewer directories than the customer bought
	AlertChannelDown     = "channel_down"     // an alert channel refuses, or cannot be reached
)
