package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var finishPromises = []promise{
	{name: "CompleteEndsTheJob", holds: completeEndsTheJob},
	{name: "ABatchWithLostLeasesCompletesTheOthers", holds: completeBatch},
	{name: "AStaleLeaseChangesNothingAndIsRecorded", holds: staleLeaseChangesNothing},
	{name: "TheLeaseHoldsUntilRecoveryEvenIfTheOwnerWasRetired", holds: retiredOwnerMayFinish},
	{name: "AFailedAttemptWaitsForItsBackoffOnTheStoresClock", holds: failWaitsForBackoff},
	{name: "TheFailureBudgetEndsInADeadLetterWithItsAlert", holds: failureBudgetEnds},
	{name: "APermanentFailureEndsAtOnce", holds: permanentFailureEnds},
	{name: "FailuresAndCrashesHaveBudgetsOfTheirOwn", holds: budgetsAreApart},
	{name: "AnyTextOfAFailureIsRecorded", holds: anyTextOfAFailure},
	{name: "ReleaseGivesBackAsIfNeverClaimed", holds: releaseGivesBack},
	{name: "SnoozeGivesBackUncountedUntilItsDelay", holds: snoozeGivesBack},
	{name: "CancelRunningEndsTheJob", holds: cancelRunningEnds},
	{name: "ProgressIsBelieved", holds: progressIsBelieved},
}

// running enqueues a job and claims it by a new worker.
func (b *bed) running(s job.Spec) job.Job {
	b.Helper()
	id := b.enqueueOne(s)
	j := b.claimOne(b.worker())
	b.equal("the job claimed", j.ID, id)
	return j
}

// orphaned is a job whose first owner was retired and that a second one runs
// now; stale is the first one's lease.
func (b *bed) orphaned(s job.Spec) (j job.Job, stale job.Lease) {
	b.Helper()
	stale = leaseOf(b.running(s))
	b.must(b.Store.Retire(b.ctx, stale.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	b.equal("jobs recovered", len(b.recover()), 1)
	return b.claimOne(b.worker()), stale
}

func (b *bed) fail(l job.Lease, f job.Failure) job.State {
	b.Helper()
	state, err := b.Store.Fail(b.ctx, l, f)
	b.must(err)
	return state
}

func (b *bed) complete(leases ...job.Lease) {
	b.Helper()
	b.must(batchError(b.Store.Complete(b.ctx, leases...)))
}

// story reports an event that tells another change than the one wanted. Times,
// ids, customer and detail are the store's.
func (b *bed) story(e, want job.Event) {
	b.Helper()
	if e.At.IsZero() || e.V != 1 {
		b.Errorf("event %s: at %s, version %d", e.Type, e.At, e.V)
	}
	got := job.Event{Type: e.Type, JobID: e.JobID, WorkerID: e.WorkerID, Fence: e.Fence, Actor: e.Actor, From: e.From, To: e.To, Cause: e.Cause}
	b.equal("event", got, want)
}

// lastEvent returns the newest event of a type, which must exist.
func (b *bed) lastEvent(id job.ID, typ string) job.Event {
	b.Helper()
	events := b.eventsOf(id, typ)
	if len(events) == 0 {
		b.Fatalf("no event %s in the job's history", typ)
	}
	return events[len(events)-1]
}

func completeEndsTheJob(b *bed) {
	j := b.running(order())
	from := b.now()
	b.complete(j.Lease())
	got := b.job(j.ID)
	b.within("finished", got.FinishedAt, from, b.now())

	want := j
	want.State, want.FinishedAt = job.Completed, got.FinishedAt
	b.equal("job", got, want)
	b.story(b.lastEvent(j.ID, job.EventJobCompleted), job.Event{
		Type: job.EventJobCompleted, JobID: j.ID, WorkerID: j.WorkerID, Fence: 1,
		Actor: job.ActorWorker(j.WorkerID), From: "in_progress", To: "completed",
	})

	lost, err := b.Store.Complete(b.ctx)
	if len(lost) != 0 || err != nil {
		b.Errorf("complete of nothing: got %v, %v", lost, err)
	}
	b.unchanged(j.ID, func() {
		lost, err := b.Store.Complete(b.ctx, j.Lease())
		b.must(err)
		b.equal("a second completion is lost", lost, []job.Lease{j.Lease()})
	})
}

func completeBatch(b *bed) {
	_, stale := b.orphaned(order())
	b.noops(100)
	w := b.worker()
	var leases []job.Lease
	for _, j := range b.claim(w, 100) {
		leases = append(leases, j.Lease())
	}
	unknown := job.Lease{JobID: job.NewID(), Fence: 1, WorkerID: w}
	ahead := leases[7]
	ahead.Fence++
	cancelled := leases[8]
	b.must(b.Store.Cancel(b.ctx, cancelled.JobID, staff))

	batch := slices.Concat([]job.Lease{stale}, leases[:7], []job.Lease{ahead, unknown}, leases[8:])
	lost, err := b.Store.Complete(b.ctx, batch...)
	b.must(err)
	b.equal("lost leases, in any order", byID(lost), byID([]job.Lease{stale, ahead, unknown, cancelled}))
	b.equal("completed", b.counts()[job.Completed], int64(98))
	b.state(ahead.JobID, job.InProgress)
	b.state(cancelled.JobID, job.Cancelled)
	b.state(stale.JobID, job.InProgress)
	for _, l := range []job.Lease{stale, ahead, cancelled} {
		b.equal("refused writes recorded", len(b.eventsOf(l.JobID, job.EventWriteFenced)), 1)
	}
}

func byID(leases []job.Lease) []job.Lease {
	return slices.SortedFunc(slices.Values(leases), func(x, y job.Lease) int { return strings.Compare(x.JobID.String(), y.JobID.String()) })
}

func staleLeaseChangesNothing(b *bed) {
	running, stale := b.orphaned(order())
	finished, staleToo := b.orphaned(order())
	b.complete(finished.Lease())
	ahead := running.Lease()
	ahead.Fence++

	for _, v := range verbs {
		if v.refusal != job.ErrLeaseLost {
			continue
		}
		for what, l := range map[string]job.Lease{
			"another runs the job": stale, "another completed the job": staleToo,
			"it is over": finished.Lease(), "its fence was never granted": ahead,
		} {
			b.sub(cmp.Or(v.as, v.name)+" when "+what, func(b *bed) {
				before := len(b.eventsOf(l.JobID, job.EventWriteFenced))
				b.unchanged(l.JobID, func() { b.fails(v.name, v.act(b, job.Job{}, l), job.ErrLeaseLost) })
				b.equal("refused writes recorded by one", len(b.eventsOf(l.JobID, job.EventWriteFenced))-before, 1)
				e := b.lastEvent(l.JobID, job.EventWriteFenced)
				b.equal("fence of the refused write", e.Fence, l.Fence)
				b.equal("worker of the refused write", e.WorkerID, l.WorkerID)
				b.equal("actor of the refused write", e.Actor, job.ActorWorker(l.WorkerID))
			})
		}
	}
	b.equal("alerts", len(b.messages(job.MessageAlert)), 0)
	b.complete(running.Lease())
}

// A retired worker's jobs are not free before recovery gave them a way on: work
// that was finished in between is finished, and nobody repeats it.
func retiredOwnerMayFinish(b *bed) {
	j := b.running(order())
	b.must(b.Store.Retire(b.ctx, j.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	b.complete(j.Lease())
	b.state(j.ID, job.Completed)
	b.equal("jobs recovered", len(b.recover()), 0)
	b.state(j.ID, job.Completed)
}

func failWaitsForBackoff(b *bed) {
	j := b.running(order())
	from := b.now()
	state := b.fail(j.Lease(), job.Failure{Cause: "directory 17 said no", Class: job.ClassTransient, Delay: 90 * time.Second})
	b.equal("state answered", state, job.Pending)
	got := b.job(j.ID)
	b.within("due", got.DueAt, from.Add(90*time.Second), b.now().Add(90*time.Second))
	b.equal("state", got.State, job.Pending)
	b.equal("failures, crashes, attempt, fence", []int64{int64(got.Failures), int64(got.Crashes), int64(got.Attempt), got.Fence}, []int64{1, 0, 1, 1})
	b.equal("cause", got.Cause, "directory 17 said no")
	b.equal("class", got.Class, job.ClassTransient)
	b.equal("signature", got.Signature, job.Signature(job.ClassTransient, "directory 17 said no"))
	b.equal("finished", got.FinishedAt, time.Time{})
	b.story(b.lastEvent(j.ID, job.EventJobRetried), job.Event{
		Type: job.EventJobRetried, JobID: j.ID, WorkerID: j.WorkerID, Fence: 1, Cause: "directory 17 said no",
		Actor: job.ActorWorker(j.WorkerID), From: "in_progress", To: "pending",
	})

	w := b.worker()
	b.Advance(time.Minute)
	b.equal("claimed before the backoff is over", len(b.claim(w, 1)), 0)
	b.Advance(31 * time.Second)
	next := b.claimOne(w)
	b.equal("the next attempt", next.Attempt, 2)
	b.equal("alerts", len(b.messages(job.MessageAlert)), 0)

	state = b.fail(next.Lease(), job.Failure{Cause: "c", Class: job.ClassPanic, Signature: "mine"})
	b.equal("state answered", state, job.Pending)
	b.equal("a signature that is given stays", b.job(j.ID).Signature, "mine")
	third := b.claimOne(w)
	b.equal("no delay, due at once", third.Attempt, 3)
	b.fail(third.Lease(), job.Failure{Cause: "c", Class: job.ClassPanic, Signature: "\ufeffmine \x01 "})
	b.equal("but tidy", b.job(j.ID).Signature, job.TidySignature("mine \x01"))
}

func failureBudgetEnds(b *bed) {
	s := order()
	s.MaxAttempts = 3
	id := b.enqueueOne(s)
	w := b.worker()
	for n := 1; n <= 2; n++ {
		b.equal(fmt.Sprintf("failure %d", n), b.fail(leaseOf(b.claimOne(w)), job.Failure{Cause: "no", Class: job.ClassTransient}), job.Pending)
	}
	b.equal("alerts before the budget is spent", len(b.messages(job.MessageAlert)), 0)
	j := b.claimOne(w)
	from := b.now()
	b.equal("failure 3", b.fail(j.Lease(), job.Failure{Cause: "still no 404", Class: job.ClassTransient, Delay: time.Hour}), job.Failed)
	b.deadLetter(j, from, job.ClassTransient, "still no 404")
	b.equal("failures", b.job(id).Failures, 3)
	b.Advance(2 * time.Hour)
	b.equal("claims of a dead letter", len(b.claim(b.worker(), 1)), 0)
}

// deadLetter checks all that goes with a job's end in failed.
func (b *bed) deadLetter(j job.Job, from time.Time, class, cause string) {
	b.Helper()
	got := b.job(j.ID)
	b.equal("state", got.State, job.Failed)
	b.within("finished", got.FinishedAt, from, b.now())
	b.equal("class", got.Class, class)
	if !strings.Contains(got.Cause, cause) {
		b.Errorf("cause is %q, want %q in it", got.Cause, cause)
	}
	b.equal("signature", got.Signature, job.Signature(class, got.Cause))
	e := b.lastEvent(j.ID, job.EventJobFailed)
	b.equal("event", []string{e.From, e.To, e.Cause}, []string{"in_progress", "failed", got.Cause})
	b.equal("fence of the event", e.Fence, j.Fence)
	b.alerted(j.ID)
}

// alerted checks that exactly one alert waits to be sent, and that it names the job.
func (b *bed) alerted(id job.ID) {
	b.Helper()
	alerts := b.messages(job.MessageAlert)
	if len(alerts) != 1 {
		b.Fatalf("%d alerts wait to be sent, want 1", len(alerts))
	}
	if a := alerts[0]; !strings.Contains(a.Key+string(a.Payload), id.String()) {
		b.Errorf("the alert %q %s does not name job %s", a.Key, a.Payload, id)
	}
}

func permanentFailureEnds(b *bed) {
	j := b.running(order())
	from := b.now()
	state := b.fail(j.Lease(), job.Failure{Cause: "unknown package", Class: job.ClassPermanent, Permanent: true, Delay: time.Hour})
	b.equal("state answered", state, job.Failed)
	b.deadLetter(j, from, job.ClassPermanent, "unknown package")
	b.equal("failures", b.job(j.ID).Failures, 1)

	// Two jobs that fail for the same reason are two letters: neither is unseen.
	one := b.running(order())
	b.fail(one.Lease(), job.Failure{Cause: "same", Class: job.ClassPermanent, Permanent: true})
	two := b.running(order())
	b.fail(two.Lease(), job.Failure{Cause: "same", Class: job.ClassPermanent, Permanent: true})
	text := ""
	for _, a := range b.messages(job.MessageAlert) {
		text += a.Key + string(a.Payload)
	}
	for _, id := range []job.ID{one.ID, two.ID} {
		if !strings.Contains(text, id.String()) {
			b.Errorf("no alert names job %s: %s", id, text)
		}
	}
}

func budgetsAreApart(b *bed) {
	s := order()
	s.MaxAttempts, s.CrashBudget = 2, 2
	j, _ := b.orphaned(s)
	b.equal("failures and crashes after a crash", []int{j.Failures, j.Crashes}, []int{0, 1})
	b.equal("state after a crash and a failure", b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassTransient}), job.Pending)
	j = b.claimOne(b.worker())
	b.equal("failures and crashes", []int{j.Failures, j.Crashes}, []int{1, 1})
	b.equal("state after the last failure", b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassTransient}), job.Failed)
	b.equal("crashes at the end", b.job(j.ID).Crashes, 1)
}

// What a site or a runtime says is not always text that a database takes.
func anyTextOfAFailure(b *bed) {
	for what, cause := range map[string]string{
		"a NUL byte": "page said \x00 and ended", "broken UTF-8": "page said \xff\xfe",
		"quotes": `it's "no" \ ; DROP TABLE jobs`, "a megabyte": strings.Repeat("ä", 1<<19), "nothing": "",
	} {
		j := b.running(order())
		if state := b.fail(j.Lease(), job.Failure{Cause: cause, Class: job.ClassPermanent, Permanent: true}); state != job.Failed {
			b.Errorf("%s: state %s, want failed", what, state)
		}
		if got := b.job(j.ID); cause != "" && got.Cause == "" {
			b.Errorf("%s: the cause is lost", what)
		}
		b.eventsOf(j.ID, job.EventJobFailed)
	}
	j := b.running(order())
	b.must(batchError(b.Store.Release(b.ctx, "dr\x00ain \xff", j.Lease())))
	j = b.claimOne(j.WorkerID)
	b.must(b.Store.Snooze(b.ctx, j.Lease(), 0, "c\x00ap \xff"))
	_, err := b.Store.Enqueue(b.ctx, job.Spec{Kind: job.KindNoop, Payload: []byte(`{"text": "\u0000"}`)})
	if invalid := new(job.InvalidError); err != nil && !errors.As(err, &invalid) {
		b.Errorf("a payload with an escaped NUL: got error %v, want it stored or an InvalidError", err)
	}
}

func releaseGivesBack(b *bed) {
	j := b.running(order())
	enqueued := b.job(j.ID).CreatedAt
	b.Advance(time.Minute)
	_, stale := b.orphaned(job.Spec{Kind: job.KindNoop, Priority: 1})
	lost, err := b.Store.Release(b.ctx, "drain", stale, j.Lease())
	b.must(err)
	b.equal("lost leases", lost, []job.Lease{stale})

	got := b.job(j.ID)
	b.equal("state", got.State, job.Pending)
	b.equal("attempt, failures, crashes, fence", []int64{int64(got.Attempt), int64(got.Failures), int64(got.Crashes), got.Fence}, []int64{0, 0, 0, 1})
	b.within("due at once", got.DueAt, enqueued, b.now())
	b.story(b.lastEvent(j.ID, job.EventJobReleased), job.Event{
		Type: job.EventJobReleased, JobID: j.ID, WorkerID: j.WorkerID, Fence: 1, Cause: "drain",
		Actor: job.ActorWorker(j.WorkerID), From: "in_progress", To: "pending",
	})
	b.equal("the next claim", b.claimOne(b.worker()).ID, j.ID)

	// A job may be released without end and never run out of budget.
	for range 10 {
		again := b.running(job.Spec{Kind: job.KindNoop, MaxAttempts: 1, CrashBudget: 1})
		for range 3 {
			b.must(batchError(b.Store.Release(b.ctx, "drain", again.Lease())))
			again = b.claimOne(again.WorkerID)
			b.equal("attempt", again.Attempt, 1)
		}
		b.complete(again.Lease())
	}
}

func snoozeGivesBack(b *bed) {
	j := b.running(order())
	from := b.now()
	b.must(b.Store.Snooze(b.ctx, j.Lease(), time.Minute, "daily cap of example.org"))
	got := b.job(j.ID)
	b.within("due", got.DueAt, from.Add(time.Minute), b.now().Add(time.Minute))
	b.equal("state", got.State, job.Pending)
	b.equal("attempt, failures, crashes, fence", []int64{int64(got.Attempt), int64(got.Failures), int64(got.Crashes), got.Fence}, []int64{0, 0, 0, 1})
	b.story(b.lastEvent(j.ID, job.EventJobSnoozed), job.Event{
		Type: job.EventJobSnoozed, JobID: j.ID, WorkerID: j.WorkerID, Fence: 1, Cause: "daily cap of example.org",
		Actor: job.ActorWorker(j.WorkerID), From: "in_progress", To: "pending",
	})
	w := b.worker()
	b.equal("claimed while it sleeps", len(b.claim(w, 1)), 0)
	b.Advance(time.Minute)
	b.equal("attempt after the snooze", b.claimOne(w).Attempt, 1)
}

func cancelRunningEnds(b *bed) {
	j := b.running(order())
	from := b.now()
	b.must(b.Store.CancelRunning(b.ctx, j.Lease(), "the customer left"))
	got := b.job(j.ID)
	b.equal("state", got.State, job.Cancelled)
	b.within("finished", got.FinishedAt, from, b.now())
	b.story(b.lastEvent(j.ID, job.EventJobCancelled), job.Event{
		Type: job.EventJobCancelled, JobID: j.ID, WorkerID: j.WorkerID, Fence: 1, Cause: "the customer left",
		Actor: job.ActorWorker(j.WorkerID), From: "in_progress", To: "cancelled",
	})
	b.equal("alerts", len(b.messages(job.MessageAlert)), 0)
}

func progressIsBelieved(b *bed) {
	j := b.running(order())
	b.Advance(2 * time.Minute)
	from := b.now()
	b.must(b.Store.Progress(b.ctx, j.Lease()))
	got := b.job(j.ID)
	b.within("progress", got.ProgressAt, from, b.now())
	want := j
	want.ProgressAt = got.ProgressAt
	b.equal("nothing else changed", got, want)
}
