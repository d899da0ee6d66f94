package store

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// Ended is the part of an event's detail that describes the attempt which the
// event ended; job.retried, job.failed, job.recovered and their like carry it.
type Ended struct {
	ClaimedAt time.Time `json:"claimed_at,omitzero"`
	Attempt   int       `json:"attempt,omitzero"`
	Class     string    `json:"class,omitempty"`
}

// Story tells what happened to a job, oldest first: its events, and what only the
// row records. The happy path of most kinds lives in the row (creation, the last
// claim, completion), earlier claims in the detail of the events that ended them.
func Story(j job.Job, events []job.Event) []job.Event {
	told := slices.Clone(events)
	has := func(typ string, fence int64) bool {
		return slices.ContainsFunc(events, func(e job.Event) bool { return e.Type == typ && e.Fence == fence })
	}
	if !has(job.EventOrderCreated, 0) {
		told = append(told, fromRow(j, job.EventJobCreated, 0, j.CreatedAt, "", job.Pending))
	}
	claimed := func(fence int64, at time.Time, worker job.ID) {
		if fence == 0 || at.IsZero() || has(job.EventJobClaimed, fence) {
			return
		}
		e := fromRow(j, job.EventJobClaimed, fence, at, job.Pending, job.InProgress)
		e.WorkerID, e.Actor = worker, job.ActorWorker(worker)
		told = append(told, e)
	}
	last := j.Fence
	for _, e := range events {
		var d Ended
		if len(e.Detail) == 0 || json.Unmarshal(e.Detail, &d) != nil || d.ClaimedAt.IsZero() {
			continue
		}
		claimed(e.Fence, d.ClaimedAt, e.WorkerID)
		if e.Fence == last {
			last = 0 // the event has told the last claim already
		}
	}
	claimed(last, j.ClaimedAt, j.WorkerID)
	if j.State == job.Completed && !has(job.EventJobCompleted, j.Fence) {
		e := fromRow(j, job.EventJobCompleted, j.Fence, j.FinishedAt, job.InProgress, job.Completed)
		e.WorkerID, e.Actor = j.WorkerID, job.ActorWorker(j.WorkerID)
		told = append(told, e)
	}
	slices.SortStableFunc(told, func(a, b job.Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(rank(a), rank(b)))
	})
	return told
}

// fromRow makes the event that the row stands for. Its id is derived, so that the
// same fact has the same id each time it is told.
func fromRow(j job.Job, typ string, fence int64, at time.Time, from, to job.State) job.Event {
	e := job.Event{
		At: at, Type: typ, V: 1, JobID: j.ID, CustomerID: j.CustomerID,
		Fence: fence, Actor: job.ActorSystem, From: string(from), To: string(to),
	}
	e.ID = uuid.NewSHA1(j.ID, []byte(typ+at.UTC().Format(time.RFC3339Nano)))
	if j.Kind == job.KindOrder || j.Kind == job.KindCanary {
		e.OrderID = j.ID
	}
	return e
}

// rank orders events of the same microsecond as they must have happened.
func rank(e job.Event) int {
	switch e.Type {
	case job.EventOrderCreated, job.EventJobCreated:
		return 0
	case job.EventJobClaimed:
		return 1
	default:
		return 2
	}
}
