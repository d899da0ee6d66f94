package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// queueOf asks as the customer of the office.
func (o *office) queueOf(customer job.ID) (v queueView) {
	o.t.Helper()
	o.ask(o.keys[auth.Customer], "GET", "/api/queue/"+customer.String(), "").is(http.StatusOK).into(&v)
	return v
}

// lookAlways has every question look at the line anew.
func (o *office) lookAlways() {
	lookAlways.Store(true)
	o.t.Cleanup(func() { lookAlways.Store(false) })
}

// placed places the n-th business's order for a customer.
func (o *office) placed(customer job.ID, n int) job.ID {
	o.t.Helper()
	var v orderView
	body := strings.Replace(order(n), `{"package"`, fmt.Sprintf(`{"customer":%q,"package"`, customer), 1)
	o.ask(o.keys[auth.Staff], "POST", "/api/orders", body).is(http.StatusCreated).into(&v)
	return v.ID
}

// pool registers one of the house's own workers.
func (o *office) pool() job.ID {
	o.t.Helper()
	id := job.NewID()
	err := o.store.Register(o.t.Context(), job.Worker{ID: id, Host: "host", Kinds: []string{job.KindOrder}, Capacity: 9}, time.Hour)
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

// take claims an order.
func (o *office) take(worker job.ID) *job.Job {
	o.t.Helper()
	jobs, err := o.store.Claim(o.t.Context(), job.ClaimRequest{Worker: worker, Limit: 1, Kinds: []string{job.KindOrder}})
	if err != nil || len(jobs) != 1 {
		o.t.Fatalf("claimed %d orders, error %v", len(jobs), err)
	}
	return &jobs[0]
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func TestAQueueIsToldInEveryState(t *testing.T) {
	o := newOffice(t)
	o.lookAlways()
	ctx, worker := t.Context(), o.pool()
	if v := o.queueOf(o.customer); v.State != noOrder || v.ETA != nil || v.Position != nil || v.Orders[job.Pending] != 0 {
		t.Errorf("without orders: %+v", v)
	}
	o.placed(o.other, 1)
	mine := o.placed(o.customer, 2)
	v := o.queueOf(o.customer)
	if v.State != job.Pending || v.OrderID != mine || v.WaitsFor != waitsForTurn || v.Position == nil || *v.Position != 2 || *v.InLine != 2 ||
		v.Progress.Total != 50 || v.Orders[job.Pending] != 1 || v.ETA == nil || v.ETA.Basis == "" || !v.ETA.At.IsZero() {
		t.Errorf("behind another: %+v, eta %+v", v, v.ETA)
	}
	o.must(o.store.AddFacts(ctx, job.Fact{Name: job.FactCompleted, Labels: job.KindOrder, Value: 60, Ago: time.Minute}))
	if v := o.queueOf(o.customer); v.ETA == nil || v.ETA.Seconds == nil || *v.ETA.Seconds != 120 || v.ETA.At.IsZero() || !strings.Contains(v.ETA.Basis, "60 orders") {
		t.Errorf("eta %+v, want two minutes at an order a minute", v.ETA)
	}
	o.must(o.store.Pause(ctx, job.Scope{Customer: o.customer}, job.By{Actor: "cli:test"}))
	if v := o.queueOf(o.customer); v.WaitsFor != waitsForPause || v.Position != nil {
		t.Errorf("paused: %+v", v)
	}
	o.must(o.store.Resume(ctx, job.Scope{Customer: o.customer}, job.By{Actor: "cli:test"}))

	o.take(worker)
	j := o.take(worker)
	if v := o.queueOf(o.customer); v.State != job.InProgress || v.Position != nil || v.ETA == nil || !v.ETA.At.IsZero() {
		t.Errorf("taken up: %+v", v)
	}
	subs, err := o.store.Plan(ctx, j.Lease(), directory.Plan{Identity: "who", Shortfall: 46, Choices: []directory.Choice{
		{Directory: "a", Rank: 1}, {Directory: "b", Rank: 2}, {Directory: "c", Rank: 3}, {Directory: "d", Rank: 4},
	}})
	o.must(err)
	o.must(o.store.Settle(ctx, j.Lease(), subs[0].ID, directory.Outcome{State: directory.Skipped, Reason: "paid"}))
	o.later(time.Minute)
	v = o.queueOf(o.customer)
	if p := v.Progress; p.Done != 1 || p.Total != 4 || p.Percent != 25 || p.Directories[directory.Planned] != 3 || p.Directories[directory.Skipped] != 1 {
		t.Errorf("progress %+v", p)
	}
	if v.ETA == nil || v.ETA.Seconds == nil || *v.ETA.Seconds < 150 || *v.ETA.Seconds > 240 || !strings.Contains(v.ETA.Basis, "1 of 4") {
		t.Errorf("eta %+v, want three more minutes", v.ETA)
	}
	if _, err := o.store.Fail(ctx, j.Lease(), job.Failure{Cause: "x"}); err != nil {
		t.Fatal(err)
	}
	o.later(time.Second)
	j = o.take(worker)
	o.later(time.Minute)
	if v := o.queueOf(o.customer); v.Progress.Done != 1 || v.ETA == nil || v.ETA.Seconds != nil || !v.ETA.At.IsZero() || !strings.Contains(v.ETA.Basis, "2 times") {
		t.Errorf("taken up again: %+v, eta %+v, want none: the first attempt did what is done", v, v.ETA)
	}
	if _, err := o.store.Complete(ctx, j.Lease()); err != nil {
		t.Fatal(err)
	}
	if v := o.queueOf(o.customer); v.State != job.Completed || v.Progress.Percent != 100 || v.ETA != nil || v.FinishedAt.IsZero() {
		t.Errorf("completed: %+v", v)
	}
}

func TestCustomersSeeNoQueueOfOthers(t *testing.T) {
	o := newOffice(t)
	o.placed(o.other, 1)
	for _, method := range []string{"GET", "POST"} {
		o.ask(o.keys[auth.Customer], method, "/api/queue/"+o.other.String(), "").refused(http.StatusNotFound, codeCustomerNotFound)
		for _, nobody := range []string{job.NewID().String(), "17", "%20"} {
			o.ask(o.keys[auth.Staff], method, "/api/queue/"+nobody, "").refused(http.StatusNotFound, codeCustomerNotFound)
		}
		o.ask(o.keys[auth.Staff], method, "/api/queue/", "").refused(http.StatusBadRequest, codeMissingCustomer)
	}
	o.ask(o.keys[auth.Staff], "GET", "/api/queue/"+o.other.String(), "").is(http.StatusOK)
}

func TestProcessNowEndsAWaitOrSaysWhyNot(t *testing.T) {
	o := newOffice(t)
	o.lookAlways()
	ctx, worker, path := t.Context(), o.pool(), "/api/queue/"+o.customer.String()
	ask := func(role auth.Role) answer {
		t.Helper()
		return o.ask(o.keys[role], "POST", path, "")
	}
	cannot := func(role auth.Role, why string) {
		t.Helper()
		if detail := ask(role).refused(http.StatusConflict, codeInvalidStatus); !strings.Contains(detail, why) {
			t.Errorf("detail %q does not say %q", detail, why)
		}
	}
	due := func(want bool) {
		t.Helper()
		stand, err := o.store.OrdersOf(ctx, o.customer)
		if err != nil || stand.Current.DueAt.After(time.Now().Add(time.Minute)) == want {
			t.Errorf("due at %s, want it now: %v; error %v", stand.Current.DueAt, want, err)
		}
	}
	cannot(auth.Customer, "no order")
	id := o.placed(o.customer, 1)
	var v queueView
	ask(auth.Customer).is(http.StatusAccepted).into(&v) // due already
	if v.OrderID != id || v.WaitsFor != waitsForTurn {
		t.Errorf("answered %+v", v)
	}
	j := o.take(worker)
	cannot(auth.Customer, "already")
	o.must(o.store.Snooze(ctx, j.Lease(), time.Hour, "daily cap"))
	due(false)
	ask(auth.Customer).is(http.StatusAccepted).into(&v)
	if v.WaitsFor != waitsForTurn {
		t.Errorf("waits for %s", v.WaitsFor)
	}
	due(true)
	o.must(o.store.Pause(ctx, job.Scope{All: true}, job.By{Actor: "cli:test"}))
	cannot(auth.Staff, "pause")
	o.must(o.store.Resume(ctx, job.Scope{All: true}, job.By{Actor: "cli:test"}))

	if _, err := o.store.Fail(ctx, o.take(worker).Lease(), job.Failure{Cause: "x", Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	cannot(auth.Customer, "only staff")
	due(false)
	ask(auth.Staff).is(http.StatusAccepted)
	due(true)
	if _, err := o.store.Fail(ctx, o.take(worker).Lease(), job.Failure{Cause: "x", Permanent: true}); err != nil {
		t.Fatal(err)
	}
	cannot(auth.Customer, "redrive")
	o.must(o.store.Redrive(ctx, id, job.By{Actor: "cli:test"}))
	o.must(o.store.Cancel(ctx, id, job.By{Actor: "cli:test"}))
	cannot(auth.Staff, "cancelled")
}

// slowLine is a store whose line is long.
type slowLine struct {
	lineStore
	looks chan struct{}
	fail  error
}

func (s *slowLine) Line(ctx context.Context, kinds []string, limit int) ([]job.Place, error) {
	s.looks <- struct{}{}
	if s.fail != nil {
		return nil, s.fail
	}
	return s.lineStore.Line(ctx, kinds, limit)
}

func TestOneLookAtTheLineServesAllWhoAsk(t *testing.T) {
	o := newOffice(t)
	s := &slowLine{lineStore: o.store, looks: make(chan struct{})}
	l := &line{store: s}
	const askers = 20
	answers := make(chan error, askers)
	for range askers {
		go func() {
			_, err := l.look(t.Context())
			answers <- err
		}()
	}
	<-s.looks
	for range askers {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if _, err := l.look(t.Context()); err != nil {
		t.Error(err)
	}

	// One that is a little old is good enough for whoever asks while the next is taken.
	old := *l.last
	old.taken = old.taken.Add(-lineTooOld / 2)
	l.last = &old
	if got, err := l.look(t.Context()); err != nil || got != &old {
		t.Errorf("got %+v, error %v", got, err)
	}
	<-s.looks

	// Where there is none, whoever asks learns that it failed.
	away := &line{store: &slowLine{lineStore: o.store, looks: make(chan struct{}, 1), fail: errors.New("store is away")}}
	if _, err := away.look(t.Context()); err == nil {
		t.Error("a look that failed is answered")
	}
}
