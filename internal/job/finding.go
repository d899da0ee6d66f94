package job

import (
	"context"
	"fmt"
	"time"
)

// Finding is something that is wrong until somebody or something mends it: work that
// fell between two chairs, or a monitor that does not look any more. It has a kind, and
// within it a subject that is the same each time it is found.
type Finding struct {
	Kind       string    `json:"kind"`
	Subject    string    `json:"subject"`
	Cause      string    `json:"cause,omitempty"`
	Mark       string    `json:"-"`     // two looks found the same if this is the same too
	Since      time.Time `json:"since"` // when it began, as far as the store can tell
	Count      int64     `json:"count"` // things found under the subject
	ValueCents int64     `json:"value_cents"`
	JobID      ID        `json:"job_id,omitzero"` // the job, or the first of them
	OrderID    ID        `json:"order_id,omitzero"`
	CustomerID ID        `json:"customer_id,omitzero"`
	Directory  string    `json:"directory,omitempty"`
	WorkerID   ID        `json:"worker_id,omitzero"`
	FirstAt    time.Time `json:"first_at,omitzero"` // when it was noted first
	ToldAt     time.Time `json:"told_at,omitzero"`  // zero: people were not told
}

// Kinds of orphan: what nobody would ever come to by himself.
const (
	// OrphanOwner: a running job whose worker nobody knows. Subject: the worker.
	OrphanOwner = NoOwner
	// OrphanUnclaimed: work is due and idle workers do not take it, or there is nobody
	// who could. Subject: the kind of job.
	OrphanUnclaimed = "unclaimed"
	// OrphanUnsent: outbox messages are due and nobody carries them. Subject: their kind.
	OrphanUnsent = "unsent"
	// OrphanHint: an unsent hint names a job that is not there. Subject: the hint's key.
	OrphanHint = "hint_without_job"
	// OrphanUnhinted: a due job has no hint under way while a worker idles. Subject: the job.
	OrphanUnhinted = "job_without_hint"
	// OrphanUndecided: an intent without outcome whose order is over, so that nobody will
	// ask the directory. Subject: the submission.
	OrphanUndecided = "undecided"
	// OrphanUnbalanced: the books of an order do not balance, see [Books]. Subject: the order.
	OrphanUnbalanced = "unbalanced"
)

// OrphanKinds lists every kind, in the order in which a monitor looks.
var OrphanKinds = []string{
	OrphanOwner, OrphanUnclaimed, OrphanUnsent, OrphanHint, OrphanUnhinted, OrphanUndecided, OrphanUnbalanced,
}

// Causes of [OrphanUnclaimed].
const (
	UnclaimedIdle      = "idle"       // a worker that could take it has a free slot
	UnclaimedNoWorker  = "no_worker"  // no worker is alive
	UnclaimedNoHandler = "no_handler" // no live worker has a handler for the kind
)

// MonitorSilent is the kind of finding that a monitor misses its passes. Subject: the
// monitor.
const MonitorSilent = "monitor_silent"

// ServiceNotUp is the kind of finding that a service is not up. Subject: the service, as
// health names it.
const ServiceNotUp = "service"

// Text is the finding in one sentence, for people.
func (f Finding) Text() string {
	switch f.Kind {
	case OrphanOwner:
		return fmt.Sprintf("%s under worker %s, which nobody knows", jobs(f.Count, "runs", "run"), f.Subject)
	case OrphanUnclaimed:
		return fmt.Sprintf("%s due and not taken, of kind %s: %s", jobs(f.Count, "is", "are"), f.Subject, unclaimed(f.Cause))
	case OrphanUnsent:
		return fmt.Sprintf("nobody sends what is due in the outbox: %d of kind %s", f.Count, f.Subject)
	case OrphanHint:
		return fmt.Sprintf("an unsent hint names job %s, which is not there", f.Subject)
	case OrphanUnhinted:
		return fmt.Sprintf("job %s is due and no hint is under way for it", f.Subject)
	case OrphanUndecided:
		return fmt.Sprintf("nobody will ask %s what became of a post for order %s, which is %s", f.Directory, f.OrderID, f.Cause)
	case OrphanUnbalanced:
		return fmt.Sprintf("the books of order %s do not balance: %s", f.Subject, f.Cause)
	case ServiceNotUp:
		return fmt.Sprintf("there is trouble with the %s: %s", f.Subject, f.Cause)
	case MonitorSilent:
		return fmt.Sprintf("the %s monitor does not look any more: %s", f.Subject, f.Cause)
	}
	return f.Kind + " " + f.Subject
}

func jobs(n int64, does, do string) string {
	if n == 1 {
		return "1 job " + does
	}
	return fmt.Sprintf("%d jobs %s", n, do)
}

func unclaimed(cause string) string {
	switch cause {
	case UnclaimedNoWorker:
		return "no worker is alive"
	case UnclaimedNoHandler:
		return "no live worker performs that kind"
	}
	return "workers are idle"
}

// Orphans finds and mends what nobody would come to by himself.
type Orphans interface {
	// FindOrphans lists up to limit orphans of a kind, the oldest first, and changes
	// nothing. after is the patience of the kind: how long work is due, a message waits,
	// or an effect's deadline has passed. For [OrphanUnbalanced] it is how far back
	// orders are looked at, by their events; those noted already are looked at again.
	FindOrphans(ctx context.Context, kind string, after time.Duration, limit int) ([]Finding, error)

	// MendOrphans does what is provably safe about orphans that FindOrphans found, each
	// only if it still is one, and returns how many it mended. An unknown owner is
	// retired with the cause [NoOwner], so that [Recoverer] takes its jobs; a hint without
	// a job is dropped; a job without a hint gets one; an undecided submission becomes
	// uncertain, for a person. The others are left to people, and nothing is mended.
	MendOrphans(ctx context.Context, kind string, after time.Duration, found []Finding) (int, error)
}

// Look is what one look for findings of a kind came to.
type Look struct {
	Kind    string
	Found   []Finding
	Partial bool          // there may be more: what is not among Found is not taken for mended
	Confirm time.Duration // told when a second look, so much later, finds the same; zero: at once

	Event    string // type of the event of each finding that is told
	Alert    string // kind of the notices
	Severity string // of the notices; empty: the kind's own
	Each     bool   // each subject is a group of notices of its own; else the kind is
}

// Noted tells what a look changed.
type Noted struct {
	Told []Finding // told of now, by event and notice
	Gone []Finding // told of earlier, and no more
}

// Findings remembers what people were told of, so that any number of monitors, and one
// that starts anew, tell it once.
type Findings interface {
	// NoteFindings compares a look with what was noted of its kind before. In one
	// transaction it commits an event for each finding that is told now, a notice for
	// each group of them, and a resolved notice for each group of which nothing is left.
	NoteFindings(ctx context.Context, l Look) (Noted, error)

	// Findings lists what was noted and is not gone, the oldest first.
	Findings(ctx context.Context) ([]Finding, error)

	// TakeTurn reports whether it is the caller's turn at what shall be done once every
	// so often, whoever does it.
	TakeTurn(ctx context.Context, name string, every time.Duration) (bool, error)
}
