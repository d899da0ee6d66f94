package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
)

// orderRequest places an order.
type orderRequest struct {
	Package  string          `json:"package"`
	Profile  json.RawMessage `json:"profile"`           // the business
	Customer job.ID          `json:"customer,omitzero"` // staff: whose order it is
	Email    string          `json:"email,omitempty"`   // staff: of who pays; the profile's unless told
}

// orderView is an order as its customer sees it.
type orderView struct {
	ID          job.ID                            `json:"id"`
	State       job.State                         `json:"state"`
	Package     string                            `json:"package"`
	Quota       int                               `json:"quota"`
	Shortfall   int                               `json:"shortfall,omitempty"`
	ValueCents  int64                             `json:"value_cents"`
	CustomerID  job.ID                            `json:"customer_id"`
	CreatedAt   time.Time                         `json:"created_at"`
	StartedAt   time.Time                         `json:"started_at,omitzero"`
	FinishedAt  time.Time                         `json:"finished_at,omitzero"`
	DueAt       time.Time                         `json:"due_at,omitzero"` // while it waits
	Directories map[directory.SubmissionState]int `json:"directories,omitempty"`
	Done        int                               `json:"done"` // directories that need no more work of the order
	Created     *bool                             `json:"created,omitempty"`
}

// shapes tells what stands in the raw parts.
func (orderRequest) shapes() map[string]any { return map[string]any{"profile": directory.Business{}} }

func orderOf(j job.Job, subs []directory.Submission) orderView {
	v := orderView{
		ID: j.ID, State: j.State, Package: j.Package, Quota: j.Quota, Shortfall: j.Shortfall, ValueCents: j.ValueCents,
		CustomerID: j.CustomerID, CreatedAt: j.CreatedAt, StartedAt: j.ClaimedAt, FinishedAt: j.FinishedAt,
	}
	if j.State == job.Pending {
		v.DueAt = j.DueAt
	}
	for _, sub := range subs {
		if v.Directories == nil {
			v.Directories = map[directory.SubmissionState]int{}
		}
		v.Directories[sub.State]++
		if !sub.State.Open() && !sub.Replaced {
			v.Done++
		}
	}
	return v
}

func (s *server) createOrder(w http.ResponseWriter, r *http.Request) error {
	data, err := body(r)
	if err != nil {
		return err
	}
	var in orderRequest
	if err := decodeBytes(data, &in); err != nil {
		return err
	}
	who := identityOf(r.Context())
	pack, err := directory.PackageByName(in.Package)
	if err != nil {
		return err
	}
	if len(in.Profile) == 0 {
		return refuse(http.StatusBadRequest, codeInvalidProfile, "profile is required: the business to submit")
	}
	business, err := directory.ParseProfile(in.Profile)
	if err != nil {
		return err
	}
	o := NewOrder{Package: pack, Business: business, Email: in.Email, Actor: who.Actor()}
	if o.Customer, err = s.payer(r.Context(), in); err != nil {
		return err
	}
	if key := r.Header.Get(idempotencyHeader); key != "" {
		// The same request is one order also when the answer below was not kept.
		print := idempotency.FingerprintOf(r.Method, r.URL.Path, data)
		o.Key = fmt.Sprintf("api:%s:%s:%x", who.KeyID, key, print[:8])
	}
	placed, err := s.Clerk.Place(r.Context(), o)
	if err != nil {
		return err
	}
	v, err := s.order(r.Context(), placed.ID)
	if err != nil {
		return err
	}
	v.Created = &placed.Created
	w.Header().Set("Location", "/api/orders/"+placed.ID.String())
	status := http.StatusOK
	if placed.Created {
		status = http.StatusCreated
	}
	return answerJSON(w, status, v)
}

// payer is whose order it is to be: a customer's own; whose staff says; or nobody's
// yet, then it is found by e-mail.
func (s *server) payer(ctx context.Context, in orderRequest) (job.ID, error) {
	who := identityOf(ctx)
	if !who.SeesAll() {
		if in.Customer != (job.ID{}) && in.Customer != who.CustomerID || in.Email != "" {
			return job.ID{}, refuse(http.StatusForbidden, codeForbidden, "a customer orders for itself; leave customer and email out")
		}
		return who.CustomerID, nil
	}
	if in.Customer == (job.ID{}) {
		return job.ID{}, nil
	}
	return in.Customer, s.customerExists(ctx, in.Customer)
}

// order reads an order and how far it is.
func (s *server) order(ctx context.Context, id job.ID) (orderView, error) {
	j, err := s.Store.Job(ctx, id)
	if err != nil {
		return orderView{}, err
	}
	subs, err := s.Store.Submissions(ctx, id)
	return orderOf(j, subs), err
}

// ownOrder reads the job of an order that whoever asks may see. Another's is as if it
// were not there.
func (s *server) ownOrder(r *http.Request) (job.Job, error) {
	id, err := pathID(r, "id", codeJobNotFound)
	if err != nil {
		return job.Job{}, err
	}
	j, err := s.Store.Job(r.Context(), id)
	isOrder := j.Kind == job.KindOrder || j.Kind == job.KindCanary
	if errors.Is(err, job.ErrNotFound) || err == nil && (!isOrder || !identityOf(r.Context()).Sees(j.CustomerID)) {
		return job.Job{}, refuse(http.StatusNotFound, codeJobNotFound, "there is no order %s", id)
	}
	return j, err
}

func (s *server) getOrder(w http.ResponseWriter, r *http.Request) error {
	j, err := s.ownOrder(r)
	if err != nil {
		return err
	}
	subs, err := s.Store.Submissions(r.Context(), j.ID)
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, orderOf(j, subs))
}

// ordersQuery is what a list of orders may be asked with.
type ordersQuery struct {
	State    job.State `query:"state"`
	Customer job.ID    `query:"customer"` // staff: of this one alone; customers see their own in any case
	paging
}

// listOrders shows no counts of directories by state: of those it tells how many are done.
func (s *server) listOrders(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "state", "customer", "limit", "cursor")
	f := job.Filter{Kind: job.KindOrder, State: q.state(), Customer: q.id("customer"), Limit: q.limit()}
	var err error
	if f.Before, err = q.cursor(); err != nil {
		return err
	}
	if err := q.err(); err != nil {
		return err
	}
	if who := identityOf(r.Context()); !who.SeesAll() {
		f.Customer = who.CustomerID
	}
	limit := f.Limit
	f.Limit++
	jobs, err := s.Store.Jobs(r.Context(), f)
	if err != nil {
		return err
	}
	ids := make([]job.ID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	done, err := s.Store.CountDone(r.Context(), ids...)
	if err != nil {
		return err
	}
	orders := make([]orderView, len(jobs))
	for i, j := range jobs {
		orders[i] = orderOf(j, nil)
		orders[i].Done = done[j.ID]
	}
	return answerJSON(w, http.StatusOK, pageOf(orders, limit, func(o orderView) job.ID { return o.ID }))
}

// resultView is what came of one directory, as its customer sees it.
type resultView struct {
	Directory  string                    `json:"directory"`
	State      directory.SubmissionState `json:"state"`
	Tries      int                       `json:"tries"`
	Reason     string                    `json:"reason,omitempty"`
	Need       string                    `json:"need,omitempty"`
	ListingURL string                    `json:"listing_url,omitempty"`
	Evidence   *directory.Evidence       `json:"evidence,omitempty"`
	Replaced   bool                      `json:"replaced,omitempty"`
	DueAt      time.Time                 `json:"due_at,omitzero"`
	UpdatedAt  time.Time                 `json:"updated_at"`
	LiveAt     time.Time                 `json:"live_at,omitzero"`
}

func resultOf(sub directory.Submission) resultView {
	return resultView{
		Directory: sub.Directory, State: sub.State, Tries: sub.Tries, Reason: sub.Reason, Need: sub.Need, ListingURL: sub.ListingURL,
		Evidence: sub.Evidence, Replaced: sub.Replaced, DueAt: sub.DueAt, UpdatedAt: sub.UpdatedAt, LiveAt: sub.LiveAt,
	}
}

// resultsQuery is what a list of results may be asked with.
type resultsQuery struct {
	State directory.SubmissionState `query:"state"`
}

// getResults answers all directories at once: an order has at most some hundreds.
func (s *server) getResults(w http.ResponseWriter, r *http.Request) error {
	j, err := s.ownOrder(r)
	if err != nil {
		return err
	}
	q := queryOf(r, "state")
	state := directory.SubmissionState(q.text("state"))
	if state != "" && !state.Valid() {
		q.faults = append(q.faults, "state is one of the states of a submission")
	}
	if err := q.err(); err != nil {
		return err
	}
	subs, err := s.Store.Submissions(r.Context(), j.ID)
	if err != nil {
		return err
	}
	results := page[resultView]{Items: []resultView{}}
	for _, sub := range subs {
		if state == "" || sub.State == state {
			results.Items = append(results.Items, resultOf(sub))
		}
	}
	return answerJSON(w, http.StatusOK, results)
}
