package storetest

import (
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var registryPromises = []promise{
	{name: "RegisterGrantsALease", holds: registerGrantsALease},
	{name: "ABeatInTimeKeepsTheLease", holds: beatKeepsTheLease},
	{name: "ABeatTellsForHowLongTheWorkerHadItsLease", holds: beatTellsSinceWhen},
	{name: "ABeatTellsWhichLeasesAreGone", holds: beatTellsLostLeases},
	{name: "ABeatTellsWhichClaimsWentAstray", holds: beatTellsStrays},
	{name: "ABeatRecordsProgress", holds: beatRecordsProgress},
	{name: "ABeatKeepsNoJobOfAnotherWorkerAlive", holds: beatIsOfItsOwnJobs},
	{name: "RetireIsDoneOnceAndKeepsItsFirstCause", holds: retireOnce},
	{name: "ARetiredWorkerIsToldToStop", holds: retiredIsToldToStop},
	{name: "RetiredWorkersAreListedForAWhile", holds: workersLists},
	{name: "RetireExpiredTakesOnlyThoseWhoseLeaseIsOver", holds: retireExpiredWaits},
	{name: "TwoCallersRetireEachExpiredWorkerOnce", holds: retireExpiredOnce},
}

// workerNow finds one worker among those listed.
func (b *bed) workerNow(id job.ID) job.Worker {
	b.Helper()
	workers, err := b.Store.Workers(b.ctx, 24*time.Hour)
	b.must(err)
	i := slices.IndexFunc(workers, func(w job.Worker) bool { return w.ID == id })
	if i < 0 {
		b.Fatalf("worker %s is not listed", id)
	}
	return workers[i]
}

func registerGrantsALease(b *bed) {
	id, from := job.NewID(), b.now()
	b.must(b.Store.Register(b.ctx, workerRow(id), lease))
	to, got := b.now(), b.workerNow(id)
	b.within("started", got.StartedAt, from, to)
	b.within("beat", got.BeatAt, from, to)
	b.within("lease", got.LeaseUntil, from.Add(lease), to.Add(lease))
	got.StartedAt, got.BeatAt, got.LeaseUntil = time.Time{}, time.Time{}, time.Time{}
	b.equal("worker", got, workerRow(id))
	alone, err := b.Store.Worker(b.ctx, id)
	b.must(err)
	b.equal("worker, asked for alone", alone, b.workerNow(id))
	b.fails("a worker that nobody knows", errorOf(b.Store.Worker(b.ctx, job.NewID())), job.ErrNotFound)

	b.must(b.Store.Retire(b.ctx, id, job.RetiredToldToGo, staff))
	if err := b.Store.Register(b.ctx, workerRow(id), lease); err == nil {
		b.Error("a retired worker registered again under its old identity")
	}
	b.equal("cause after that", b.workerNow(id).RetiredCause, job.RetiredToldToGo)
	alone, err = b.Store.Worker(b.ctx, id)
	b.must(err)
	b.equal("a retired worker, asked for alone", alone, b.workerNow(id))
}

// A claim whose answer was lost is the worker's in the store and unknown to the
// worker; the next beats tell, but not of a claim that may still be under way.
func beatTellsStrays(b *bed) {
	w := b.worker()
	known, stray := b.enqueueOne(order()), b.enqueueOne(order())
	claimed := b.claim(w, 2)
	b.equal("claimed", len(claimed), 2)
	held := make([]job.Held, 0, 1)
	for _, j := range claimed {
		if j.ID == known {
			held = append(held, job.Held{Lease: j.Lease()})
		}
	}
	p, err := b.Store.Beat(b.ctx, w, lease, held)
	b.must(err)
	b.equal("strays of a young claim", len(p.Strays), 0)

	b.Advance(lease + time.Second)
	p, err = b.Store.Beat(b.ctx, w, lease, held)
	b.must(err)
	b.equal("strays", p.Strays, []job.Lease{{JobID: stray, Fence: 1, WorkerID: w}})
	b.equal("lost leases", len(p.Lost), 0)
	lost, err := b.Store.Release(b.ctx, "stray", p.Strays...)
	b.must(err)
	b.equal("lost at release", len(lost), 0)
	p, err = b.Store.Beat(b.ctx, w, lease, held)
	b.must(err)
	b.equal("strays after release", len(p.Strays), 0)
}

func beatKeepsTheLease(b *bed) {
	j := b.running(order())
	for range 5 {
		b.Advance(lease - time.Minute)
		from := b.now()
		p, err := b.Store.Beat(b.ctx, j.WorkerID, lease, []job.Held{{Lease: j.Lease()}})
		b.must(err)
		b.within("lease", p.LeaseUntil, from.Add(lease), b.now().Add(lease))
		b.equal("lost leases", len(p.Lost), 0)
		w := b.workerNow(j.WorkerID)
		b.equal("lease of the row", w.LeaseUntil, p.LeaseUntil)
		b.within("beat of the row", w.BeatAt, from, b.now())
		retired, err := b.Store.RetireExpired(b.ctx)
		b.must(err)
		b.equal("workers retired", len(retired), 0)
	}
	b.equal("jobs recovered", len(b.recover()), 0)
	b.complete(j.Lease())
	b.fails("beat of nobody", errorOf(b.Store.Beat(b.ctx, job.NewID(), lease, nil)), job.ErrNotFound)
}

func beatTellsSinceWhen(b *bed) {
	w := b.worker()
	beat := func() job.Pulse {
		b.Helper()
		p, err := b.Store.Beat(b.ctx, w, lease, nil)
		b.must(err)
		return p
	}
	since := b.workerNow(w).StartedAt
	for range 3 {
		b.Advance(lease / 2)
		p := beat()
		b.equal("since the one before", p.Since, since)
		b.equal("when it was taken", p.BeatAt, b.workerNow(w).BeatAt)
		since = p.BeatAt
	}
	b.Advance(lease + time.Second)
	late := beat()
	b.equal("since when, the lease having run out", late.Since, late.BeatAt)
	b.Advance(time.Second)
	next := beat()
	b.equal("since when, with a lease again", next.Since, late.BeatAt)

	b.Advance(lease / 2)
	const beats = 16
	var told [beats]time.Duration
	b.atOnce(beats, func(i int, s Store) {
		p, err := s.Beat(b.ctx, w, lease, nil)
		if err != nil {
			b.Error(err)
		}
		told[i] = p.BeatAt.Sub(p.Since)
	})
	var up time.Duration
	for _, d := range told {
		up += d
	}
	b.equal("time told by beats at once", up, b.workerNow(w).BeatAt.Sub(next.BeatAt))
}

func beatTellsLostLeases(b *bed) {
	b.noops(6)
	w := b.worker()
	jobs := b.claim(w, 6)
	kept, cancelled, taken, completed, failed, pending := jobs[0], jobs[1], jobs[2], jobs[3], jobs[4], jobs[5]
	b.must(b.Store.Cancel(b.ctx, cancelled.ID, staff))
	b.complete(completed.Lease())
	b.fail(failed.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	b.must(b.Store.Snooze(b.ctx, pending.Lease(), time.Hour, "cap"))
	b.must(batchError(b.Store.Release(b.ctx, "drain", taken.Lease())))
	b.claimOne(b.worker())

	held := make([]job.Held, len(jobs))
	for i := range jobs {
		held[i] = job.Held{Lease: jobs[i].Lease(), Progressed: true}
	}
	nobodys := job.Lease{JobID: job.NewID(), Fence: 1, WorkerID: w}
	p, err := b.Store.Beat(b.ctx, w, lease, append(held, job.Held{Lease: nobodys, Progressed: true}))
	b.must(err)
	got := map[job.Lease]job.State{}
	for _, l := range p.Lost {
		got[l.Lease] = l.State
	}
	b.equal("lost leases", len(p.Lost), len(got))
	for _, want := range []struct {
		job   job.Job
		state job.State
	}{
		{cancelled, job.Cancelled}, {completed, job.Completed}, {failed, job.Failed},
		{pending, job.Pending}, {taken, job.InProgress},
	} {
		if got[want.job.Lease()] != want.state {
			b.Errorf("lease of a job now %s is told as %q", want.state, got[want.job.Lease()])
		}
		delete(got, want.job.Lease())
	}
	if _, told := got[nobodys]; !told {
		b.Error("the lease of a job that does not exist was not told as lost")
	}
	delete(got, nobodys)
	b.equal("leases told as lost that are not", got, map[job.Lease]job.State{})
	b.complete(kept.Lease())
}

func beatRecordsProgress(b *bed) {
	b.noops(3)
	w := b.worker()
	jobs := b.claim(w, 3)
	moved, idle, lost := jobs[0], jobs[1], jobs[2]
	b.must(batchError(b.Store.Release(b.ctx, "drain", lost.Lease())))
	other := b.claimOne(b.worker())
	b.Advance(time.Minute)
	from := b.now()
	_, err := b.Store.Beat(b.ctx, w, lease, []job.Held{
		{Lease: moved.Lease(), Progressed: true}, {Lease: idle.Lease()}, {Lease: lost.Lease(), Progressed: true},
	})
	b.must(err)
	got := b.job(moved.ID)
	b.within("progress", got.ProgressAt, from, b.now())
	got.ProgressAt = moved.ProgressAt
	b.equal("nothing else of the job that moved", got, moved)
	b.equal("the job that did not move", b.job(idle.ID), idle)
	b.equal("the job that another runs", b.job(other.ID), other)
}

// A fence is a small number, which anybody can guess.
func beatIsOfItsOwnJobs(b *bed) {
	hung, w := b.running(order()), b.worker()
	guessed := hung.Lease()
	guessed.WorkerID = w
	b.Advance(time.Minute)
	p, err := b.Store.Beat(b.ctx, w, lease, []job.Held{{Lease: guessed, Progressed: true}})
	b.must(err)
	b.equal("the job that another runs", b.job(hung.ID), hung)
	b.equal("told as gone", p.Lost, []job.Lost{{Lease: guessed, State: job.InProgress}})
	b.fails("progress", b.Store.Progress(b.ctx, guessed), job.ErrLeaseLost)
	b.equal("the job after that", b.job(hung.ID), hung)
	b.equal("refused writes recorded", len(b.eventsOf(hung.ID, job.EventWriteFenced)), 1)
	p, err = b.Store.Beat(b.ctx, hung.WorkerID, lease, []job.Held{{Lease: hung.Lease(), Progressed: true}})
	b.must(err)
	b.equal("told to its own worker", len(p.Lost), 0)
	b.equal("it got further", b.job(hung.ID).ProgressAt.After(hung.ProgressAt), true)
}

func retireOnce(b *bed) {
	id, from := b.worker(), b.now()
	b.must(b.Store.Retire(b.ctx, id, job.RetiredToldToGo, staff))
	b.fails("a second retirement", b.Store.Retire(b.ctx, id, job.RetiredStopped, staff), job.ErrState)
	b.fails("retirement of nobody", b.Store.Retire(b.ctx, job.NewID(), job.RetiredStopped, staff), job.ErrNotFound)
	got := b.workerNow(id)
	b.equal("cause", got.RetiredCause, job.RetiredToldToGo)
	b.within("retired", got.RetiredAt, from, b.now())
	b.equal("events", b.numberOf("events", "type = 'worker.retired' AND worker_id = '%s' AND actor = 'cli:ann'", id), int64(1))

	contested := b.worker()
	var mu sync.Mutex
	won := 0
	b.atOnce(8, func(i int, s Store) {
		if err := s.Retire(b.ctx, contested, job.RetiredLockLost, staff); err == nil {
			mu.Lock()
			won++
			mu.Unlock()
		}
	})
	b.equal("callers whose retirement counted", won, 1)
}

func retiredIsToldToStop(b *bed) {
	j := b.running(order())
	before := b.workerNow(j.WorkerID).LeaseUntil
	b.must(b.Store.Retire(b.ctx, j.WorkerID, job.RetiredToldToGo, staff))
	_, err := b.Store.Beat(b.ctx, j.WorkerID, time.Hour, []job.Held{{Lease: j.Lease(), Progressed: true}})
	b.fails("beat", err, job.ErrRetired)
	b.equal("lease after the refused beat", b.workerNow(j.WorkerID).LeaseUntil, before)
	b.equal("job after the refused beat", b.job(j.ID), j)
}

func workersLists(b *bed) {
	live, gone := b.worker(), b.worker()
	b.must(b.Store.Retire(b.ctx, gone, job.RetiredStopped, staff))
	listed := func(within time.Duration) []job.ID {
		b.Helper()
		workers, err := b.Store.Workers(b.ctx, within)
		b.must(err)
		var ids []job.ID
		for _, w := range workers {
			ids = append(ids, w.ID)
		}
		slices.SortFunc(ids, func(x, y job.ID) int { return slices.Compare(x[:], y[:]) })
		return ids
	}
	b.Advance(time.Minute)
	b.equal("retired within the hour", listed(time.Hour), []job.ID{live, gone})
	b.equal("retired within ten seconds", listed(10*time.Second), []job.ID{live})
}

func retireExpiredWaits(b *bed) {
	early := b.worker()
	b.Advance(lease - time.Minute)
	late, gone := b.worker(), b.worker()
	b.must(b.Store.Retire(b.ctx, gone, job.RetiredStopped, staff))
	retired, err := b.Store.RetireExpired(b.ctx)
	b.must(err)
	b.equal("retired before any lease is over", len(retired), 0)

	b.Advance(2 * time.Minute)
	from := b.now()
	retired, err = b.Store.RetireExpired(b.ctx)
	b.must(err)
	if len(retired) != 1 || retired[0].ID != early {
		b.Fatalf("retired %v, want worker %s alone", retired, early)
	}
	b.equal("the worker answered is the row", retired[0], b.workerNow(early))
	b.equal("cause", retired[0].RetiredCause, job.RetiredLeaseExpired)
	b.within("retired", retired[0].RetiredAt, from, b.now())
	b.equal("the other is still live", b.workerNow(late).RetiredCause, "")
	b.equal("events", b.numberOf("events", "type = 'worker.retired' AND worker_id = '%s'", early), int64(1))
	b.fails("its beat", errorOf(b.Store.Beat(b.ctx, early, lease, nil)), job.ErrRetired)

	again, err := b.Store.RetireExpired(b.ctx)
	b.must(err)
	b.equal("retired a second time", len(again), 0)
}

func retireExpiredOnce(b *bed) {
	const n = 20
	for range n {
		b.worker()
	}
	b.Advance(lease + time.Second)
	var mu sync.Mutex
	retired := map[job.ID]int{}
	b.atOnce(6, func(i int, s Store) {
		workers, err := s.RetireExpired(b.ctx)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("caller %d: %v", i, err)
		}
		for _, w := range workers {
			retired[w.ID]++
		}
	})
	b.equal("workers retired", len(retired), n)
	for id, times := range retired {
		if times != 1 {
			b.Errorf("worker %s was retired %d times", id, times)
		}
	}
	b.equal("events", b.numberOf("events", "type = 'worker.retired'"), int64(n))
}
