package storetest

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var lifelinePromises = []promise{
	{name: "AWorkerWhoseLifelineEndsIsRetiredAtOnce", holds: deathIsSeen},
	{name: "TwoWatchesRetireEachDeadWorkerOnce", holds: deathIsSeenOnce},
	{name: "AllWhoDieTogetherAreSeen", holds: deathsTogetherAreSeen},
	{name: "AWorkerThatLeftInOrderIsLeftAsItIs", holds: orderlyLeaveIsNoDeath},
	{name: "AWorkerThatNeverHadALifelineIsLeftToItsLease", holds: noLifelineIsNoDeath},
}

// watching watches through s until the test ends and returns whom it retires.
func (b *bed) watching(s Store) <-chan job.Worker {
	b.Helper()
	b.watches++
	ctx, stop := context.WithCancel(b.ctx)
	dead, ended := make(chan job.Worker, 100), make(chan error)
	go func() { ended <- s.WatchLifelines(ctx, func(w job.Worker) { dead <- w }) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Errorf("the watch ended with %v", err)
		}
	})
	return dead
}

// lifeline registers a worker and holds its lifeline in a handle of its own, whose
// closing is the process's death. Every watch has seen it when it returns.
func (b *bed) lifeline() (w job.ID, line job.Lifeline, die func()) {
	b.Helper()
	w = b.worker()
	process := b.Reopen(b.TB)
	line, err := process.Lifeline(b.ctx, w)
	b.must(err)
	if b.AfterLook != nil {
		b.AfterLook(b.TB, b.watches)
	}
	return w, line, func() {
		line.Release()
		b.must(process.Close())
	}
}

// buried waits for the death of a worker, and reports whoever is told before.
func (b *bed) buried(dead <-chan job.Worker, w job.ID) job.Worker {
	b.Helper()
	end := time.After(2 * patience)
	for {
		select {
		case d := <-dead:
			if d.ID == w {
				return d
			}
			b.Errorf("worker %s was retired and did not die", d.ID)
		case <-end:
			b.Fatal("the death was not seen")
		}
	}
}

func deathIsSeen(b *bed) {
	dead := b.watching(b.second())
	w, _, die := b.lifeline()
	b.noops(1)
	j := b.claimOne(w)
	from := b.now()
	die()
	got := b.buried(dead, w)
	row := b.workerNow(w)
	b.equal("worker told", got, row)
	b.equal("cause", row.RetiredCause, job.RetiredLockLost)
	b.within("retired", row.RetiredAt, from, b.now())
	b.equal("events", b.numberOf("events", "type = 'worker.retired' AND worker_id = '%s' AND cause = 'lock_lost' AND actor = 'system'", w), int64(1))

	moved := b.recover()
	b.equal("jobs recovered", len(moved), 1)
	b.equal("cause of the job", moved[0].Cause, job.RetiredLockLost)
	b.equal("crashes", b.job(j.ID).Crashes, 1)
}

func deathIsSeenOnce(b *bed) {
	first, second := b.watching(b.Store), b.watching(b.second())
	w, _, die := b.lifeline()
	die()
	select {
	case d := <-first:
		b.equal("told", d.ID, w)
	case d := <-second:
		b.equal("told", d.ID, w)
	case <-time.After(2 * patience):
		b.Fatal("the death was not seen")
	}
	last, _, die := b.lifeline() // whoever sees this one is through with the one before
	die()
	told := 0
	for told == 0 {
		select {
		case d := <-first:
			b.equal("told next", d.ID, last)
			told++
		case d := <-second:
			b.equal("told next", d.ID, last)
			told++
		}
	}
	b.equal("retirements", b.numberOf("events", "type = 'worker.retired'"), int64(2))
}

// Workers that stand beside each other in the ring, and the one that watched them, die
// in one moment; another watch is left.
func deathsTogetherAreSeen(b *bed) {
	dead := b.watching(b.second())
	process := b.Reopen(b.TB)
	left, lines := map[job.ID]bool{}, []job.Lifeline{}
	for range 6 {
		w := b.worker()
		line, err := process.Lifeline(b.ctx, w)
		b.must(err)
		left[w], lines = true, append(lines, line)
	}
	if b.AfterLook != nil {
		b.AfterLook(b.TB, b.watches)
	}
	for _, line := range lines {
		line.Release()
	}
	b.must(process.Close())
	for end := time.After(2 * patience); len(left) > 0; {
		select {
		case d := <-dead:
			delete(left, d.ID)
		case <-end:
			b.Fatalf("%d of 6 deaths were not seen", len(left))
		}
	}
}

func orderlyLeaveIsNoDeath(b *bed) {
	dead := b.watching(b.second())
	left, line, _ := b.lifeline()
	b.must(b.Store.Retire(b.ctx, left, job.RetiredStopped, job.By{Actor: job.ActorWorker(left)}))
	line.Release()
	w, _, die := b.lifeline()
	die()
	b.buried(dead, w)
	b.equal("cause", b.workerNow(left).RetiredCause, job.RetiredStopped)
}

func noLifelineIsNoDeath(b *bed) {
	dead := b.watching(b.second())
	without := b.worker()
	with, held, _ := b.lifeline()
	defer held.Release() // and not before: what nobody refers to is closed
	w, _, die := b.lifeline()
	die()
	b.buried(dead, w)
	for _, alive := range []job.ID{without, with} {
		b.equal("cause", b.workerNow(alive).RetiredCause, "")
	}
}
