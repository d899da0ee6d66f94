package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Workers in any language speak these routes. Such a worker is a row like any other:
// its lease, its heartbeat, its retirement and the recovery of its jobs are the store's,
// and no process that serves it keeps anything of it.

// Limits of what a worker may say.
const (
	mostKinds    = 50
	mostName     = 200
	mostCapacity = 1000
	mostClaimed  = 100
	mostHeld     = mostCapacity
	mostTold     = 50 // lost leases that one heartbeat explains: each is a look into a history
)

const (
	// mostWait is the longest poll of a claim: less than proxies and servers give an
	// answer.
	mostWait = 20 * time.Second
	// claimPoll is the backstop of a wake-up that was lost, or of a job whose time comes.
	claimPoll = time.Second
	// claimPause is between two looks of one poll: work that came was for somebody else.
	claimPause = 50 * time.Millisecond
	// storeTimeout bounds what is done whether or not the client still waits for it.
	storeTimeout = 10 * time.Second
	// quarantinedFirst: one claim of so many by a worker that runs nothing looks for a
	// quarantined job first, so that a queue which is never empty does not hide them.
	quarantinedFirst = 20
)

// ownKinds are performed by this house's workers alone: what they do out there is
// entered in the effect ledger, under deadlines that only they keep.
var ownKinds = []string{job.KindOrder, job.KindRecheck, job.KindCanary}

// outsider refuses to speak for a worker that did not come over HTTP: nobody who has
// its id may keep it alive, send it away, or claim in its name.
func (s *server) outsider(ctx context.Context, id job.ID) error {
	w, err := s.Store.Worker(ctx, id)
	if errors.Is(err, job.ErrNotFound) {
		return workerNotFound(id)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(w.Kinds, func(kind string) bool { return slices.Contains(ownKinds, kind) }) {
		return refuse(http.StatusForbidden, codeForbidden, "worker %s is one of directorybolt work, which alone speaks for it; begin with POST /api/worker/register", id)
	}
	return nil
}

// checkKinds reports kinds that a worker of others may not have.
func checkKinds(kinds []string) error {
	if len(kinds) == 0 || len(kinds) > mostKinds {
		return invalid("kinds names 1 to %d kinds of job that the worker performs", mostKinds)
	}
	for _, kind := range kinds {
		switch {
		case kind == "" || len(kind) > mostName:
			return invalid("kinds: %q is no kind; it has 1 to %d bytes", kind, mostName)
		case slices.Contains(ownKinds, kind):
			return invalid("kinds: jobs of kind %s are performed by directorybolt work alone; see docs/workers.md", kind)
		}
	}
	return nil
}

// registerRequest is a worker that begins. It has another identity each time.
type registerRequest struct {
	Host     string   `json:"host"` // where it runs, for people
	PID      int      `json:"pid,omitempty"`
	Version  string   `json:"version,omitempty"`
	Kinds    []string `json:"kinds"`
	Capacity int      `json:"capacity,omitempty"` // jobs at once, 1 unless told
}

func (in *registerRequest) check() error {
	if in.Capacity == 0 {
		in.Capacity = 1
	}
	switch {
	case strings.TrimSpace(in.Host) == "" || len(in.Host) > mostName:
		return invalid("host is required: where the worker runs, in at most %d bytes", mostName)
	case len(in.Version) > mostName:
		return invalid("version has more than %d bytes", mostName)
	case in.PID < 0 || in.PID > 1<<31-1:
		return invalid("pid is the number of a process")
	case in.Capacity < 1 || in.Capacity > mostCapacity:
		return invalid("capacity is the number of jobs at once, 1 to %d", mostCapacity)
	}
	return checkKinds(in.Kinds)
}

// registered answers it.
type registered struct {
	WorkerID         job.ID  `json:"worker_id"`
	LeaseSeconds     float64 `json:"lease_seconds"`     // from when the request was sent; each heartbeat begins it anew
	HeartbeatSeconds float64 `json:"heartbeat_seconds"` // between two heartbeats
}

func (s *server) registerWorker(w http.ResponseWriter, r *http.Request) error {
	var in registerRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	id := job.NewID()
	err := s.Store.Register(r.Context(), job.Worker{
		ID: id, Host: in.Host, PID: in.PID, Version: in.Version, Kinds: in.Kinds, Capacity: in.Capacity,
	}, s.Lease)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusCreated, registered{id, s.Lease.Seconds(), s.Heartbeat.Seconds()})
}

// claimRequest asks for work.
type claimRequest struct {
	WorkerID    job.ID   `json:"worker_id"`
	Kinds       []string `json:"kinds"`                  // no other kind is handed out
	Limit       int      `json:"limit,omitempty"`        // at most so many jobs, 1 unless told
	WaitSeconds float64  `json:"wait_seconds,omitempty"` // how long to wait for a job, at most 20; 0: not at all
	Alone       bool     `json:"alone,omitempty"`        // the worker runs nothing: it may get a quarantined job, to run alone
}

func (in *claimRequest) check() error {
	if in.Limit == 0 {
		in.Limit = 1
	}
	switch {
	case in.Limit < 1 || in.Limit > mostClaimed:
		return invalid("limit is the number of jobs, 1 to %d", mostClaimed)
	case !(in.WaitSeconds >= 0 && in.WaitSeconds <= mostWait.Seconds()):
		return invalid("wait_seconds is 0 to %g", mostWait.Seconds())
	}
	return checkKinds(in.Kinds)
}

// claimed answers it; without work the list is empty.
type claimed struct {
	Jobs []claimedJob `json:"jobs"`
}

// claimedJob is a job as its worker needs it. Every call about it names its fence.
type claimedJob struct {
	JobID       job.ID          `json:"job_id"`
	Fence       int64           `json:"fence"`
	Kind        string          `json:"kind"`
	Payload     json.RawMessage `json:"payload"`
	Attempt     int             `json:"attempt"`
	MaxAttempts int             `json:"max_attempts"`
	Priority    int             `json:"priority"`
	CustomerID  job.ID          `json:"customer_id,omitzero"`
	Quarantined bool            `json:"quarantined,omitempty"` // its process died twice: run nothing beside it
	CreatedAt   time.Time       `json:"created_at"`
}

func (s *server) claimJobs(w http.ResponseWriter, r *http.Request) error {
	var in claimRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	if err := s.outsider(r.Context(), in.WorkerID); err != nil {
		return err
	}
	unhurried(w)
	jobs, err := s.awaitWork(r.Context(), in)
	if errors.Is(err, job.ErrRetired) {
		return s.whyRetired(r.Context(), in.WorkerID)
	}
	if err != nil {
		return err
	}
	views := claimed{Jobs: make([]claimedJob, len(jobs))}
	for i, j := range jobs {
		views.Jobs[i] = claimedJob{
			JobID: j.ID, Fence: j.Fence, Kind: j.Kind, Payload: j.Payload, Attempt: j.Attempt, MaxAttempts: j.MaxAttempts,
			Priority: j.Priority, CustomerID: j.CustomerID, Quarantined: j.Quarantined, CreatedAt: j.CreatedAt,
		}
	}
	return answerJSON(w, http.StatusOK, views)
}

// awaitWork claims, and waits for work where there is none. It ends early when the
// process is about to.
func (s *server) awaitWork(asked context.Context, in claimRequest) ([]job.Job, error) {
	ctx, cancel := context.WithTimeout(asked, seconds(in.WaitSeconds))
	defer cancel()
	var wake <-chan struct{}
	if in.WaitSeconds > 0 {
		wake = s.Store.Wake(ctx) // before the first look: what comes in between is heard
	}
	poll := time.NewTicker(claimPoll)
	defer poll.Stop()
	for {
		jobs, err := s.claimOnce(asked, in)
		if err != nil || len(jobs) > 0 || s.Draining() || !pause(ctx, claimPause) {
			return jobs, err
		}
		select {
		case <-wake:
		case <-poll.C:
		case <-closing(asked):
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// claimOnce claims for a client that may hang up meanwhile: what it does not hear of is
// given back.
func (s *server) claimOnce(asked context.Context, in claimRequest) ([]job.Job, error) {
	if asked.Err() != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(asked), storeTimeout)
	defer cancel()
	begun := time.Now()
	jobs, err := s.claimEither(ctx, in)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if asked.Err() != nil {
		_, err := s.Store.Release(ctx, "the worker hung up before it had the answer to its claim", leasesOf(jobs)...)
		return nil, err
	}
	for _, j := range jobs {
		s.Metrics.JobsClaimed(j.Kind, 1, time.Since(begun))
	}
	return jobs, nil
}

// claimEither claims ordinary jobs, and a quarantined one for a worker that runs nothing.
func (s *server) claimEither(ctx context.Context, in claimRequest) (jobs []job.Job, err error) {
	ordinary := job.ClaimRequest{Worker: in.WorkerID, Limit: in.Limit, Kinds: in.Kinds}
	quarantined := job.ClaimRequest{Worker: in.WorkerID, Limit: 1, Kinds: in.Kinds, Quarantined: true}
	looks := []job.ClaimRequest{ordinary}
	if in.Alone {
		looks = append(looks, quarantined)
		if rand.N(quarantinedFirst) == 0 {
			slices.Reverse(looks)
		}
	}
	for _, look := range looks {
		if jobs, err = s.Store.Claim(ctx, look); err != nil || len(jobs) > 0 {
			return jobs, err
		}
	}
	return nil, nil
}

func leasesOf(jobs []job.Job) []job.Lease {
	leases := make([]job.Lease, len(jobs))
	for i := range jobs {
		leases[i] = jobs[i].Lease()
	}
	return leases
}

// heartbeatRequest renews a worker's lease and lists every job it runs.
type heartbeatRequest struct {
	WorkerID job.ID    `json:"worker_id"`
	Held     []heldJob `json:"held,omitempty"` // all that it runs; what it does not name is given back
}

type heldJob struct {
	JobID      job.ID `json:"job_id"`
	Fence      int64  `json:"fence"`
	Progressed bool   `json:"progressed,omitempty"` // it got further since the last heartbeat
}

// heartbeat answers it.
type heartbeat struct {
	LeaseUntil   time.Time     `json:"lease_until"`   // on the store's clock
	LeaseSeconds float64       `json:"lease_seconds"` // from when the heartbeat was sent
	Lost         []lostLease   `json:"lost"`          // of what it holds: stop these at once
	Released     []releasedJob `json:"released"`      // claims that it never spoke of, given back
}

type lostLease struct {
	JobID  job.ID `json:"job_id"`
	Fence  int64  `json:"fence"`
	Reason string `json:"reason"` // as in the problem of a late write; untold behind the first 50
	Detail string `json:"detail"`
}

type releasedJob struct {
	JobID job.ID `json:"job_id"`
	Fence int64  `json:"fence"`
}

func (s *server) beat(w http.ResponseWriter, r *http.Request) error {
	var in heartbeatRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if len(in.Held) > mostHeld {
		return invalid("held has more than %d jobs", mostHeld)
	}
	if err := s.outsider(r.Context(), in.WorkerID); err != nil {
		if refusal := (*problem)(nil); !errors.As(err, &refusal) {
			s.countBeat(job.Pulse{}, err)
		}
		return err
	}
	held := make([]job.Held, len(in.Held))
	for i, h := range in.Held {
		held[i] = job.Held{Lease: job.Lease{JobID: h.JobID, Fence: h.Fence, WorkerID: in.WorkerID}, Progressed: h.Progressed}
	}
	pulse, err := s.Store.Beat(r.Context(), in.WorkerID, s.Lease, held)
	s.countBeat(pulse, err)
	defer s.handOver(r.Context())
	if errors.Is(err, job.ErrRetired) || errors.Is(err, job.ErrNotFound) {
		return s.whyRetired(r.Context(), in.WorkerID)
	}
	if err != nil {
		return err
	}
	out := heartbeat{LeaseUntil: pulse.LeaseUntil, LeaseSeconds: s.Lease.Seconds(), Lost: []lostLease{}, Released: []releasedJob{}}
	for i, l := range pulse.Lost {
		if i >= mostTold {
			out.Lost = append(out.Lost, lostLease{l.JobID, l.Fence, reasonUntold, fmt.Sprintf("the lease is lost; a heartbeat says of %d how", mostTold)})
			continue
		}
		why, err := s.ending(r.Context(), l.Lease)
		if err != nil {
			return err
		}
		out.Lost = append(out.Lost, lostLease{l.JobID, l.Fence, why.reason, why.detail()})
	}
	if len(pulse.Strays) > 0 {
		lost, err := s.Store.Release(r.Context(), "the worker does not know of it: the answer to its claim was lost", pulse.Strays...)
		if err != nil {
			return err
		}
		for _, l := range pulse.Strays {
			if !slices.Contains(lost, l) {
				out.Released = append(out.Released, releasedJob{l.JobID, l.Fence})
			}
		}
	}
	return answerJSON(w, http.StatusOK, out)
}

// leaseRequest names the claim that a call is about.
type leaseRequest struct {
	WorkerID job.ID `json:"worker_id"`
	JobID    job.ID `json:"job_id"`
	Fence    int64  `json:"fence"`
}

func (in leaseRequest) lease() job.Lease {
	return job.Lease{JobID: in.JobID, Fence: in.Fence, WorkerID: in.WorkerID}
}

// jobStanding is what became of the job.
type jobStanding struct {
	JobID job.ID    `json:"job_id"`
	State job.State `json:"state"`
}

func (s *server) progressJob(w http.ResponseWriter, r *http.Request) error {
	var in leaseRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	return s.underLease(w, r, "progress", in, func(ctx context.Context, l job.Lease, _ job.Job) (job.State, error) {
		return job.InProgress, s.Store.Progress(ctx, l)
	})
}

func (s *server) completeJob(w http.ResponseWriter, r *http.Request) error {
	var in leaseRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	return s.underLease(w, r, "complete", in, func(ctx context.Context, l job.Lease, _ job.Job) (job.State, error) {
		lost, err := s.Store.Complete(ctx, l)
		if err == nil && len(lost) > 0 {
			err = job.ErrLeaseLost
		}
		return job.Completed, err
	})
}

// failRequest says how an attempt failed.
type failRequest struct {
	leaseRequest
	Cause        string  `json:"cause"`                   // for people; no secret
	Permanent    bool    `json:"permanent,omitempty"`     // no retry can mend it
	DelaySeconds float64 `json:"delay_seconds,omitempty"` // before the next attempt; 0: the backoff of the house
}

func (s *server) failJob(w http.ResponseWriter, r *http.Request) error {
	var in failRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := checkCause(in.Cause); err != nil {
		return err
	}
	if err := checkDelay(in.DelaySeconds); err != nil {
		return err
	}
	return s.underLease(w, r, "fail", in.leaseRequest, func(ctx context.Context, l job.Lease, j job.Job) (job.State, error) {
		f := job.Failure{Cause: in.Cause, Class: job.ClassTransient, Delay: seconds(in.DelaySeconds)}
		if f.Delay == 0 {
			f.Delay = s.Backoff.Delay(j.Failures + 1)
		}
		if in.Permanent {
			f.Class, f.Permanent = job.ClassPermanent, true
		}
		return s.Store.Fail(ctx, l, f)
	})
}

// releaseRequest gives a job back, uncounted.
type releaseRequest struct {
	leaseRequest
	Cause string `json:"cause"`
}

func (s *server) releaseJob(w http.ResponseWriter, r *http.Request) error {
	var in releaseRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := checkCause(in.Cause); err != nil {
		return err
	}
	return s.underLease(w, r, "release", in.leaseRequest, func(ctx context.Context, l job.Lease, _ job.Job) (job.State, error) {
		lost, err := s.Store.Release(ctx, in.Cause, l)
		if err == nil && len(lost) > 0 {
			err = job.ErrLeaseLost
		}
		return job.Pending, err
	})
}

// snoozeRequest gives a job back until later, uncounted.
type snoozeRequest struct {
	leaseRequest
	Cause        string  `json:"cause"`
	DelaySeconds float64 `json:"delay_seconds,omitempty"` // before it is due again; 0: at once
}

func (s *server) snoozeJob(w http.ResponseWriter, r *http.Request) error {
	var in snoozeRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := checkCause(in.Cause); err != nil {
		return err
	}
	if err := checkDelay(in.DelaySeconds); err != nil {
		return err
	}
	return s.underLease(w, r, "snooze", in.leaseRequest, func(ctx context.Context, l job.Lease, _ job.Job) (job.State, error) {
		return job.Pending, s.Store.Snooze(ctx, l, seconds(in.DelaySeconds), in.Cause)
	})
}

func checkCause(cause string) error {
	if strings.TrimSpace(cause) == "" {
		return invalid("cause is required: the history keeps why")
	}
	return nil
}

// mostDelay is the longest that a worker may put a job off.
const mostDelay = 30 * 24 * time.Hour

func checkDelay(s float64) error {
	if !(s >= 0 && s <= mostDelay.Seconds()) {
		return invalid("delay_seconds is 0 to %.0f", mostDelay.Seconds())
	}
	return nil
}

// underLease writes about a job under the lease that the client names. A write that is
// repeated because its answer was lost is answered as the first time; one that comes
// too late changes nothing, and hears why.
func (s *server) underLease(w http.ResponseWriter, r *http.Request, verb string, in leaseRequest,
	write func(context.Context, job.Lease, job.Job) (job.State, error),
) error {
	l := in.lease()
	// Whoever hangs up now has said what he had to say.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
	defer cancel()
	j, err := s.Store.Job(ctx, l.JobID)
	if err != nil {
		return jobNotFound(l.JobID, err)
	}
	if slices.Contains(ownKinds, j.Kind) {
		return refuse(http.StatusForbidden, codeForbidden, "jobs of kind %s are performed by directorybolt work alone; see docs/workers.md", j.Kind)
	}
	if j.Fence == l.Fence && j.WorkerID != l.WorkerID {
		return refuse(http.StatusForbidden, codeForbidden, "the claim of job %s with fence %d is another worker's", l.JobID, l.Fence)
	}
	if j.Fence != l.Fence || j.State != job.InProgress {
		why, err := s.ending(ctx, l)
		if err != nil {
			return err
		}
		if state, ok := why.by(verb, l.WorkerID); ok {
			return answerJSON(w, http.StatusOK, jobStanding{l.JobID, state})
		}
	}
	state, err := write(ctx, l, j)
	if errors.Is(err, job.ErrLeaseLost) {
		s.Metrics.LeaseLost(j.Kind)
		return s.whyLost(ctx, l)
	}
	if err != nil {
		return err
	}
	s.ended(verb, j, state)
	s.handOver(ctx)
	return answerJSON(w, http.StatusOK, jobStanding{l.JobID, state})
}

func (unheard) JobsClaimed(string, int, time.Duration)         {}
func (unheard) JobEnded(string, string, string, time.Duration) {}
func (unheard) LeaseLost(string)                               {}

// countBeat counts a beat, as a pool does. A worker's beats come to any process, and none
// keeps anything of it: so it is the store's clock that tells the uptime, and the whole
// seconds between two of its beats add up to those of its life, whoever heard them. Time
// that ended in the loss of the lease never becomes any.
func (s *server) countBeat(p job.Pulse, err error) {
	if err != nil {
		s.Tally.Count(job.FactBeatsFailed, "", 1)
		return
	}
	s.Tally.Count(job.FactBeats, "", 1)
	s.Tally.Count(job.FactUptime, "", max(0, p.BeatAt.Unix()-p.Since.Unix()))
}

// ended counts how an attempt ended, as a pool does.
func (s *server) ended(verb string, j job.Job, state job.State) {
	class := ""
	switch {
	case verb == "progress":
		return
	case verb == "complete":
		s.Tally.Count(job.FactCompleted, j.Kind, 1)
		if !j.Canary {
			s.Tally.Count(job.FactCompletedWorth, j.Kind, j.ValueCents)
		}
	case verb == "fail" && state == job.Pending:
		verb, class = "retry", job.ClassTransient
	case verb == "fail":
		class = job.ClassPermanent
		s.Tally.Count(job.FactFailed, j.Kind, 1)
	}
	s.Metrics.JobEnded(j.Kind, verb, class, time.Since(j.ClaimedAt))
}

// handOver adds what was counted to the store's sums, once a minute. What the store does
// not take is kept for the next time.
func (s *server) handOver(ctx context.Context) {
	if !s.Tally.Due() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := s.Tally.HandOver(ctx, s.Store.AddFacts); err != nil {
		s.Log.DebugContext(ctx, "counts not handed over, kept for the next time", "error", err.Error())
	}
}

// leaveRequest is a worker that ends in order.
type leaveRequest struct {
	WorkerID job.ID `json:"worker_id"`
}

// leave retires a worker that drained. What it still holds is given back, uncounted.
func (s *server) leave(w http.ResponseWriter, r *http.Request) error {
	var in leaveRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := s.outsider(r.Context(), in.WorkerID); err != nil {
		return err
	}
	by := job.By{Actor: job.ActorWorker(in.WorkerID), Reason: "it said goodbye"}
	err := s.Store.Retire(r.Context(), in.WorkerID, job.RetiredStopped, by)
	if errors.Is(err, job.ErrNotFound) {
		return workerNotFound(in.WorkerID)
	}
	if err != nil && !errors.Is(err, job.ErrState) { // retired already: it is gone, as it wishes
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
