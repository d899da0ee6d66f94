package job

import (
	"context"
	"time"
)

// Rollups keep sums by the minute, for the reports of a week, a month, a year: how often
// something happened, how long something lasted, what it was worth. They are added to
// in one piece, so that any number of processes come to the exact sum.
//
// Whoever counts does so in memory and adds once a minute: a process that dies takes what
// it counted since, at most a minute's, with it. What must not be lost is told by events.
type Rollups interface {
	// AddFacts adds to the sums of the minutes in which the facts happened, all or none.
	AddFacts(ctx context.Context, facts ...Fact) error

	// Rollups lists the sums of a name whose minute or hour begins in [from, to), oldest
	// first. Retention folds the minutes of last week and before into hours.
	Rollups(ctx context.Context, name string, from, to time.Time) ([]Rollup, error)
}

// Fact is something to add to a sum.
type Fact struct {
	Name   string
	Labels string        // tells sums of one name apart: a cause, a kind; empty: there is one
	Value  int64         // what is added
	Ago    time.Duration // how long ago it happened; the store's clock knows when that was
}

// Rollup is the sum of a minute or of an hour.
type Rollup struct {
	Name   string        `json:"name"`
	Labels string        `json:"labels,omitempty"`
	At     time.Time     `json:"at"` // when it begins
	Span   time.Duration `json:"span_ns"`
	Value  int64         `json:"value"`
}

// Names of facts.
const (
	FactPasses         = "monitor_passes"        // good passes; label: the monitor
	FactPassesFailed   = "monitor_passes_failed" // label: the monitor
	FactBeats          = "beats"                 // that renewed a lease
	FactBeatsFailed    = "beats_failed"
	FactUptime         = "worker_seconds"      // seconds in which a worker had its lease, by its own clock or, over HTTP, the store's
	FactRetired        = "workers_retired"     // label: the cause
	FactRecovered      = "jobs_recovered"      // label: the cause
	FactCompleted      = "jobs_completed"      // label: the kind
	FactFailed         = "jobs_failed"         // dead letters that a worker ended; label: the kind
	FactDecisions      = "ratelimit_decisions" // of the rate limiter; label: policy/outcome/source
	FactHealth         = "health_seconds"      // seconds in which a service was so; label: service/status, or overall/verdict
	FactHealthChanges  = "health_changes"      // label: the same, of what it became
	FactCompletedWorth = "completed_cents"     // value of the completed jobs, canaries left out; label: the kind
)
