package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// jobView is a job as staff sees it: all of it but the payload, which is a profile.
type jobView job.Job

func viewOf(j job.Job) jobView {
	j.Payload = nil
	return jobView(j)
}

type (
	eventView  = job.Event
	pauseView  = job.Pause
	staleView  = job.StaleJob
	workerView = job.Worker
)

// jobNotFound names what is missing.
func jobNotFound(id job.ID, err error) error {
	if errors.Is(err, job.ErrNotFound) {
		return refuse(http.StatusNotFound, codeJobNotFound, "there is no job %s", id)
	}
	return err
}

// jobsQuery is what a list of jobs may be asked with.
type jobsQuery struct {
	State    job.State `query:"state"`
	Kind     string    `query:"kind"`
	Customer job.ID    `query:"customer"`
	Canaries bool      `query:"canaries"` // true: with canaries
	paging
}

func (s *server) listJobs(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "state", "kind", "customer", "canaries", "limit", "cursor")
	f := job.Filter{
		State: q.state(), Kind: q.text("kind"), Customer: q.id("customer"),
		Canaries: q.text("canaries") == "true", Limit: q.limit(),
	}
	var err error
	if f.Before, err = q.cursor(); err != nil {
		return err
	}
	if err := q.err(); err != nil {
		return err
	}
	limit := f.Limit
	f.Limit++
	jobs, err := s.Store.Jobs(r.Context(), f)
	if err != nil {
		return err
	}
	views := make([]jobView, len(jobs))
	for i, j := range jobs {
		views[i] = viewOf(j)
	}
	return answerJSON(w, http.StatusOK, pageOf(views, limit, func(j jobView) job.ID { return j.ID }))
}

func (s *server) getJob(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", codeJobNotFound)
	if err != nil {
		return err
	}
	return s.answerJob(w, r, id)
}

func (s *server) answerJob(w http.ResponseWriter, r *http.Request, id job.ID) error {
	j, err := s.Store.Job(r.Context(), id)
	if err != nil {
		return jobNotFound(id, err)
	}
	return answerJSON(w, http.StatusOK, viewOf(j))
}

func (s *server) getHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", codeJobNotFound)
	if err != nil {
		return err
	}
	events, err := s.Store.History(r.Context(), id)
	if err != nil {
		return jobNotFound(id, err)
	}
	return answerJSON(w, http.StatusOK, page[eventView]{Items: events})
}

// reasonRequest says why a person acts.
type reasonRequest struct {
	Reason string `json:"reason"`
}

// by is who acts and why; the history shows it for ever.
func by(r *http.Request, reason string) (job.By, error) {
	if strings.TrimSpace(reason) == "" {
		return job.By{}, invalid("reason is required: the history keeps why")
	}
	return job.By{Actor: identityOf(r.Context()).Actor(), Reason: reason}, nil
}

// actOnJob is an act of staff on one job; it answers the job as it is then.
func (s *server) actOnJob(act func(context.Context, job.ID, job.By) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := pathID(r, "id", codeJobNotFound)
		if err != nil {
			return err
		}
		var in reasonRequest
		if err := decode(r, &in); err != nil {
			return err
		}
		who, err := by(r, in.Reason)
		if err != nil {
			return err
		}
		err = act(r.Context(), id, who)
		if errors.Is(err, job.ErrErased) {
			return customerErased(id)
		}
		if errors.Is(err, job.ErrState) {
			return s.wrongStateOf(r.Context(), id)
		}
		if err != nil {
			return jobNotFound(id, err)
		}
		return s.answerJob(w, r, id)
	}
}

// customerErased says why a job cannot be redriven any more.
func customerErased(id job.ID) error {
	return refuse(http.StatusConflict, codeInvalidStatus, "the customer of job %s was erased, and with it what the job would need; nobody can redrive it", id)
}

// wrongStateOf says which state does not allow the act.
func (s *server) wrongStateOf(ctx context.Context, id job.ID) error {
	j, err := s.Store.Job(ctx, id)
	if err != nil {
		return jobNotFound(id, err)
	}
	return refuse(http.StatusConflict, codeInvalidStatus, "the job is %s, which does not allow this", j.State)
}

func (s *server) cancel(ctx context.Context, id job.ID, by job.By) error {
	return s.Store.Cancel(ctx, id, by)
}

func (s *server) redrive(ctx context.Context, id job.ID, by job.By) error {
	return s.Store.Redrive(ctx, id, by)
}

// scopeRequest says what is paused, or no longer, and why.
type scopeRequest struct {
	Scope  job.Scope `json:"scope"` // exactly one of all, kind, customer
	Reason string    `json:"reason"`
}

func (s *server) scope(r *http.Request) (job.Scope, job.By, error) {
	var in scopeRequest
	if err := decode(r, &in); err != nil {
		return job.Scope{}, job.By{}, err
	}
	who, err := by(r, in.Reason)
	return in.Scope, who, err
}

func (s *server) pause(w http.ResponseWriter, r *http.Request) error {
	scope, who, err := s.scope(r)
	if err != nil {
		return err
	}
	if err := s.Store.Pause(r.Context(), scope, who); err != nil {
		return err
	}
	pauses, err := s.Store.Pauses(r.Context())
	if err != nil {
		return err
	}
	for _, p := range pauses {
		if p.Scope == scope {
			return answerJSON(w, http.StatusOK, p)
		}
	}
	return answerJSON(w, http.StatusOK, pauseView{Scope: scope, By: who}) // ended again by somebody else
}

func (s *server) resume(w http.ResponseWriter, r *http.Request) error {
	scope, who, err := s.scope(r)
	if err != nil {
		return err
	}
	err = s.Store.Resume(r.Context(), scope, who)
	if errors.Is(err, job.ErrNotFound) {
		return refuse(http.StatusNotFound, codeNotFound, "%s is not paused", scope.Key())
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) listPauses(w http.ResponseWriter, r *http.Request) error {
	pauses, err := s.Store.Pauses(r.Context())
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, pageOf(pauses, len(pauses), nil))
}

// mostStale bounds a list that no page continues: the worst come first.
const mostStale = 500

func (s *server) listStale(w http.ResponseWriter, r *http.Request) error {
	stale, err := s.Store.Stale(r.Context(), s.Stall, mostStale)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, pageOf(stale, len(stale), nil))
}

func (s *server) listWorkers(w http.ResponseWriter, r *http.Request) error {
	ws, err := s.Store.Workers(r.Context(), time.Hour)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, pageOf(ws, len(ws), nil))
}
