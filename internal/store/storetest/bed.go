package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/go-cmp/cmp"
)

const (
	// lease is long enough that no slow machine loses it by accident; tests that
	// want it over advance the clock past it.
	lease = 5 * time.Minute
	// patience bounds every wait for another goroutine or connection.
	patience = 10 * time.Second
)

// kinds are those a worker of the suite has handlers for.
var kinds = []string{job.KindOrder, job.KindRecheck, job.KindCanary, job.KindNoop}

var staff = job.By{Actor: "cli:ann", Reason: "asked by the customer"}

// bed is a fresh store and the small vocabulary in which the suite speaks to it.
// A helper that meets an unexpected error ends the test.
type bed struct {
	testing.TB
	Subject
	ctx     context.Context
	other   Store // second gives it
	watches int   // over lifelines
}

func newBed(t testing.TB, f Factory, o Options) *bed {
	t.Helper()
	return &bed{TB: t, Subject: f(t, o), ctx: t.Context()}
}

// sub runs a part of the story under a name of its own, on the same store.
func (b *bed) sub(name string, part func(b *bed)) {
	b.Helper()
	t := b.TB.(*testing.T)
	t.Run(name, func(t *testing.T) {
		part(&bed{TB: t, Subject: b.Subject, ctx: t.Context()})
	})
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// equal reports got and want when they differ.
func (b *bed) equal(what string, got, want any) {
	b.Helper()
	if d := cmp.Diff(got, want); d != "" {
		b.Errorf("%s (-got +want):\n%s", what, d)
	}
}

// fails reports an err that is not want.
func (b *bed) fails(what string, err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func (b *bed) now() time.Time {
	b.Helper()
	now, err := b.Store.Now(b.ctx)
	b.must(err)
	return now
}

// within reports a moment outside [from, to], given the microsecond that stores keep.
func (b *bed) within(what string, got, from, to time.Time) {
	b.Helper()
	if got.Before(from.Add(-time.Microsecond)) || got.After(to.Add(time.Microsecond)) {
		b.Errorf("%s: got %s, want between %s and %s", what, got, from, to)
	}
}

func (b *bed) enqueue(specs ...job.Spec) []job.ID {
	b.Helper()
	answers, err := b.Store.Enqueue(b.ctx, specs...)
	b.must(err)
	if len(answers) != len(specs) {
		b.Fatalf("enqueue of %d specs gave %d answers", len(specs), len(answers))
	}
	ids := make([]job.ID, len(answers))
	for i, a := range answers {
		ids[i] = a.ID
	}
	return ids
}

func (b *bed) enqueueOne(s job.Spec) job.ID {
	b.Helper()
	return b.enqueue(s)[0]
}

// noops enqueues n jobs that are due at once.
func (b *bed) noops(n int) []job.ID {
	b.Helper()
	return b.enqueue(slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, n)...)
}

// order is a paid order of a starter package.
func order() job.Spec {
	return job.Spec{
		Kind: job.KindOrder, Priority: 4, CustomerID: job.NewID(), Package: "starter", Quota: 50,
		ValueCents: 14900, Payload: []byte(`{"business": {"name": "Ann's Bakery"}}`), Actor: "cli:ann",
	}
}

// worker registers a live worker and returns its id.
func (b *bed) worker() job.ID {
	b.Helper()
	id := job.NewID()
	b.must(b.Store.Register(b.ctx, workerRow(id), lease))
	return id
}

func workerRow(id job.ID) job.Worker {
	return job.Worker{ID: id, Host: "host-1", PID: 4711, Version: "test", Kinds: kinds, Capacity: 10}
}

// claim takes up to limit jobs of any known kind.
func (b *bed) claim(worker job.ID, limit int) []job.Job {
	b.Helper()
	jobs, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: worker, Limit: limit, Kinds: kinds})
	b.must(err)
	return jobs
}

// claimOne takes the one job there must be.
func (b *bed) claimOne(worker job.ID) job.Job {
	b.Helper()
	jobs := b.claim(worker, 1)
	if len(jobs) != 1 {
		b.Fatalf("claim gave %d jobs, want 1", len(jobs))
	}
	return jobs[0]
}

// claimQuarantined takes the one quarantined job there must be.
func (b *bed) claimQuarantined(worker job.ID) job.Job {
	b.Helper()
	jobs, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: worker, Limit: 1, Kinds: kinds, Quarantined: true})
	b.must(err)
	if len(jobs) != 1 {
		b.Fatalf("claim of a quarantined job gave %d jobs, want 1", len(jobs))
	}
	return jobs[0]
}

func (b *bed) job(id job.ID) job.Job {
	b.Helper()
	j, err := b.Store.Job(b.ctx, id)
	b.must(err)
	return j
}

// state reports a job that is not in the state wanted.
func (b *bed) state(id job.ID, want job.State) {
	b.Helper()
	if got := b.job(id).State; got != want {
		b.Errorf("job is %s, want %s", got, want)
	}
}

// unchanged reports a job row that act changes in any field.
func (b *bed) unchanged(id job.ID, act func()) {
	b.Helper()
	before := b.job(id)
	act()
	if d := cmp.Diff(b.job(id), before); d != "" {
		b.Errorf("the job changed (-got +want):\n%s", d)
	}
}

func (b *bed) history(id job.ID) []job.Event {
	b.Helper()
	events, err := b.Store.History(b.ctx, id)
	b.must(err)
	return events
}

// eventsOf returns the events of one type in a job's history.
func (b *bed) eventsOf(id job.ID, typ string) []job.Event {
	b.Helper()
	return slices.DeleteFunc(b.history(id), func(e job.Event) bool { return e.Type != typ })
}

func (b *bed) counts() map[job.State]int64 {
	b.Helper()
	c, err := b.Store.Counts(b.ctx)
	b.must(err)
	return c
}

// retire declares a worker dead by its lease, and checks that exactly it was.
func (b *bed) expire(workers ...job.ID) {
	b.Helper()
	b.Advance(lease + time.Minute)
	retired, err := b.Store.RetireExpired(b.ctx)
	b.must(err)
	for _, id := range workers {
		if !slices.ContainsFunc(retired, func(w job.Worker) bool { return w.ID == id }) {
			b.Fatalf("worker %s was not retired after its lease", id)
		}
	}
}

// recover moves every job whose owner is retired.
func (b *bed) recover() []job.RecoveredJob {
	b.Helper()
	var all []job.RecoveredJob
	for range 1000 {
		r, err := b.Store.Recover(b.ctx, 100)
		b.must(err)
		if len(r.Jobs) == 0 {
			return all
		}
		all = append(all, r.Jobs...)
	}
	b.Fatal("recovery never came to an end")
	return nil
}

// messages takes every due message of a kind and marks it sent.
func (b *bed) messages(kind string) []job.Message {
	b.Helper()
	taken, err := b.Store.TakeMessages(b.ctx, kind, 1000, time.Minute)
	b.must(err)
	ids := make([]job.ID, len(taken))
	for i, m := range taken {
		ids[i] = m.ID
	}
	b.must(b.Store.MarkSent(b.ctx, ids...))
	return taken
}

// atOnce runs n calls of act as simultaneously as goroutines can start and
// waits for all. The handle alternates between the subject's and a second one.
func (b *bed) atOnce(n int, act func(i int, s Store)) {
	b.Helper()
	handles := []Store{b.Store, b.second()}
	start, done := make(chan struct{}), make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			<-start
			act(i, handles[i%len(handles)])
		}()
	}
	close(start)
	for range n {
		<-done
	}
}

// eventually polls until holds, or ends the test when patience is spent.
func (b *bed) eventually(what string, holds func() bool) {
	b.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			b.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// second is another handle on the same data, the same at each call.
func (b *bed) second() Store {
	if b.other == nil {
		b.other = b.Reopen(b.TB)
	}
	return b.other
}

// numberOf counts the rows of a table that match a condition.
func (b *bed) numberOf(table, where string, args ...any) int64 {
	b.Helper()
	return b.Number(b.TB, "SELECT count(*) FROM "+table+" WHERE "+fmt.Sprintf(where, args...))
}

// leaseOf is the lease under which j was claimed.
func leaseOf(j job.Job) job.Lease { return j.Lease() }
