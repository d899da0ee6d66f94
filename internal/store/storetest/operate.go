package storetest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var operatePromises = []promise{
	{name: "CancelEndsPendingAndRunningJobs", holds: cancelEnds},
	{name: "CancelOrCompleteOneOfThemWins", holds: cancelRacesComplete},
	{name: "RedriveGivesNewBudgetsAndKeepsTheHistory", holds: redriveStartsAnew},
	{name: "RedriveHappensOnceForManyCallers", holds: redriveOnce},
	{name: "PauseAndResume", holds: pauseAndResume},
}

func cancelEnds(b *bed) {
	pending := b.noops(1)[0]
	from := b.now()
	b.must(b.Store.Cancel(b.ctx, pending, staff))
	got := b.job(pending)
	b.equal("state", got.State, job.Cancelled)
	b.within("finished", got.FinishedAt, from, b.now())
	b.story(b.lastEvent(pending, job.EventJobCancelled), job.Event{
		Type: job.EventJobCancelled, JobID: pending, Actor: staff.Actor, Cause: staff.Reason, From: "pending", To: "cancelled",
	})
	b.equal("claims of a cancelled job", len(b.claim(b.worker(), 1)), 0)

	j := b.running(order())
	b.must(b.Store.Cancel(b.ctx, j.ID, staff))
	b.state(j.ID, job.Cancelled)
	e := b.lastEvent(j.ID, job.EventJobCancelled)
	b.equal("event", []string{e.Actor, e.Cause, e.From, e.To}, []string{staff.Actor, staff.Reason, "in_progress", "cancelled"})
	p, err := b.Store.Beat(b.ctx, j.WorkerID, lease, []job.Held{{Lease: j.Lease()}})
	b.must(err)
	b.equal("what the owner's beat tells", p.Lost, []job.Lost{{Lease: j.Lease(), State: job.Cancelled}})
	b.unchanged(j.ID, func() {
		b.fails("the owner's completion", batchError(b.Store.Complete(b.ctx, j.Lease())), job.ErrLeaseLost)
	})
	b.equal("alerts", len(b.messages(job.MessageAlert)), 0)
}

func cancelRacesComplete(b *bed) {
	const n = 30
	b.noops(n)
	w := b.worker()
	jobs := b.claim(w, n)
	var mu sync.Mutex
	cancelled, completed := 0, 0
	b.atOnce(2*n, func(i int, s Store) {
		j := jobs[i/2]
		// The goroutines of a pair use both handles, in either role.
		if (i+i/2)%2 == 0 {
			err := s.Cancel(b.ctx, j.ID, staff)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				cancelled++
			case !errors.Is(err, job.ErrState):
				b.Errorf("cancel: %v", err)
			}
			return
		}
		lost, err := s.Complete(b.ctx, j.Lease())
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("complete: %v", err)
		} else if len(lost) == 0 {
			completed++
		}
	})
	c := b.counts()
	b.equal("cancelled and completed by the answers", cancelled+completed, n)
	b.equal("cancelled", c[job.Cancelled], int64(cancelled))
	b.equal("completed", c[job.Completed], int64(completed))
}

func redriveStartsAnew(b *bed) {
	s := order()
	s.MaxAttempts, s.CrashBudget, s.IdempotencyKey = 2, 3, "checkout-9"
	id := b.enqueueOne(s)
	die := func(redrives int) {
		b.Helper()
		b.crash(b.claimOne(b.worker()))
		b.crash(b.claimOne(b.worker())) // quarantined now
		b.Advance(time.Hour)
		w := b.worker()
		b.equal("first failure", b.fail(leaseOf(b.claimQuarantinedOrNot(w)), job.Failure{Cause: "no", Class: job.ClassTransient}), job.Pending)
		b.equal("second failure", b.fail(leaseOf(b.claimQuarantinedOrNot(w)), job.Failure{Cause: "no", Class: job.ClassTransient}), job.Failed)
		b.alerted(id)

		told := len(b.history(id))
		from := b.now()
		b.must(b.Store.Redrive(b.ctx, id, staff))
		got := b.job(id)
		b.equal("state", got.State, job.Pending)
		b.equal("attempt, failures, crashes, redrives", []int{got.Attempt, got.Failures, got.Crashes, got.Redrives}, []int{0, 0, 0, redrives})
		b.equal("quarantined", got.Quarantined, false)
		b.equal("finished", got.FinishedAt, time.Time{})
		b.equal("fence", got.Fence, int64(4*redrives))
		b.within("due at once", got.DueAt, got.CreatedAt, b.now())
		b.equal("idempotency key", got.IdempotencyKey, "checkout-9")
		e := b.lastEvent(id, job.EventJobRedriven)
		b.story(e, job.Event{
			Type: job.EventJobRedriven, JobID: id, WorkerID: e.WorkerID, Fence: e.Fence,
			Actor: staff.Actor, Cause: staff.Reason, From: "failed", To: "pending",
		})
		b.within("redriven", e.At, from, b.now())
		if now := len(b.history(id)); now < told {
			b.Errorf("history has %d lines after the redrive, %d before", now, told)
		}
		b.equal("failures told", len(b.eventsOf(id, job.EventJobFailed)), redrives)
		b.equal("retries told", len(b.eventsOf(id, job.EventJobRetried)), redrives)
		b.equal("redrives told", len(b.eventsOf(id, job.EventJobRedriven)), redrives)
		b.equal("failed now", b.counts()[job.Failed], int64(0))
	}
	die(1)
	die(2)
	b.complete(leaseOf(b.claimOne(b.worker())))
	b.equal("redrives of the completed job", b.job(id).Redrives, 2)
}

// claimQuarantinedOrNot takes the one job there is: whether a failure frees a
// job from quarantine is the store's to choose.
func (b *bed) claimQuarantinedOrNot(w job.ID) job.Job {
	b.Helper()
	if jobs := b.claim(w, 1); len(jobs) == 1 {
		return jobs[0]
	}
	return b.claimQuarantined(w)
}

func redriveOnce(b *bed) {
	j := b.running(order())
	b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	var mu sync.Mutex
	won := 0
	b.atOnce(8, func(i int, s Store) {
		err := s.Redrive(b.ctx, j.ID, staff)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			won++
		case !errors.Is(err, job.ErrState):
			b.Errorf("redrive: %v", err)
		}
	})
	b.equal("callers whose redrive counted", won, 1)
	b.equal("redrives", b.job(j.ID).Redrives, 1)
	b.equal("events", len(b.eventsOf(j.ID, job.EventJobRedriven)), 1)
}

func pauseAndResume(b *bed) {
	customer := job.NewID()
	scopes := []job.Scope{{All: true}, {Kind: "order"}, {Customer: customer}}
	for _, s := range scopes {
		b.fails("resume of what is not paused", b.Store.Resume(b.ctx, s, staff), job.ErrNotFound)
	}
	s := order()
	s.CustomerID = customer
	running := b.running(s)
	from := b.now()
	for _, s := range scopes {
		b.must(b.Store.Pause(b.ctx, s, staff))
		b.must(b.Store.Pause(b.ctx, s, job.By{Actor: "cli:bob", Reason: "too"}))
	}
	paused, err := b.Store.Pauses(b.ctx)
	b.must(err)
	slices.SortFunc(paused, func(x, y job.Pause) int { return len(x.Scope.Key()) - len(y.Scope.Key()) })
	if len(paused) != len(scopes) {
		b.Fatalf("%d pauses, want %d", len(paused), len(scopes))
	}
	for i, p := range paused {
		b.equal("scope", p.Scope, scopes[i])
		b.within("at", p.At, from, b.now())
		if p.By.Actor == "" || p.By.Reason == "" {
			b.Errorf("pause of %s says %+v about who and why", p.Scope.Key(), p.By)
		}
	}
	p, err := b.Store.Beat(b.ctx, running.WorkerID, lease, []job.Held{{Lease: running.Lease()}})
	b.must(err)
	b.equal("leases lost by a pause", len(p.Lost), 0)
	b.complete(running.Lease())

	for _, s := range scopes {
		b.must(b.Store.Resume(b.ctx, s, staff))
		b.fails("a second resume", b.Store.Resume(b.ctx, s, staff), job.ErrNotFound)
	}
	paused, err = b.Store.Pauses(b.ctx)
	b.must(err)
	b.equal("pauses left", len(paused), 0)

	for _, s := range []job.Scope{{}, {All: true, Kind: "order"}, {Kind: "order", Customer: customer}} {
		var invalid *job.InvalidError
		if err := b.Store.Pause(b.ctx, s, staff); !errors.As(err, &invalid) {
			b.Errorf("pause of %+v: got error %v, want an InvalidError", s, err)
		}
	}
}
