package job

import (
	"encoding/json"
	"time"
)

// Event is one line of the append-only history. Every transition that is not
// the happy path is an event of its own; claim and completion of the current
// attempt live in the job row, and History shows both as one story.
type Event struct {
	ID         ID              `json:"id"`
	At         time.Time       `json:"at"`
	Type       string          `json:"type"`
	V          int             `json:"v"` // version of the shape; 1
	JobID      ID              `json:"job_id,omitzero"`
	OrderID    ID              `json:"order_id,omitzero"`
	CustomerID ID              `json:"customer_id,omitzero"`
	Directory  string          `json:"directory,omitempty"`
	WorkerID   ID              `json:"worker_id,omitzero"`
	Fence      int64           `json:"fence,omitempty"`
	Actor      string          `json:"actor"`
	From       string          `json:"from,omitempty"`
	To         string          `json:"to,omitempty"`
	Cause      string          `json:"cause,omitempty"`
	Detail     json.RawMessage `json:"detail,omitempty"`
}

// Event types that the engine and the submitter write.
const (
	EventOrderCreated        = "order.created"
	EventJobCreated          = "job.created" // told by History for other kinds; the row is its only record
	EventJobClaimed          = "job.claimed"
	EventJobCompleted        = "job.completed"
	EventJobFailed           = "job.failed"
	EventJobRetried          = "job.retried"
	EventJobSnoozed          = "job.snoozed"
	EventJobReleased         = "job.released"
	EventJobCancelled        = "job.cancelled"
	EventJobHastened         = "job.hastened" // a person ended its wait
	EventJobRecovered        = "job.recovered"
	EventJobsRecovered       = "jobs.recovered" // what one pass took back for one cause, all together
	EventJobRedriven         = "job.redriven"
	EventJobQuarantined      = "job.quarantined"
	EventWorkerRetired       = "worker.retired"
	EventStormOpened         = "storm.opened"
	EventStormClosed         = "storm.closed"
	EventHandlerStuck        = "handler.stuck" // it goes on though its attempt is over
	EventWriteFenced         = "write.fenced"
	EventSubmissionIntent    = "submission.intent"
	EventSubmissionOutcome   = "submission.outcome"
	EventSubmissionUncertain = "submission.uncertain"
	EventShortfall           = "shortfall"
	EventQueueBlind          = "queue.blind"     // nobody sees the dead letter queue
	EventQueueSeen           = "queue.seen"      // somebody sees it again
	EventLetterUntold        = "letter.untold"   // open, and no alert spoke of it
	EventLetterSeen          = "letter.seen"     // in the dead letter queue, and kept; it names no job
	EventLetterExpiring      = "letter.expiring" // the queue deletes it soon
	EventLetterExpired       = "letter.expired"
	EventLetterRedriven      = "letter.redriven" // a message that names no job went back to its queue
	EventLetterPurged        = "letter.purged"
	EventLetterMovedBack     = "letter.moved_back" // a dead letter's message was put into the queue by hand
	EventAlertRaised         = "alert.raised"
	EventAlertResolved       = "alert.resolved"
	EventAlertAcknowledged   = "alert.acknowledged" // by a person, as the next two
	EventAlertSilenced       = "alert.silenced"
	EventAlertUnsilenced     = "alert.unsilenced"
	EventChannelDown         = "alert.channel_down" // an alert channel refuses, or cannot be reached
	EventChannelUp           = "alert.channel_up"
	EventOrphanFound         = "orphan.found"
	EventMonitorSilent       = "monitor.silent"
	EventHealth              = "health.trouble" // a service is not up, for long enough
	EventBooksUnbalanced     = "books.unbalanced"
	EventCustomerErased      = "customer.erased"
	EventLimiterDegraded     = "limiter.degraded" // the rate limiter works without its store, or has it again
)

// ActorSystem is the actor of what nobody asked for in person.
const ActorSystem = "system"

// ActorWorker names a worker as an actor.
func ActorWorker(id ID) string { return "worker:" + id.String() }
