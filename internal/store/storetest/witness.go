package storetest

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

var witnessPromises = []promise{
	{name: "TheWitnessCountsWhatComesTwice", holds: witnessCounts},
	{name: "TheWitnessTakesNothingInAfterItsDeadline", holds: witnessIsPunctual},
	{name: "ArrivalsLongGoneAreForgotten", holds: arrivalsAreForgotten},
}

func (b *bed) arrival() directory.Arrival {
	b.Helper()
	return directory.Arrival{OrderID: job.NewID(), Directory: "canary-1", Fence: 3, WorkerID: job.NewID(), Until: b.now().Add(time.Minute)}
}

func (b *bed) arrivals(order job.ID) []directory.Arrival {
	b.Helper()
	got, err := b.Store.Arrivals(b.ctx, order)
	b.must(err)
	return got
}

func witnessCounts(b *bed) {
	a := b.arrival()
	b.equal("arrivals before the first", len(b.arrivals(a.OrderID)), 0)
	from := b.now()
	b.must(b.Store.Arrive(b.ctx, a))
	b.Advance(time.Second)
	b.must(b.Store.Arrive(b.ctx, a)) // the same once more: a witness hides no double
	other := b.arrival()
	b.must(b.Store.Arrive(b.ctx, other))
	got := b.arrivals(a.OrderID)
	if len(got) != 2 {
		b.Fatalf("%d arrivals of the order, want 2", len(got))
	}
	b.within("when the first came", got[0].At, from, b.now())
	a.At, a.Until = got[0].At, time.Time{}
	b.equal("the first arrival", got[0], a)
	if !got[1].At.After(got[0].At) {
		b.Errorf("the second came at %s, the first at %s", got[1].At, got[0].At)
	}
	b.equal("arrivals of another order", len(b.arrivals(other.OrderID)), 1)
}

func witnessIsPunctual(b *bed) {
	a := b.arrival()
	b.Advance(2 * time.Minute)
	b.fails("an arrival after its deadline", b.Store.Arrive(b.ctx, a), directory.ErrLate)
	b.equal("arrivals", len(b.arrivals(a.OrderID)), 0)
}

func arrivalsAreForgotten(b *bed) {
	old := b.arrival()
	b.must(b.Store.Arrive(b.ctx, old))
	b.Advance(40 * day)
	kept := b.arrival()
	b.must(b.Store.Arrive(b.ctx, kept))
	b.prune(job.Retention{Finished: 30 * day})
	b.equal("arrivals of 40 days ago", len(b.arrivals(old.OrderID)), 0)
	b.equal("arrivals of today", len(b.arrivals(kept.OrderID)), 1)
}
