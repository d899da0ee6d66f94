package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var claimPromises = []promise{
	{name: "ItTakesTheJobUnderANewFence", holds: claimTakesTheJob},
	{name: "TheEarliestDueGoFirstWithinAPriority", holds: claimGoesByDueTime},
	{name: "ByPriorityAndEveryTenthTakesTheOldest", holds: claimGoesByPriorityAndAge},
	{name: "BatchesDoNotStarveTheOldest", holds: claimInBatchesDoesNotStarve},
	{name: "AJobThatCameBackIsNotPassedOverForLong", holds: claimFindsWhatCameBack},
	{name: "JobsNotYetDueArePassedOver", holds: claimWaitsUntilDue},
	{name: "JobsOfOtherKindsArePassedOver", holds: claimPassesOverOtherKinds},
	{name: "PausedJobsArePassedOver", holds: claimPassesOverPaused},
	{name: "NoJobIsHandedOutTwice", holds: claimHandsOutOnce},
	{name: "OnlyALiveWorkerClaims", holds: claimNeedsALiveWorker},
	{name: "TheFenceGrowsByOneAndNeverFalls", holds: fenceOnlyGrows},
}

func claimTakesTheJob(b *bed) {
	id, w := b.enqueueOne(order()), b.worker()
	before, from := b.job(id), b.now()
	got := b.claimOne(w)
	to := b.now()

	b.equal("the job answered is the row", got, b.job(id))
	b.within("claimed", got.ClaimedAt, from, to)
	b.equal("lease", got.Lease(), job.Lease{JobID: id, Fence: 1, WorkerID: w})

	want := before
	want.State, want.Fence, want.Attempt, want.WorkerID = job.InProgress, 1, 1, w
	want.ClaimedAt, want.ProgressAt = got.ClaimedAt, got.ProgressAt
	b.equal("nothing else changed", got, want)

	if none := b.claim(w, 10); len(none) != 0 {
		b.Errorf("a claim with no work gave %d jobs", len(none))
	}
	b.noops(5)
	b.equal("jobs of a claim of 3", len(b.claim(w, 3)), 3)
	b.equal("jobs left for a claim of 10", len(b.claim(w, 10)), 2)

	for _, limit := range []int{0, -1} {
		if _, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: w, Limit: limit, Kinds: kinds}); err == nil {
			b.Errorf("a claim with limit %d was accepted", limit)
		}
	}
}

func claimGoesByDueTime(b *bed) {
	var want []job.ID
	for _, delay := range []time.Duration{3, 1, 4, 0, 2} {
		want = append(want, b.enqueueOne(job.Spec{Kind: job.KindNoop, Delay: delay * time.Minute}))
	}
	slices.SortFunc(want, func(x, y job.ID) int { return b.job(x).DueAt.Compare(b.job(y).DueAt) })
	b.Advance(10 * time.Minute)
	w := b.worker()
	var got []job.ID
	for range want {
		got = append(got, b.claimOne(w).ID)
	}
	b.equal("order of claims", got, want)
}

func claimGoesByPriorityAndAge(b *bed) {
	const n = 40
	oldest := b.noops(n)
	b.Advance(time.Minute)
	for _, priority := range []int{3, 1, 2} {
		b.enqueue(slices.Repeat([]job.Spec{{Kind: job.KindNoop, Priority: priority}}, n/2)...)
	}
	w := b.worker()
	taken, lastPriority := 0, 0
	for i := range n {
		j := b.claimOne(w)
		switch {
		case slices.Contains(oldest, j.ID):
			taken++
		case j.Priority < lastPriority:
			b.Fatalf("claim %d has priority %d after %d", i, j.Priority, lastPriority)
		default:
			lastPriority = j.Priority
		}
	}
	b.equal(fmt.Sprintf("claims of the oldest job among %d", n), taken, n/10)
	b.equal("priority that the other claims reached", lastPriority, 2)
}

func claimInBatchesDoesNotStarve(b *bed) {
	old := b.enqueueOne(job.Spec{Kind: job.KindNoop})
	b.Advance(time.Minute)
	b.enqueue(slices.Repeat([]job.Spec{{Kind: job.KindNoop, Priority: 1}}, 200)...)
	w := b.worker()
	for range 10 {
		for _, j := range b.claim(w, 10) {
			if j.ID == old {
				return
			}
		}
	}
	b.Error("100 jobs were claimed in batches, and the oldest due was not among them")
}

// claimFindsWhatCameBack: a store may remember how far it has claimed, to spare
// itself the walk over what is done; but what another handle gave back behind that
// mark must be found while other work never ends.
func claimFindsWhatCameBack(b *bed) {
	b.sub("nor left behind by a claim that comes back short", claimIsNeverShort)
	urgent := b.enqueueOne(job.Spec{Kind: job.KindNoop, Priority: 1})
	back := b.claimOne(b.worker())
	b.equal("the urgent job", back.ID, urgent)
	b.Advance(time.Minute)
	b.enqueue(slices.Repeat([]job.Spec{{Kind: job.KindNoop, Priority: 1}}, 50)...)
	w := b.worker()
	b.claim(w, 20)
	b.must(batchError(b.second().Release(b.ctx, "drain", back.Lease())))
	b.eventually("the job that came back is claimed", func() bool {
		b.noops(1)
		got := b.claim(w, 1)
		return len(got) == 1 && got[0].ID == urgent
	})
	if left := b.counts()[job.Pending]; left == 0 {
		b.Error("it was claimed only when nothing else was left")
	}
}

func claimIsNeverShort(b *bed) {
	old := b.noops(3)
	b.equal("the oldest jobs", len(b.claim(b.worker(), 3)), 3)
	b.Advance(time.Minute)
	b.noops(4)
	w := b.worker()
	b.equal("jobs after them", len(b.claim(w, 2)), 2)
	for _, id := range old[:2] {
		b.must(batchError(b.second().Release(b.ctx, "drain", leaseOf(b.job(id)))))
	}
	b.equal("two jobs that came back and two that are left", len(b.claim(w, 10)), 4)
	b.must(batchError(b.second().Release(b.ctx, "drain", leaseOf(b.job(old[2])))))
	b.equal("the one that came back alone", b.claimOne(w).ID, old[2])
}

func claimWaitsUntilDue(b *bed) {
	id, w := b.enqueueOne(job.Spec{Kind: job.KindNoop, Priority: 1, Delay: 2 * time.Minute}), b.worker()
	b.equal("jobs claimed before they are due", len(b.claim(w, 10)), 0)
	b.Advance(time.Minute)
	b.equal("jobs claimed a minute before", len(b.claim(w, 10)), 0)
	b.Advance(time.Minute)
	b.equal("job claimed when due", b.claimOne(w).ID, id)
}

func claimPassesOverOtherKinds(b *bed) {
	unknown := b.enqueue(slices.Repeat([]job.Spec{{Kind: "teleport", Priority: 1}}, 30)...)
	noop := b.noops(1)[0]
	w := b.worker()
	got := b.claim(w, 10)
	if len(got) != 1 || got[0].ID != noop {
		b.Fatalf("claim gave %v, want the noop alone", got)
	}
	for _, id := range unknown {
		b.state(id, job.Pending)
	}
	none, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: w, Limit: 1})
	if len(none) != 0 {
		b.Errorf("a worker without handlers got %d jobs (error %v)", len(none), err)
	}
}

func claimPassesOverPaused(b *bed) {
	ann, bob := order(), order()
	ann.Priority = 1
	// Many paused jobs stand before the free one: they must not hide it.
	b.enqueue(slices.Repeat([]job.Spec{ann}, 60)...)
	b.enqueueOne(bob)
	noop := b.noops(1)[0]
	w := b.worker()
	give := func(l job.Lease) {
		b.Helper()
		b.must(errorOf(b.Store.Release(b.ctx, "given back", l)))
	}

	b.must(b.Store.Pause(b.ctx, job.Scope{Customer: ann.CustomerID}, staff))
	got := b.claim(w, 100)
	b.equal("jobs claimed while a customer is paused", len(got), 2)
	for _, j := range got {
		if j.CustomerID == ann.CustomerID {
			b.Error("a job of the paused customer was claimed")
		}
		give(j.Lease())
	}

	b.must(b.Store.Pause(b.ctx, job.Scope{Kind: job.KindOrder}, staff))
	got = b.claim(w, 100)
	if len(got) != 1 || got[0].ID != noop {
		b.Fatalf("claim while orders are paused gave %d jobs, want the noop", len(got))
	}
	give(got[0].Lease())

	b.must(b.Store.Pause(b.ctx, job.Scope{All: true}, staff))
	b.equal("jobs claimed while all is paused", len(b.claim(w, 100)), 0)

	b.must(b.Store.Resume(b.ctx, job.Scope{All: true}, staff))
	b.must(b.Store.Resume(b.ctx, job.Scope{Customer: ann.CustomerID}, staff))
	b.equal("jobs claimed while orders are still paused", len(b.claim(w, 100)), 1)
	b.must(b.Store.Resume(b.ctx, job.Scope{Kind: job.KindOrder}, staff))
	b.equal("jobs claimed when nothing is paused", len(b.claim(w, 100)), 61)
}

func claimHandsOutOnce(b *bed) {
	const jobs, callers = 200, 8
	b.noops(jobs)
	workers := make([]job.ID, callers)
	for i := range workers {
		workers[i] = b.worker()
	}
	var mu sync.Mutex
	owner := map[job.ID]job.ID{}
	b.atOnce(callers, func(i int, s Store) {
		for range jobs {
			got, err := s.Claim(b.ctx, job.ClaimRequest{Worker: workers[i], Limit: 7, Kinds: kinds})
			if err != nil {
				b.Errorf("caller %d: %v", i, err)
				return
			}
			if len(got) == 0 {
				return
			}
			mu.Lock()
			for _, j := range got {
				if first, twice := owner[j.ID]; twice {
					b.Errorf("job %s was handed to %s and to %s", j.ID, first, workers[i])
				}
				if owner[j.ID] = workers[i]; j.WorkerID != workers[i] || j.Fence != 1 {
					b.Errorf("caller %d got the lease %+v", i, j.Lease())
				}
			}
			mu.Unlock()
		}
	})
	// A caller may find the rest locked by others and leave early.
	left := len(b.claim(workers[0], jobs))
	b.equal("jobs handed out", len(owner)+left, jobs)
	b.equal("in progress", b.counts()[job.InProgress], int64(jobs))
}

func claimNeedsALiveWorker(b *bed) {
	id := b.noops(1)[0]
	refused := func(what string, w job.ID) {
		b.Helper()
		got, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: w, Limit: 1, Kinds: kinds})
		if len(got) != 0 {
			b.Errorf("%s got %d jobs", what, len(got))
		}
		b.fails(what, err, job.ErrRetired)
	}
	gone, late := b.worker(), b.worker()
	b.must(b.Store.Retire(b.ctx, gone, job.RetiredToldToGo, staff))
	refused("a retired worker", gone)
	b.Advance(lease + time.Second)
	refused("a worker whose lease is over", late)
	if _, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: job.NewID(), Limit: 1, Kinds: kinds}); err == nil {
		b.Error("a worker that never registered may claim")
	}
	b.state(id, job.Pending)
	b.equal("a live worker's claim", b.claimOne(b.worker()).ID, id)
}

func fenceOnlyGrows(b *bed) {
	s := order()
	s.MaxAttempts, s.CrashBudget = 3, 3
	id := b.enqueueOne(s)
	fence := int64(0)
	claimed := func(attempt int) job.Lease {
		b.Helper()
		w := b.worker()
		j := b.claimOne(w)
		fence++
		b.equal("fence", j.Fence, fence)
		b.equal(fmt.Sprintf("attempt under fence %d", fence), j.Attempt, attempt)
		return j.Lease()
	}
	pending := func(attempt int) {
		b.Helper()
		j := b.job(id)
		b.equal("state", j.State, job.Pending)
		b.equal("fence of the pending job", j.Fence, fence)
		b.equal("attempt of the pending job", j.Attempt, attempt)
	}

	l := claimed(1)
	b.must(errorOf(b.Store.Release(b.ctx, "drain", l)))
	pending(0)
	l = claimed(1)
	b.must(b.Store.Snooze(b.ctx, l, 0, "cap"))
	pending(0)
	l = claimed(1)
	b.must(errorOf(b.Store.Fail(b.ctx, l, job.Failure{Cause: "no", Class: job.ClassTransient})))
	pending(1)
	l = claimed(2)
	b.must(b.Store.Retire(b.ctx, l.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	b.equal("jobs recovered", len(b.recover()), 1)
	pending(2)
	l = claimed(3)
	b.must(errorOf(b.Store.Fail(b.ctx, l, job.Failure{Cause: "never", Class: job.ClassPermanent, Permanent: true})))
	b.must(b.Store.Redrive(b.ctx, id, staff))
	pending(0)
	l = claimed(1)
	b.equal("lost leases", lostOf(b.Store.Complete(b.ctx, l)), 0)
	b.equal("fence at the end", b.job(id).Fence, fence)
}

// lostOf counts the leases a batch reports as lost; -1 stands for an error.
func lostOf(lost []job.Lease, err error) int {
	if err != nil {
		return -1
	}
	return len(lost)
}
