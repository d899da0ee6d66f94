package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var recoverPromises = []promise{
	{name: "JobsOfARetiredWorkerAreClaimableAtOnce", holds: recoverMakesClaimable},
	{name: "LiveWorkersKeepTheirJobs", holds: recoverLeavesTheLiving},
	{name: "ASecondCrashQuarantines", holds: recoverQuarantines},
	{name: "TheCrashBudgetEndsInADeadLetterWithItsAlert", holds: crashBudgetEnds},
	{name: "JobsOfAWorkerThatLeftInOrderAreReleasedUncounted", holds: recoverReleasesInOrder},
	{name: "NoMoreThanTheLimitMoves", holds: recoverKeepsTheLimit},
	{name: "TwoRecoverersMoveEachJobOnce", holds: recoverOnce},
	{name: "RecoverOrFinishOneOfThemWins", holds: recoverRacesFinish},
	{name: "APruneNeverStrandsAJob", holds: pruneNeverStrands},
	{name: "AJobWithoutProgressIsTakenFromItsLiveWorker", holds: stalledIsTaken},
	{name: "AJobThatProgressesIsLeftAlone", holds: progressProtects},
	{name: "OnlyJobsOfLiveWorkersStall", holds: stalledNeedsALiveOwner},
	{name: "JobsThatStallAgainAreQuarantinedAndThenDead", holds: stallsEnd},
	{name: "TwoWhoRecoverStalledJobsMoveEachOnce", holds: stalledOnce},
	{name: "StalledOrFinishedOneOfThemWins", holds: stalledRacesFinish},
	{name: "APersonRecoversOneStaleJob", holds: recoverJobOfAPerson},
}

// crash ends the job's worker and recovers what it ran; it returns what became
// of the one job there was.
func (b *bed) crash(j job.Job) job.RecoveredJob {
	b.Helper()
	b.must(b.Store.Retire(b.ctx, j.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	moved := b.recover()
	if len(moved) != 1 {
		b.Fatalf("recovery moved %d jobs, want 1", len(moved))
	}
	return moved[0]
}

func recoverMakesClaimable(b *bed) {
	j := b.running(order())
	b.equal("jobs recovered before anybody is retired", len(b.recover()), 0)
	b.expire(j.WorkerID)
	b.equal("the job until it is recovered", b.job(j.ID), j)

	moved := b.recover()
	b.equal("recovered", moved, []job.RecoveredJob{{
		ID: j.ID, Kind: j.Kind, Fence: 1, State: job.Pending, Crashes: 1,
		Cause: job.RetiredLeaseExpired, WorkerID: j.WorkerID, ValueCents: j.ValueCents,
	}})
	got := b.job(j.ID)
	b.equal("state", got.State, job.Pending)
	b.equal("crashes, failures, attempt, fence", []int64{int64(got.Crashes), int64(got.Failures), int64(got.Attempt), got.Fence}, []int64{1, 0, 1, 1})
	b.equal("quarantined", got.Quarantined, false)
	e := b.lastEvent(j.ID, job.EventJobRecovered)
	b.story(e, job.Event{
		Type: job.EventJobRecovered, JobID: j.ID, WorkerID: j.WorkerID, Fence: 1, Cause: job.RetiredLeaseExpired,
		Actor: job.ActorSystem, From: "in_progress", To: "pending",
	})
	b.equal("events", len(b.eventsOf(j.ID, job.EventJobRecovered)), 1)
	next := b.claimOne(b.worker())
	b.equal("the next attempt and fence", []int64{int64(next.Attempt), next.Fence}, []int64{2, 2})
	b.equal("alerts", len(b.messages(job.MessageAlert)), 0)
}

func recoverLeavesTheLiving(b *bed) {
	b.noops(4)
	dead, alive := b.worker(), b.worker()
	b.claim(dead, 2)
	kept := b.claim(alive, 2)
	b.must(b.Store.Retire(b.ctx, dead, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	b.equal("jobs recovered", len(b.recover()), 2)
	for _, j := range kept {
		b.equal("a live worker's job", b.job(j.ID), j)
		b.complete(j.Lease())
	}
}

func recoverQuarantines(b *bed) {
	s := order()
	s.CrashBudget, s.Priority = 4, 1
	j, _ := b.orphaned(s)
	b.waiting("after one crash", false, kinds...)
	r := b.crash(j)
	b.equal("after the second crash", []any{r.State, r.Crashes, r.Quarantined}, []any{job.Pending, 2, true})
	b.equal("quarantined", b.job(j.ID).Quarantined, true)
	b.equal("events", len(b.eventsOf(j.ID, job.EventJobQuarantined)), 1)

	b.Advance(time.Hour) // whatever backoff the second recovery has
	b.waiting("once it is due", true, kinds...)
	noop := b.noops(1)[0]
	w := b.worker()
	if got := b.claim(w, 10); len(got) != 1 || got[0].ID != noop {
		b.Fatalf("an ordinary claim gave %d jobs, want the noop alone", len(got))
	}
	got := b.claimQuarantined(w)
	b.equal("claim of a quarantined job", got.ID, j.ID)
	b.equal("its fence", got.Fence, int64(3))
	b.waiting("while it runs", false, kinds...)
	more, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: w, Limit: 1, Kinds: kinds, Quarantined: true})
	b.must(err)
	b.equal("a second quarantined job", len(more), 0)
	b.equal("state after completion", batchError(b.Store.Complete(b.ctx, got.Lease())), nil)
	b.state(j.ID, job.Completed)

	b.sub("a quarantined job obeys kinds, pauses and due times too", func(b *bed) {
		j, _ := b.orphaned(s)
		b.crash(j)
		b.Advance(time.Hour)
		w := b.worker()
		none := func(what string, kinds ...string) {
			b.Helper()
			got, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: w, Limit: 1, Kinds: kinds, Quarantined: true})
			b.must(err)
			b.equal(what, len(got), 0)
			b.waiting(what, false, kinds...)
		}
		none("claimed by a worker without a handler", job.KindNoop)
		b.must(b.Store.Pause(b.ctx, job.Scope{Customer: s.CustomerID}, staff))
		none("claimed while paused", kinds...)
		b.must(b.Store.Resume(b.ctx, job.Scope{Customer: s.CustomerID}, staff))
		b.must(b.Store.Snooze(b.ctx, leaseOf(b.claimQuarantined(w)), time.Minute, "cap"))
		none("claimed before due", kinds...)
		b.Advance(time.Minute)
		b.complete(leaseOf(b.claimQuarantined(w)))
	})
}

// waiting checks what a busy worker is told of quarantined jobs.
func (b *bed) waiting(when string, want bool, kinds ...string) {
	b.Helper()
	got, err := b.Store.HasQuarantined(b.ctx, kinds)
	b.must(err)
	b.equal("a quarantined job waits, "+when, got, want)
}

func crashBudgetEnds(b *bed) {
	s := order()
	s.CrashBudget = 2
	j, _ := b.orphaned(s)
	b.equal("alerts before the budget is spent", len(b.messages(job.MessageAlert)), 0)
	from := b.now()
	r := b.crash(j)
	b.equal("recovered", []any{r.State, r.Crashes, r.ValueCents}, []any{job.Failed, 2, int64(14900)})
	b.deadLetter(j, from, job.ClassCrash, "")
	if b.job(j.ID).Cause == "" {
		b.Error("the dead letter has no cause")
	}

	s.CrashBudget = 1
	j = b.running(s)
	b.equal("state after the only crash allowed", b.crash(j).State, job.Failed)
	b.alerted(j.ID)
}

func recoverReleasesInOrder(b *bed) {
	s := order()
	s.CrashBudget = 1
	j := b.running(s)
	b.must(b.Store.Retire(b.ctx, j.WorkerID, job.RetiredStopped, job.By{Actor: job.ActorWorker(j.WorkerID)}))
	moved := b.recover()
	if len(moved) != 1 || moved[0].State != job.Pending || moved[0].Crashes != 0 || moved[0].Quarantined {
		b.Fatalf("recovered %+v, want the job pending and no crash", moved)
	}
	got := b.job(j.ID)
	b.equal("crashes, failures, attempt, fence", []int64{int64(got.Crashes), int64(got.Failures), int64(got.Attempt), got.Fence}, []int64{0, 0, 0, 1})
	next := b.claimOne(b.worker())
	b.equal("the next attempt and fence", []int64{int64(next.Attempt), next.Fence}, []int64{1, 2})
}

func recoverKeepsTheLimit(b *bed) {
	const n = 25
	b.noops(n)
	w := b.worker()
	b.claim(w, n)
	b.must(b.Store.Retire(b.ctx, w, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	total := 0
	for range n {
		r, err := b.Store.Recover(b.ctx, 10)
		b.must(err)
		if len(r.Jobs) > 10 {
			b.Errorf("one batch moved %d jobs, limit 10", len(r.Jobs))
		}
		if total += len(r.Jobs); len(r.Jobs) == 0 {
			break
		}
	}
	b.equal("jobs recovered", total, n)
	b.equal("pending", b.counts()[job.Pending], int64(n))
}

func recoverOnce(b *bed) {
	const n = 120
	b.noops(n)
	for range 3 {
		w := b.worker()
		b.claim(w, n/3)
		b.must(b.Store.Retire(b.ctx, w, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	}
	var mu sync.Mutex
	moved := map[job.ID]int{}
	b.atOnce(4, func(i int, s Store) {
		for range n {
			r, err := s.Recover(b.ctx, 13)
			if err != nil {
				b.Errorf("recoverer %d: %v", i, err)
				return
			}
			if len(r.Jobs) == 0 {
				return
			}
			mu.Lock()
			for _, j := range r.Jobs {
				moved[j.ID]++
			}
			mu.Unlock()
		}
	})
	for _, j := range b.recover() {
		moved[j.ID]++
	}
	b.equal("jobs recovered", len(moved), n)
	for id, times := range moved {
		if times != 1 {
			b.Errorf("job %s was recovered %d times", id, times)
		}
		b.equal("crashes of a job", b.job(id).Crashes, 1)
	}
	b.equal("events", b.numberOf("events", "type = 'job.recovered'"), int64(n))
}

// recoverRacesFinish lets a retired worker finish its jobs while recovery takes
// them: each job must go exactly one way, and both sides must agree on which.
func recoverRacesFinish(b *bed) {
	const rounds, n = 12, 16
	other := b.second()
	for round := range rounds {
		b.noops(n)
		w := b.worker()
		jobs := b.claim(w, n)
		b.equal("jobs to fight about", len(jobs), n)
		b.must(b.Store.Retire(b.ctx, w, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))

		recovered := map[job.ID]bool{}
		done := make(chan error)
		go func() {
			var err error
			for range n {
				var r job.Recovered
				r, err = other.Recover(b.ctx, 3)
				for _, j := range r.Jobs {
					recovered[j.ID] = true
				}
				if err != nil || len(r.Jobs) == 0 {
					break
				}
			}
			done <- err
		}()
		lost := map[job.ID]bool{}
		for i := 0; i < n; i += 4 {
			leases := []job.Lease{jobs[i].Lease(), jobs[i+1].Lease(), jobs[i+2].Lease()}
			gone, err := b.Store.Complete(b.ctx, leases...)
			b.must(err)
			for _, l := range gone {
				lost[l.JobID] = true
			}
			if _, err := b.Store.Fail(b.ctx, jobs[i+3].Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true}); err != nil {
				b.fails("fail of a job that recovery took", err, job.ErrLeaseLost)
				lost[jobs[i+3].ID] = true
			}
		}
		b.must(<-done)
		for _, r := range b.recover() {
			recovered[r.ID] = true
		}
		b.equal(fmt.Sprintf("round %d: what recovery took is what the worker lost", round), recovered, lost)
		finished := 0
		for _, j := range jobs {
			switch got := b.job(j.ID); {
			case lost[j.ID]:
				b.equal("a recovered job", []any{got.State, got.Crashes}, []any{job.Pending, 1})
			case got.State == job.Completed || got.State == job.Failed:
				b.equal("crashes of a finished job", got.Crashes, 0)
				finished++
			default:
				b.Errorf("a job that nobody took is %s", got.State)
			}
		}
		b.equal("finished and recovered", finished+len(lost), n)
		for _, j := range b.claim(b.worker(), n) {
			b.complete(j.Lease())
		}
	}
	c := b.counts()
	b.equal("all jobs at the end", c[job.Completed]+c[job.Failed], int64(rounds*n))
}

func pruneNeverStrands(b *bed) {
	j := b.running(order())
	b.expire(j.WorkerID)
	b.Advance(400 * 24 * time.Hour)
	b.must(errorOf(b.Store.Prune(b.ctx, job.Retention{})))
	moved := b.recover()
	if len(moved) != 1 || moved[0].ID != j.ID {
		b.Fatalf("recovery moved %v, want the job whose owner died long ago", moved)
	}
}

// stall is the threshold of the suite, shorter than its lease.
const stall = time.Minute

// stalled moves every job of live workers that makes no progress.
func (b *bed) stalled() []job.RecoveredJob {
	b.Helper()
	r, err := b.Store.RecoverStalled(b.ctx, stall, 1000)
	b.must(err)
	return r.Jobs
}

func stalledIsTaken(b *bed) {
	for _, c := range []struct {
		threshold time.Duration
		limit     int
	}{{0, 1}, {-time.Second, 1}, {stall, 0}} {
		_, err := b.Store.RecoverStalled(b.ctx, c.threshold, c.limit)
		if invalid := (*job.InvalidError)(nil); !errors.As(err, &invalid) {
			b.Errorf("threshold %s, limit %d: error %v, want an InvalidError", c.threshold, c.limit, err)
		}
	}

	j := b.running(order())
	b.Advance(stall / 2)
	b.enqueueOne(order())
	other := b.claimOne(j.WorkerID)
	b.equal("taken before the threshold", len(b.stalled()), 0)
	b.Advance(stall/2 + time.Second)
	b.equal("taken", b.stalled(), []job.RecoveredJob{{
		ID: j.ID, Kind: j.Kind, Fence: 1, State: job.Pending, Crashes: 1,
		Cause: job.NoProgress, WorkerID: j.WorkerID, ValueCents: j.ValueCents,
	}})
	b.equal("taken a second time", len(b.stalled()), 0)
	b.equal("the worker's other job", b.job(other.ID), other)

	got := b.job(j.ID)
	b.equal("state", got.State, job.Pending)
	b.equal("crashes, failures, attempt, fence", []int64{int64(got.Crashes), int64(got.Failures), int64(got.Attempt), got.Fence}, []int64{1, 0, 1, 1})
	b.equal("cause, class, signature", []string{got.Cause, got.Class, got.Signature},
		[]string{"the handler made no progress", job.ClassCrash, job.Signature(job.ClassCrash, "the handler made no progress")})
	e := b.lastEvent(j.ID, job.EventJobRecovered)
	var told struct {
		ClaimedAt  time.Time `json:"claimed_at"`
		ProgressAt time.Time `json:"progress_at"`
		Attempt    int       `json:"attempt"`
	}
	b.must(json.Unmarshal(e.Detail, &told))
	b.equal("claim, progress and attempt told", []any{told.ClaimedAt, told.ProgressAt, told.Attempt}, []any{j.ClaimedAt, j.ProgressAt, 1})
	b.story(e, job.Event{
		Type: job.EventJobRecovered, JobID: j.ID, WorkerID: j.WorkerID, Fence: 1, Cause: job.NoProgress,
		Actor: job.ActorSystem, From: "in_progress", To: "pending",
	})

	p, err := b.Store.Beat(b.ctx, j.WorkerID, lease, []job.Held{{Lease: j.Lease(), Progressed: true}, {Lease: other.Lease()}})
	b.must(err)
	b.equal("what the owner's beat tells it", p.Lost, []job.Lost{{Lease: j.Lease(), State: job.Pending}})
	next := b.claimOne(b.worker())
	b.equal("the next attempt and fence", []int64{int64(next.Attempt), next.Fence}, []int64{2, 2})
	b.equal("alerts", len(b.messages(job.MessageAlert)), 0)
	lost, err := b.Store.Complete(b.ctx, j.Lease())
	b.must(err)
	b.equal("completions refused", lost, []job.Lease{j.Lease()})
}

func progressProtects(b *bed) {
	j := b.running(order())
	for range 3 {
		b.Advance(stall - time.Second)
		_, err := b.Store.Beat(b.ctx, j.WorkerID, lease, []job.Held{{Lease: j.Lease(), Progressed: true}})
		b.must(err)
		b.equal("taken from a handler that gets further", len(b.stalled()), 0)
	}
	b.Advance(stall - time.Second)
	b.must(b.Store.Progress(b.ctx, j.Lease()))
	b.equal("taken after progress that was told at once", len(b.stalled()), 0)
	b.Advance(stall + time.Second)
	b.equal("taken when it stands still after all", len(b.stalled()), 1)
}

func stalledNeedsALiveOwner(b *bed) {
	over, retired := b.running(order()), b.running(order())
	b.Advance(lease + time.Second)
	b.must(b.Store.Retire(b.ctx, retired.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	b.equal("taken from workers without a lease", len(b.stalled()), 0)
	b.expire(over.WorkerID)
	causes := map[job.ID]string{}
	for _, r := range b.recover() {
		causes[r.ID] = r.Cause
	}
	b.equal("their own causes", causes, map[job.ID]string{over.ID: job.RetiredLeaseExpired, retired.ID: job.RetiredLockLost})
}

func stallsEnd(b *bed) {
	s := order()
	s.CrashBudget = 3
	j := b.running(s)
	again := func() job.RecoveredJob {
		b.Helper()
		b.Advance(stall + time.Second)
		moved := b.stalled()
		if len(moved) != 1 {
			b.Fatalf("%d jobs taken, want 1", len(moved))
		}
		return moved[0]
	}
	b.equal("after the first", []any{again().State, b.job(j.ID).Quarantined}, []any{job.Pending, false})
	b.claimOne(b.worker())
	r := again()
	b.equal("after the second", []any{r.State, r.Crashes, r.Quarantined}, []any{job.Pending, 2, true})
	b.equal("cause of the quarantine", b.lastEvent(j.ID, job.EventJobQuarantined).Cause, job.NoProgress)
	b.Advance(time.Hour)
	last := b.claimQuarantined(b.worker())
	from := b.now()
	r = again()
	b.equal("after the third", []any{r.State, r.Crashes, r.ValueCents}, []any{job.Failed, 3, int64(14900)})
	b.deadLetter(last, from, job.ClassCrash, "the handler made no progress")
}

func stalledOnce(b *bed) {
	const n = 90
	b.noops(n)
	b.claim(b.worker(), n)
	b.Advance(stall + time.Second)
	var mu sync.Mutex
	moved := map[job.ID]int{}
	b.atOnce(4, func(i int, s Store) {
		for range n {
			r, err := s.RecoverStalled(b.ctx, stall, 7)
			if err != nil {
				b.Errorf("recoverer %d: %v", i, err)
				return
			}
			if len(r.Jobs) > 7 {
				b.Errorf("one batch moved %d jobs, limit 7", len(r.Jobs))
			}
			if len(r.Jobs) == 0 {
				return
			}
			mu.Lock()
			for _, j := range r.Jobs {
				moved[j.ID]++
			}
			mu.Unlock()
		}
	})
	for _, j := range b.stalled() {
		moved[j.ID]++
	}
	b.equal("jobs taken", len(moved), n)
	for id, times := range moved {
		if times != 1 || b.job(id).Crashes != 1 {
			b.Errorf("job %s was taken %d times, crashes %d", id, times, b.job(id).Crashes)
		}
	}
}

// stalledRacesFinish lets a live worker finish its jobs, or get further with them,
// while they are taken for stalled: each goes exactly one way.
func stalledRacesFinish(b *bed) {
	const rounds, n = 8, 16
	other := b.second()
	for round := range rounds {
		b.noops(n)
		w := b.worker()
		jobs := b.claim(w, n)
		b.equal("jobs to fight about", len(jobs), n)
		b.Advance(stall + time.Second)
		taken := map[job.ID]bool{}
		done := make(chan error)
		go func() {
			var err error
			for range n {
				var r job.Recovered
				r, err = other.RecoverStalled(b.ctx, stall, 3)
				for _, j := range r.Jobs {
					taken[j.ID] = true
				}
				if err != nil || len(r.Jobs) == 0 {
					break
				}
			}
			done <- err
		}()
		lost := map[job.ID]bool{}
		for i := 0; i < n; i += 2 {
			gone, err := b.Store.Complete(b.ctx, jobs[i].Lease())
			b.must(err)
			for _, l := range gone {
				lost[l.JobID] = true
			}
			if err := b.Store.Progress(b.ctx, jobs[i+1].Lease()); err != nil {
				b.fails("progress of a job that was taken", err, job.ErrLeaseLost)
				lost[jobs[i+1].ID] = true
			}
		}
		b.must(<-done)
		b.equal(fmt.Sprintf("round %d: what was taken is what the worker lost", round), taken, lost)
		for _, j := range b.claim(b.worker(), n) {
			b.complete(j.Lease())
		}
		for i := 1; i < n; i += 2 {
			if !lost[jobs[i].ID] {
				b.complete(jobs[i].Lease())
			}
		}
	}
	b.equal("completed at the end", b.counts()[job.Completed], int64(rounds*n))
}

func recoverJobOfAPerson(b *bed) {
	one := func(id job.ID) (job.RecoveredJob, error) { return b.Store.RecoverJob(b.ctx, id, stall, staff) }
	_, err := one(job.NewID())
	b.fails("recovery of a job that is not there", err, job.ErrNotFound)
	waits := b.enqueueOne(order())
	_, err = one(waits)
	b.fails("recovery of a pending job", err, job.ErrState)
	b.must(b.Store.Cancel(b.ctx, waits, staff))

	s := order()
	s.CrashBudget = 2
	hung := b.running(s)
	b.enqueueOne(order())
	also := b.claimOne(hung.WorkerID)
	b.unchanged(hung.ID, func() {
		_, err = one(hung.ID)
		b.fails("recovery of a job that runs well", err, job.ErrState)
	})
	b.Advance(stall + time.Second)
	r, err := one(hung.ID)
	b.must(err)
	b.equal("recovered", []any{r.ID, r.State, r.Cause}, []any{hung.ID, job.Pending, job.NoProgress})
	e := b.lastEvent(hung.ID, job.EventJobRecovered)
	var told struct{ Reason string }
	b.must(json.Unmarshal(e.Detail, &told))
	b.equal("who and why", []string{e.Actor, told.Reason}, []string{staff.Actor, staff.Reason})

	b.must(b.Store.Retire(b.ctx, also.WorkerID, job.RetiredLockLost, staff))
	r, err = one(also.ID)
	b.must(err)
	b.equal("recovered", []any{r.ID, r.State, r.Cause}, []any{also.ID, job.Pending, job.RetiredLockLost})

	last := b.worker()
	for _, j := range b.claim(last, 2) {
		if j.ID != hung.ID {
			b.complete(j.Lease())
		}
	}
	b.Advance(stall + time.Second)
	r, err = one(hung.ID)
	b.must(err)
	b.equal("with the budget spent", r.State, job.Failed)
	b.equal("who", b.lastEvent(hung.ID, job.EventJobFailed).Actor, staff.Actor)
	b.alerted(hung.ID)
}
