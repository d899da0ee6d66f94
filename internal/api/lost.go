package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Reasons for which a lease is lost: how its claim ended. Clients rely on them. One
// that ended with its worker has the cause of the worker's retirement.
const (
	reasonCompleted  = "completed"
	reasonFailed     = "failed"
	reasonRetried    = "retried" // failed, and to be tried again
	reasonReleased   = "released"
	reasonSnoozed    = "snoozed"
	reasonCancelled  = "cancelled"
	reasonNoProgress = job.NoProgress
	reasonNoClaim    = "no_such_claim"
	reasonNoJob      = "no_such_job"
	reasonUntold     = "untold" // a heartbeat that lost many leases explains the first of them
)

// endings are the events that end a claim, with the reason and the verb of the worker
// that may have done it.
var endings = map[string]struct{ reason, verb, said string }{
	job.EventJobCompleted: {reasonCompleted, "complete", "it was completed"},
	job.EventJobFailed:    {reasonFailed, "fail", "it failed for good"},
	job.EventJobRetried:   {reasonRetried, "fail", "it failed, to be tried again"},
	job.EventJobReleased:  {reasonReleased, "release", "it was given back"},
	job.EventJobSnoozed:   {reasonSnoozed, "snooze", "it was given back until later"},
	job.EventJobCancelled: {reasonCancelled, "", "it was cancelled"},
	job.EventJobRecovered: {"", "", "it was taken back"},
}

// causes say what the end of a worker means.
var causes = map[string]string{
	job.RetiredLeaseExpired: "its lease ran out without a heartbeat",
	job.RetiredLockLost:     "its process ended",
	job.RetiredToldToGo:     "a person told it to go",
	job.RetiredStopped:      "it said goodbye",
	job.NoProgress:          "it made no progress",
}

// ending is how a claim ended.
type ending struct {
	lease  job.Lease
	job    job.Job    // as it is now
	event  *job.Event // that ended the claim; nil: none is known
	reason string
}

// ending reads how a claim ended out of the job's history.
func (s *server) ending(ctx context.Context, l job.Lease) (ending, error) {
	end := ending{lease: l, reason: reasonNoClaim}
	j, err := s.Store.Job(ctx, l.JobID)
	if errors.Is(err, job.ErrNotFound) {
		end.reason = reasonNoJob
		return end, nil
	}
	if err != nil {
		return end, err
	}
	end.job = j
	story, err := s.Store.History(ctx, l.JobID)
	if err != nil {
		return end, err
	}
	for _, e := range story {
		how, known := endings[e.Type]
		if !known || e.Fence != l.Fence || e.From != string(job.InProgress) {
			continue
		}
		end.event, end.reason = &e, how.reason
		if how.reason == "" {
			end.reason = e.Cause // of a recovery: why the owner went, or that it got no further
		}
		break
	}
	return end, nil
}

// by reports whether the worker ended the claim itself, with this verb, and the state
// in which that left the job: then it repeats what it did not hear the answer to.
func (e ending) by(verb string, worker job.ID) (job.State, bool) {
	if e.event == nil || endings[e.event.Type].verb != verb || e.event.Actor != job.ActorWorker(worker) {
		return "", false
	}
	return job.State(e.event.To), true
}

// detail says it in words.
func (e ending) detail() string {
	switch {
	case e.reason == reasonNoJob:
		return fmt.Sprintf("there is no job %s", e.lease.JobID)
	case e.event == nil && e.job.Fence == e.lease.Fence && e.job.WorkerID != e.lease.WorkerID:
		return fmt.Sprintf("the claim with fence %d is another worker's", e.lease.Fence)
	case e.event == nil:
		return fmt.Sprintf("the store knows no end of a claim with fence %d; the job is %s, its latest fence is %d", e.lease.Fence, e.job.State, e.job.Fence)
	}
	text := fmt.Sprintf("the claim with fence %d ended at %s: %s", e.lease.Fence, e.event.At.UTC().Format(time.RFC3339), endings[e.event.Type].said)
	if why := causes[e.event.Cause]; why != "" && e.event.Type == job.EventJobRecovered {
		text += " from worker " + e.event.WorkerID.String() + ", because " + why
	}
	switch {
	case e.job.State == job.InProgress:
		text += fmt.Sprintf("; another claim has it, with fence %d", e.job.Fence)
	default:
		text += fmt.Sprintf("; the job is %s", e.job.State)
	}
	return text
}

// whyLost is the problem of a write that came too late.
func (s *server) whyLost(ctx context.Context, l job.Lease) error {
	end, err := s.ending(ctx, l)
	if err != nil {
		return job.ErrLeaseLost // why is not to be known now; that it is lost is
	}
	p := refuse(http.StatusConflict, codeLeaseLost, "%s. Nothing was changed; stop what you do for this job", end.detail())
	p.Reason = end.reason
	return p
}

// whyRetired is the problem of a worker whose lease is over.
func (s *server) whyRetired(ctx context.Context, id job.ID) error {
	w, err := s.Store.Worker(ctx, id)
	if errors.Is(err, job.ErrNotFound) {
		return workerNotFound(id)
	}
	if err != nil {
		return job.ErrRetired // why is not to be known now
	}
	cause, at := w.RetiredCause, w.RetiredAt
	if at.IsZero() {
		cause, at = job.RetiredLeaseExpired, w.LeaseUntil
	}
	p := refuse(http.StatusConflict, codeLeaseLost, "worker %s is retired since %s, because %s. Its jobs are for others now: stop them, and register again to go on",
		id, at.UTC().Format(time.RFC3339), wordsOf(cause))
	p.Reason = cause
	return p
}

func workerNotFound(id job.ID) error {
	return refuse(http.StatusNotFound, codeNotFound, "nobody registered as worker %s; begin with POST /api/worker/register", id)
}

func wordsOf(cause string) string {
	if words := causes[cause]; words != "" {
		return words
	}
	return cause
}
