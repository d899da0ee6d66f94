package job

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// ID is a UUIDv7: unique, and ordered by the time it was made.
type ID = uuid.UUID

// NewID returns a fresh id. It panics only when the system has no randomness.
func NewID() ID { return uuid.Must(uuid.NewV7()) }

// IDAt is above every id made before t, and below those made later.
func IDAt(t time.Time) (id ID) {
	ms := max(t.UnixMilli(), 0)
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

// Kinds of job. An unknown kind waits and alerts; it is never discarded.
const (
	KindOrder   = "order"   // an order that was paid for
	KindRecheck = "recheck" // looks later whether submissions went live
	KindCanary  = "canary"  // a synthetic order; carries no money
	KindNoop    = "noop"    // does nothing; benchmarks
)

// Priorities run from 1, most urgent, to 4.
const (
	PriorityUrgent = 1
	PriorityLowest = 4
)

// Default budgets, see [Spec].
const (
	DefaultMaxAttempts = 5
	DefaultCrashBudget = 3
)

// QuarantineAfter is the number of crashes after which a job runs alone.
const QuarantineAfter = 2

// Spec describes a job to enqueue.
type Spec struct {
	ID             ID              // zero: the store makes one
	Kind           string          // required
	Priority       int             // 1 to 4; zero means 4
	Delay          time.Duration   // due this long after the store's now; zero means at once
	IdempotencyKey string          // the same key enqueues once; empty: no such check
	CustomerID     ID              // zero: none
	Package        string          // orders only
	Quota          int             // orders only: directories bought
	ValueCents     int64           // US cents paid
	Canary         bool            // excluded from money, KPIs and customer lists
	Payload        json.RawMessage // a JSON object; nil means {}
	MaxAttempts    int             // failures allowed; zero means DefaultMaxAttempts
	CrashBudget    int             // crashes allowed; zero means DefaultCrashBudget
	Actor          string          // who asked, for the event; empty means "system"
}

// Enqueued answers one [Spec].
type Enqueued struct {
	ID      ID   `json:"id"`
	Created bool `json:"created"` // false: the idempotency key was known, ID is the earlier job
}

// Job is one unit of work as the store has it. Times are UTC; the zero time
// means "not yet".
type Job struct {
	ID          ID              `json:"id"`
	Kind        string          `json:"kind"`
	State       State           `json:"state"`
	Priority    int             `json:"priority"`
	DueAt       time.Time       `json:"due_at"`
	CustomerID  ID              `json:"customer_id,omitzero"`
	Package     string          `json:"package,omitempty"`
	Quota       int             `json:"quota,omitempty"`
	Shortfall   int             `json:"shortfall,omitempty"`
	ValueCents  int64           `json:"value_cents"`
	Canary      bool            `json:"canary,omitempty"`
	Payload     json.RawMessage `json:"payload,omitempty"`
	Fence       int64           `json:"fence"`
	Attempt     int             `json:"attempt"`  // runs begun and counted; release and snooze take theirs back
	Failures    int             `json:"failures"` // spent of MaxAttempts
	Crashes     int             `json:"crashes"`  // spent of CrashBudget
	MaxAttempts int             `json:"max_attempts"`
	CrashBudget int             `json:"crash_budget"`
	Quarantined bool            `json:"quarantined,omitempty"`
	Redrives    int             `json:"redrives"`
	WorkerID    ID              `json:"worker_id,omitzero"` // owner while in progress, the last one after
	CreatedAt   time.Time       `json:"created_at"`
	ClaimedAt   time.Time       `json:"claimed_at,omitzero"`
	ProgressAt  time.Time       `json:"progress_at,omitzero"`
	FinishedAt  time.Time       `json:"finished_at,omitzero"`
	Cause       string          `json:"cause,omitempty"`     // text of the last failure
	Class       string          `json:"class,omitempty"`     // class of the last failure
	Signature   string          `json:"signature,omitempty"` // groups failures of one kind

	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// Standing is what a wake-up wants to know of a job.
type Standing struct {
	ID         ID
	State      State
	Due        bool // its time has come, by the store's clock
	Priority   int
	CustomerID ID
	FinishedAt time.Time
}

// Lease names one claim: the job, the fence that proves it is the latest, and
// the owner.
type Lease struct {
	JobID    ID    `json:"job_id"`
	Fence    int64 `json:"fence"`
	WorkerID ID    `json:"worker_id"`
}

// Lease returns the lease that the claim which produced j holds.
func (j *Job) Lease() Lease { return Lease{JobID: j.ID, Fence: j.Fence, WorkerID: j.WorkerID} }

// Worker is a running pool. Its identity is random per process boot.
type Worker struct {
	ID           ID        `json:"id"`
	Host         string    `json:"host"`
	Boot         string    `json:"boot,omitempty"` // of the host; another after a reboot
	PID          int       `json:"pid"`
	Version      string    `json:"version"`
	Kinds        []string  `json:"kinds"`
	Capacity     int       `json:"capacity"` // jobs it runs at once
	StartedAt    time.Time `json:"started_at"`
	BeatAt       time.Time `json:"beat_at"`
	LeaseUntil   time.Time `json:"lease_until"`
	RetiredAt    time.Time `json:"retired_at,omitzero"`
	RetiredCause string    `json:"retired_cause,omitempty"`
}

// CanariesOnly reports whether it is the worker of a drill: it performs canaries alone,
// may be killed on purpose, and is counted in no report.
func (w Worker) CanariesOnly() bool { return len(w.Kinds) == 1 && w.Kinds[0] == KindCanary }

// Causes of a worker's retirement.
const (
	RetiredLeaseExpired = "lease_expired" // no beat in time
	RetiredLockLost     = "lock_lost"     // the death-watch saw its session end
	RetiredToldToGo     = "told_to_go"    // a person
	RetiredStopped      = "stopped"       // it drained and left; not a crash
)

// NoProgress is the cause with which a job is taken back from a worker that lives.
const NoProgress = "no_progress"

// Held is a lease that a worker reports with its beat.
type Held struct {
	Lease
	Progressed bool // the handler got further since the last beat
}

// Lost is a held lease that a beat found gone, and the state the job is in now.
type Lost struct {
	Lease
	State State
}

// Pulse answers a beat.
type Pulse struct {
	LeaseUntil time.Time // on the store's clock
	Lost       []Lost

	// BeatAt is when the store took the beat, on its clock, and Since when it took the one
	// before it, or the registration: in between the worker had its lease. Where the lease
	// had run out Since is BeatAt. Beats at once come one after the other, so that no time
	// is told twice.
	BeatAt, Since time.Time

	// Strays are claims that the store knows as the worker's and that it did not
	// report: their answer was lost on the way. Only those older than the lease
	// that the beat grants are told, so that a claim under way is not taken for one.
	// The worker gives them back.
	Strays []Lease
}

// ClaimRequest asks for work.
type ClaimRequest struct {
	Worker ID
	Limit  int      // at most this many; must be positive
	Kinds  []string // kinds the worker has a handler for; others wait

	// Quarantined asks for one quarantined job instead of ordinary ones. The
	// worker asks only when it runs nothing else.
	Quarantined bool
}

// Failure describes how an attempt failed.
type Failure struct {
	Cause     string        // text for people; no secret
	Class     string        // see the Class constants
	Signature string        // empty: the store derives it with [Signature]
	Permanent bool          // no retry can mend it
	Delay     time.Duration // before the next attempt; the store's clock adds it
}

// Classes of failure, as far as the engine itself names them.
const (
	ClassTransient   = "transient"    // an ordinary handler error
	ClassPermanent   = "permanent"    // the handler said so
	ClassPanic       = "panic"        // the handler panicked
	ClassCrash       = "crash"        // the owner died, or hung in this job
	ClassUnknownKind = "unknown_kind" // no handler
)

// Recovered tells what one recovery batch did.
type Recovered struct {
	Jobs []RecoveredJob
}

// RecoveredJob is one job that recovery moved.
type RecoveredJob struct {
	ID          ID     `json:"id"`
	Kind        string `json:"kind"`
	Fence       int64  `json:"fence"`
	State       State  `json:"state"` // pending, or failed when the crash budget is spent
	Crashes     int    `json:"crashes"`
	Quarantined bool   `json:"quarantined"`
	Cause       string `json:"cause"` // the owner's retirement cause, or NoProgress
	WorkerID    ID     `json:"worker_id"`
	ValueCents  int64  `json:"value_cents"`
	Canary      bool   `json:"canary,omitempty"`
}

// StaleJob is a running job that recovery takes, or is about to.
type StaleJob struct {
	ID          ID        `json:"id"`
	Kind        string    `json:"kind"`
	Detector    Detector  `json:"detector"`
	Cause       string    `json:"cause"` // a Retired cause, NoProgress or NoOwner
	Since       time.Time `json:"since"` // end of the lease, retirement, or last progress
	Fence       int64     `json:"fence"`
	Crashes     int       `json:"crashes"`
	CrashBudget int       `json:"crash_budget"`
	ValueCents  int64     `json:"value_cents"`
	Canary      bool      `json:"canary,omitempty"`
	WorkerID    ID        `json:"worker_id"`
	Host        string    `json:"host,omitempty"`
	PID         int       `json:"pid,omitempty"`
	BeatAt      time.Time `json:"beat_at,omitzero"`
	ClaimedAt   time.Time `json:"claimed_at"`
	ProgressAt  time.Time `json:"progress_at"`
}

// NoOwner is the cause of a running job whose worker nobody knows.
const NoOwner = "no_owner"

// MostAhead bounds what [Reader] counts of a queue.
const MostAhead = 10_000

// Detector is what finds a stale job.
type Detector string

// Detectors.
const (
	Liveness   Detector = "liveness"    // the owner's lease is over
	Progress   Detector = "progress"    // the owner lives, its handler hangs
	DeathWatch Detector = "death_watch" // the owner's session ended
	Orphan     Detector = "orphan"      // the owner left, or is unknown
)

// DetectorOf tells which detector finds jobs with the cause.
func DetectorOf(cause string) Detector {
	switch cause {
	case RetiredLeaseExpired:
		return Liveness
	case RetiredLockLost:
		return DeathWatch
	case NoProgress:
		return Progress
	}
	return Orphan
}

// By says who acts and why; staff acts are journalled with it.
type By struct {
	Actor  string `json:"actor"` // "system", "worker:ID", "key:ID" or "cli:USER"
	Reason string `json:"reason,omitempty"`
}

// Scope says what a pause covers. Exactly one field is set.
type Scope struct {
	All      bool   `json:"all,omitempty"`
	Kind     string `json:"kind,omitempty"`
	Customer ID     `json:"customer,omitzero"`
}

// Validate reports a scope that names nothing or more than one thing.
func (s Scope) Validate() error {
	n := 0
	for _, set := range []bool{s.All, s.Kind != "", s.Customer != ID{}} {
		if set {
			n++
		}
	}
	if n != 1 {
		return &InvalidError{"scope", "name exactly one of all, a kind or a customer"}
	}
	return nil
}

// Key is the scope as one word: "all", "kind:K" or "customer:ID".
func (s Scope) Key() string {
	switch {
	case s.All:
		return "all"
	case s.Kind != "":
		return "kind:" + s.Kind
	default:
		return "customer:" + s.Customer.String()
	}
}

// Covers reports whether the job is in the scope.
func (s Scope) Covers(j Job) bool {
	return s.All || s.Kind != "" && s.Kind == j.Kind || s.Customer != ID{} && s.Customer == j.CustomerID
}

// Pause is a scope whose pending jobs are not claimed.
type Pause struct {
	Scope Scope     `json:"scope"`
	At    time.Time `json:"at"`
	By    By        `json:"by"`
}

// Filter selects jobs to list, newest first.
type Filter struct {
	State    State  // empty: any
	Kind     string // empty: any
	Customer ID     // zero: any
	Canaries bool   // include canaries
	Before   ID     // keyset: only ids below this one; zero: from the newest
	Limit    int    // zero means 50, at most 1000
}

// Retention says how long finished work is kept.
type Retention struct {
	Finished time.Duration // completed and cancelled jobs; zero means 90 days
	Archive  time.Duration // their counts by day, letters, names of erased evidence; zero means 365 days
	Batch    int           // rows a statement; zero means 1000
}

// Pruned counts what one retention pass removed.
type Pruned struct {
	Jobs, Events, Workers, Outbox int64
}
