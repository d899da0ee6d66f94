package sqlite

import (
	"encoding/json"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// told reports whether the happy path of a kind is told by events. The others
// have it in the row alone.
func told(kind string) bool {
	return kind == job.KindOrder || kind == job.KindCanary || kind == job.KindRecheck
}

// isOrder reports whether the kind is an order, paid or synthetic.
func isOrder(kind string) bool { return kind == job.KindOrder || kind == job.KindCanary }

// record adds events at the transaction's moment. Those without an actor are the
// system's.
func (t *tx) record(events ...job.Event) error {
	rows := make([][]any, len(events))
	for i, e := range events {
		if e.Actor == "" {
			e.Actor = job.ActorSystem
		}
		rows[i] = []any{
			job.NewID().String(), t.now, e.Type, idOrNull(e.JobID), idOrNull(e.OrderID), idOrNull(e.CustomerID),
			orNull(e.Directory), idOrNull(e.WorkerID), orNull(e.Fence), clean(e.Actor),
			orNull(e.From), orNull(e.To), orNull(clean(e.Cause)), textOrNull(e.Detail),
		}
	}
	return t.insert(q.RecordEvents, rows)
}

// eventOf is an event about a job that its worker or somebody else moved.
func eventOf(typ string, j *job.Job, to job.State) job.Event {
	e := job.Event{
		Type: typ, JobID: j.ID, CustomerID: j.CustomerID, WorkerID: j.WorkerID, Fence: j.Fence,
		From: string(j.State), To: string(to),
	}
	if isOrder(j.Kind) {
		e.OrderID = j.ID
	}
	return e
}

// byOwner makes the job's owner the actor.
func byOwner(e job.Event) job.Event {
	e.Actor = job.ActorWorker(e.WorkerID)
	return e
}

// attemptDetail is what an event keeps of the attempt that it ends; the row
// forgets it with the next claim.
type attemptDetail struct {
	store.Ended
	Signature  string    `json:"signature,omitempty"`
	Reason     string    `json:"reason,omitempty"`     // of a person
	ProgressAt time.Time `json:"progress_at,omitzero"` // where there was too little of it
	Until      time.Time `json:"until,omitzero"`       // a snooze's
}

func attemptOf(j *job.Job) attemptDetail {
	return attemptDetail{Ended: store.Ended{ClaimedAt: j.ClaimedAt, Attempt: j.Attempt}}
}

func detail(v any) json.RawMessage { return json.RawMessage(list(v)) }
