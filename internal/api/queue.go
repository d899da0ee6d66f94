package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// queueView tells a customer where it stands: about one that runs of its orders, else
// the one that comes next, else the newest.
type queueView struct {
	CustomerID job.ID            `json:"customer_id"`
	State      job.State         `json:"state"` // of that order; "none" without any
	OrderID    job.ID            `json:"order_id,omitzero"`
	Package    string            `json:"package,omitempty"`
	Priority   int               `json:"priority,omitempty"`
	Position   *int              `json:"position"`            // in line, 1 is next; null: it does not stand in line
	InLine     *int              `json:"in_line"`             // how many orders do; null as position
	LineAt     time.Time         `json:"line_at,omitzero"`    // when the line was looked at: some seconds ago at most
	WaitsFor   string            `json:"waits_for,omitempty"` // of a pending order: turn, time, pause or quarantine
	Orders     map[job.State]int `json:"orders"`              // how many the customer has of each state
	Progress   progressView      `json:"progress"`
	ETA        *etaView          `json:"eta"` // null: nothing is to come
	CreatedAt  time.Time         `json:"created_at,omitzero"`
	DueAt      time.Time         `json:"due_at,omitzero"` // while it waits
	StartedAt  time.Time         `json:"started_at,omitzero"`
	FinishedAt time.Time         `json:"finished_at,omitzero"`
}

// queueState is a state of an order, or that there is none.
type queueState string

// shapes tells that a queue may have no order.
func (queueView) shapes() map[string]any { return map[string]any{"state": queueState("")} }

// progressView tells how far an order is.
type progressView struct {
	Done        int                               `json:"done"`  // directories that need no more work of the order
	Total       int                               `json:"total"` // directories bought, less those that there are not
	Percent     int                               `json:"percent"`
	Directories map[directory.SubmissionState]int `json:"directories"` // by state, those that were replaced left out
}

// etaView says when an order is likely to be done, and what that rests on.
type etaView struct {
	At      time.Time `json:"at,omitzero"`       // missing: nobody can say
	Seconds *int64    `json:"seconds,omitempty"` // from now
	Basis   string    `json:"basis"`
}

// noOrder is the state of a customer without orders.
const noOrder job.State = "none"

// What a pending order waits for.
const (
	waitsForTurn       = "turn"
	waitsForTime       = "time" // a backoff, or a pause that a directory asked for
	waitsForPause      = "pause"
	waitsForQuarantine = "quarantine"
)

// customerID is whose queue is asked about, if whoever asks may know of it.
func customerID(r *http.Request) (job.ID, error) {
	text := r.PathValue("customerId")
	id, err := uuid.Parse(text)
	if err != nil || !identityOf(r.Context()).Sees(id) {
		return job.ID{}, refuse(http.StatusNotFound, codeCustomerNotFound, "there is no customer %s", text)
	}
	return id, nil
}

func (s *server) getQueue(w http.ResponseWriter, r *http.Request) error {
	id, err := customerID(r)
	if err != nil {
		return err
	}
	return s.answerQueue(w, r, id, http.StatusOK)
}

func (s *server) answerQueue(w http.ResponseWriter, r *http.Request, id job.ID, status int) error {
	orders, err := s.ordersOf(r.Context(), id)
	if err != nil {
		return err
	}
	v, err := s.queue(r.Context(), id, orders)
	if err != nil {
		return err
	}
	return answerJSON(w, status, v)
}

// ordersOf reads how a customer's orders stand; without any the current one is zero.
func (s *server) ordersOf(ctx context.Context, id job.ID) (job.Orders, error) {
	orders, err := s.Store.OrdersOf(ctx, id)
	if !errors.Is(err, job.ErrNotFound) {
		return orders, err
	}
	orders.Counts = map[job.State]int{}
	for _, state := range job.States {
		orders.Counts[state] = 0
	}
	return orders, s.customerExists(ctx, id)
}

func (s *server) queue(ctx context.Context, customer job.ID, orders job.Orders) (queueView, error) {
	v := queueView{CustomerID: customer, State: noOrder, Orders: orders.Counts, Progress: progressView{Directories: map[directory.SubmissionState]int{}}}
	j := orders.Current
	if j.ID == (job.ID{}) {
		return v, nil
	}
	v.State, v.OrderID, v.Package, v.Priority = j.State, j.ID, j.Package, j.Priority
	v.CreatedAt, v.StartedAt, v.FinishedAt = j.CreatedAt, j.ClaimedAt, j.FinishedAt
	var err error
	if v.Progress, err = s.progress(ctx, j); err != nil {
		return v, err
	}
	if j.State.Final() {
		return v, nil
	}
	line, err := s.line.look(ctx)
	if err != nil {
		return v, err
	}
	now := line.now()
	if j.State == job.InProgress {
		v.ETA = etaOfRunning(j, v.Progress, now)
		return v, nil
	}
	v.DueAt = j.DueAt
	if v.WaitsFor = line.waitsFor(j, now); v.WaitsFor == waitsForTurn {
		ahead, of := line.ahead(j.Place())
		position := ahead + 1
		v.Position, v.InLine, v.LineAt = &position, &of, line.at
	}
	v.ETA = line.etaOfWaiting(j, v, now)
	return v, nil
}

// progress counts the directories of an order. One that never ran has none yet.
func (s *server) progress(ctx context.Context, j job.Job) (progressView, error) {
	p := progressView{Total: max(0, j.Quota-j.Shortfall), Directories: map[directory.SubmissionState]int{}}
	if j.Fence == 0 {
		return p, nil
	}
	counts, err := s.Store.CountSubmissions(ctx, j.ID)
	if err != nil {
		return p, err
	}
	for _, c := range counts {
		if c.Replaced {
			continue
		}
		p.Directories[c.State] += c.N
		if !c.State.Open() {
			p.Done += c.N
		}
	}
	switch {
	case j.State == job.Completed:
		p.Percent = 100
	case p.Total > 0:
		p.Percent = min(100, 100*p.Done/p.Total)
	}
	return p, nil
}

// etaOfRunning goes on as the order went so far. Earlier claims may have done part of
// it, and how long they took is not known: then nobody can say.
func etaOfRunning(j job.Job, p progressView, now time.Time) *etaView {
	ran := now.Sub(j.ClaimedAt)
	if p.Done == 0 || ran <= 0 {
		return &etaView{Basis: "it runs; no directory is done yet"}
	}
	if j.Fence > 1 {
		return &etaView{Basis: fmt.Sprintf("it runs, taken up %d times; how long that took before this time is not known", j.Fence)}
	}
	left := time.Duration(float64(ran) / float64(p.Done) * float64(max(0, p.Total-p.Done)))
	return etaIn(left, now, fmt.Sprintf("%d of %d directories in %s", p.Done, p.Total, ran.Round(time.Second)))
}

func etaIn(left time.Duration, now time.Time, basis string) *etaView {
	seconds := int64(left.Round(time.Second) / time.Second)
	return &etaView{At: now.Add(left).Truncate(time.Second).UTC(), Seconds: &seconds, Basis: basis}
}

// processNow ends the wait of the order that comes next. Its turn is still its turn:
// nobody who paid is overtaken.
func (s *server) processNow(w http.ResponseWriter, r *http.Request) error {
	id, err := customerID(r)
	if err != nil {
		return err
	}
	orders, err := s.ordersOf(r.Context(), id)
	if err != nil {
		return err
	}
	if err := s.mayProcess(r, orders.Current); err != nil {
		return err
	}
	by := job.By{Actor: identityOf(r.Context()).Actor(), Reason: "asked to process it now"}
	err = s.Store.Hasten(r.Context(), orders.Current.ID, by)
	if errors.Is(err, job.ErrState) {
		return refuse(http.StatusConflict, codeInvalidStatus, "the order was taken up this very moment; GET this path tells how far it is")
	}
	if err != nil {
		return err
	}
	return s.answerQueue(w, r, id, http.StatusAccepted)
}

// mayProcess says why an order cannot be processed now.
func (s *server) mayProcess(r *http.Request, j job.Job) error {
	cannot := func(format string, args ...any) error {
		return refuse(http.StatusConflict, codeInvalidStatus, format, args...)
	}
	switch {
	case j.ID == (job.ID{}):
		return cannot("the customer has no order; POST /api/orders places one")
	case j.State == job.InProgress:
		return cannot("the order %s is being processed already", j.ID)
	case j.State == job.Failed:
		return cannot("the order %s failed; staff decides what becomes of it, with POST /api/jobs/%s/redrive", j.ID, j.ID)
	case j.State.Final():
		return cannot("the order %s is %s", j.ID, j.State)
	}
	line, err := s.line.look(r.Context())
	if err != nil {
		return err
	}
	switch line.waitsFor(j, line.now()) {
	case waitsForPause:
		return cannot("the order %s waits for the end of a pause; staff ends it with POST /api/jobs/resume", j.ID)
	case waitsForQuarantine:
		return cannot("the order %s is quarantined after %d crashes: it waits for a worker that runs nothing else", j.ID, j.Crashes)
	case waitsForTime:
		if j.Failures+j.Crashes > 0 && !identityOf(r.Context()).SeesAll() {
			return cannot("the order %s failed and is tried again at %s; only staff may end that wait, for each try is one of %d", j.ID, j.DueAt.Format(time.RFC3339), j.MaxAttempts)
		}
	}
	return nil
}
