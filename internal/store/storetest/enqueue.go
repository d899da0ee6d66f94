package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var enqueuePromises = []promise{
	{name: "AJobIsStoredAsSpecified", holds: enqueueStoresTheSpec},
	{name: "OmittedFieldsGetTheirDefaults", holds: enqueueFillsDefaults},
	{name: "AnswersAreInTheOrderOfSpecs", holds: enqueueAnswersInOrder},
	{name: "TheSameKeyEnqueuesOnce", holds: enqueueIsIdempotent},
	{name: "TheSameKeyFrom16CallersOnTwoHandlesEnqueuesOnce", holds: enqueueIsIdempotentConcurrently},
	{name: "ABadSpecIsNamedAndNothingIsAdded", holds: enqueueIsAllOrNone},
}

func enqueueStoresTheSpec(b *bed) {
	s := order()
	s.ID, s.Priority, s.Delay, s.IdempotencyKey = job.NewID(), 2, time.Hour, "checkout-1"
	s.MaxAttempts, s.CrashBudget, s.Canary = 7, 4, true
	from := b.now()
	id := b.enqueueOne(s)
	to := b.now()

	got := b.job(id)
	b.within("due", got.DueAt, from.Add(time.Hour), to.Add(time.Hour))
	b.within("created", got.CreatedAt, from, to)
	if got.DueAt.Location() != time.UTC || got.CreatedAt.Location() != time.UTC {
		b.Errorf("times are in %s and %s, want UTC", got.DueAt.Location(), got.CreatedAt.Location())
	}
	var payload, want any
	b.must(json.Unmarshal(got.Payload, &payload))
	b.must(json.Unmarshal(s.Payload, &want))
	b.equal("payload", payload, want)

	got.DueAt, got.CreatedAt, got.Payload = time.Time{}, time.Time{}, nil
	b.equal("job", got, job.Job{
		ID: s.ID, Kind: job.KindOrder, State: job.Pending, Priority: 2, CustomerID: s.CustomerID,
		Package: "starter", Quota: 50, ValueCents: 14900, Canary: true,
		MaxAttempts: 7, CrashBudget: 4, IdempotencyKey: "checkout-1",
	})
	b.fails("a job that is not there", errorOf(b.Store.Job(b.ctx, job.NewID())), job.ErrNotFound)
}

func enqueueFillsDefaults(b *bed) {
	from := b.now()
	id := b.enqueueOne(job.Spec{Kind: job.KindNoop})
	got := b.job(id)
	b.within("due", got.DueAt, from, b.now())
	if string(got.Payload) != "{}" {
		b.Errorf("payload is %s, want {}", got.Payload)
	}
	got.DueAt, got.CreatedAt, got.Payload = time.Time{}, time.Time{}, nil
	b.equal("job", got, job.Job{
		ID: id, Kind: job.KindNoop, State: job.Pending, Priority: job.PriorityLowest,
		MaxAttempts: job.DefaultMaxAttempts, CrashBudget: job.DefaultCrashBudget,
	})
	if id == (job.ID{}) || id.Version() != 7 {
		b.Errorf("the store made the id %s, want a UUIDv7", id)
	}
	answers, err := b.Store.Enqueue(b.ctx)
	if err != nil || len(answers) != 0 {
		b.Errorf("enqueue of nothing: got %v, %v, want no answers and no error", answers, err)
	}
}

func enqueueAnswersInOrder(b *bed) {
	specs := make([]job.Spec, 250)
	for i := range specs {
		specs[i] = job.Spec{Kind: job.KindNoop, Payload: fmt.Appendf(nil, `{"n": %d}`, i)}
		if i%3 == 0 {
			specs[i].ID = job.NewID()
		}
	}
	for i, id := range b.enqueue(specs...) {
		if specs[i].ID != (job.ID{}) && specs[i].ID != id {
			b.Fatalf("answer %d is job %s, want %s", i, id, specs[i].ID)
		}
		var payload struct{ N int }
		b.must(json.Unmarshal(b.job(id).Payload, &payload))
		if payload.N != i {
			b.Fatalf("answer %d is the job of spec %d", i, payload.N)
		}
	}
	b.equal("pending jobs", b.counts()[job.Pending], int64(len(specs)))
}

func enqueueIsIdempotent(b *bed) {
	keyed := job.Spec{Kind: job.KindNoop, IdempotencyKey: "k"}
	free := job.Spec{Kind: job.KindNoop}

	first, err := b.Store.Enqueue(b.ctx, keyed, free, keyed, free)
	b.must(err)
	b.equal("the same key twice in one call is one job", first[2].ID, first[0].ID)
	b.equal("created", []bool{first[0].Created, first[1].Created, first[2].Created, first[3].Created},
		[]bool{true, true, false, true})
	if first[1].ID == first[3].ID {
		b.Error("specs without a key became one job")
	}

	keyed.ID, keyed.Priority = job.NewID(), 1
	again, err := b.Store.Enqueue(b.ctx, free, keyed)
	b.must(err)
	b.equal("a known key answers the earlier id", again[1], job.Enqueued{ID: first[0].ID})
	b.equal("the free spec beside it", again[0].Created, true)
	b.equal("priority of the earlier job", b.job(first[0].ID).Priority, job.PriorityLowest)
	b.equal("pending jobs", b.counts()[job.Pending], int64(4))

	w := b.worker()
	for _, j := range b.claim(w, 10) {
		b.must(errorOf(b.Store.Complete(b.ctx, j.Lease())))
	}
	late, err := b.Store.Enqueue(b.ctx, keyed)
	b.must(err)
	b.equal("the key of a completed job is still known", late[0], job.Enqueued{ID: first[0].ID})
}

func enqueueIsIdempotentConcurrently(b *bed) {
	const callers = 16
	var mu sync.Mutex
	ids, created := map[job.ID]int{}, 0
	b.atOnce(callers, func(i int, s Store) {
		// Keys in opposite orders would deadlock a store that locks them as they come.
		specs := []job.Spec{{Kind: job.KindNoop, IdempotencyKey: "a"}, {Kind: job.KindNoop, IdempotencyKey: "b"}}
		if i%4 >= 2 {
			specs[0], specs[1] = specs[1], specs[0]
		}
		answers, err := s.Enqueue(b.ctx, specs...)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("caller %d: %v", i, err)
			return
		}
		for _, a := range answers {
			ids[a.ID]++
			if a.Created {
				created++
			}
		}
	})
	b.equal("distinct ids", len(ids), 2)
	for id, n := range ids {
		b.equal(fmt.Sprintf("callers that were told %s", id), n, callers)
	}
	b.equal("jobs said to be created", created, 2)
	b.equal("pending jobs", b.counts()[job.Pending], int64(2))
}

func enqueueIsAllOrNone(b *bed) {
	good := job.Spec{Kind: job.KindNoop, IdempotencyKey: "good"}
	known := b.enqueueOne(job.Spec{Kind: job.KindNoop})
	bad := map[string]job.Spec{
		"kind":         {},
		"priority":     {Kind: job.KindNoop, Priority: 5},
		"priority ":    {Kind: job.KindNoop, Priority: -1},
		"delay":        {Kind: job.KindNoop, Delay: -time.Second},
		"quota":        {Kind: job.KindOrder, Quota: -1},
		"value_cents":  {Kind: job.KindOrder, ValueCents: -1},
		"payload":      {Kind: job.KindNoop, Payload: []byte(`{"cut":`)},
		"payload ":     {Kind: job.KindNoop, Payload: []byte(`[1]`)},
		"max_attempts": {Kind: job.KindNoop, MaxAttempts: -1},
		"crash_budget": {Kind: job.KindNoop, CrashBudget: -1},
	}
	for field, spec := range bad {
		_, err := b.Store.Enqueue(b.ctx, good, spec, good)
		var invalid *job.InvalidError
		if !errors.As(err, &invalid) {
			b.Errorf("bad %s: got error %v, want an InvalidError", field, err)
		} else if invalid.Field == "" || invalid.Reason == "" {
			b.Errorf("bad %s: the error %q names no field or no reason", field, err)
		}
	}
	if _, err := b.Store.Enqueue(b.ctx, good, job.Spec{ID: known, Kind: job.KindNoop}); err == nil {
		b.Error("a second job under the id of another was accepted")
	}
	cancelled, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.Store.Enqueue(cancelled, good); !errors.Is(err, context.Canceled) {
		b.Errorf("enqueue under a cancelled context: got error %v", err)
	}
	b.equal("pending jobs", b.counts()[job.Pending], int64(1))
	b.equal("events", b.numberOf("events", "job_id <> '%s'", known), int64(0))
	b.equal("messages", b.numberOf("outbox", "1 = 1"), int64(0))
}

// errorOf drops the first result of a call.
func errorOf[T any](_ T, err error) error { return err }
