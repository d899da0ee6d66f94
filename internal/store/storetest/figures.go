package storetest

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

var figurePromises = []promise{
	{name: "OrdersOfATimeAreSummedUpAndTimed", holds: ordersOfATime},
	{name: "EventsOfATimeAreCountedWithoutCanaries", holds: eventsOfATime},
	{name: "MessagesAreOnTimeLateOrWaiting", holds: punctuality},
}

func ordersOfATime(b *bed) {
	from := b.now()
	canary := order()
	canary.Canary = true
	k := b.running(canary)
	b.complete(k.Lease())
	slow := b.running(order())
	b.Advance(3 * time.Minute)
	quick := b.running(order())
	b.Advance(time.Minute)
	b.complete(quick.Lease(), slow.Lease())
	b.enqueueOne(order())
	b.Advance(time.Second)
	to := b.now()

	placed, err := b.Store.OrdersPlaced(b.ctx, from, to)
	b.must(err)
	b.equal("placed", placed, job.Sum{Count: 3, ValueCents: 3 * 14900})
	done, err := b.Store.OrdersCompleted(b.ctx, from, to)
	b.must(err)
	if len(done) != 2 || done[0].Took < time.Minute || done[0].Took > 3*time.Minute || done[1].Took < 4*time.Minute || done[1].ValueCents != 14900 {
		b.Errorf("completed %+v, want one in a minute and one in four", done)
	}
	for _, other := range [][2]time.Time{{from.Add(-time.Hour), from}, {to, to.Add(time.Hour)}} {
		placed, err := b.Store.OrdersPlaced(b.ctx, other[0], other[1])
		b.must(err)
		done, err := b.Store.OrdersCompleted(b.ctx, other[0], other[1])
		b.must(err)
		b.equal("of another time", []any{placed, len(done)}, []any{job.Sum{}, 0})
	}
}

func eventsOfATime(b *bed) {
	from := b.now()
	b.dead(order(), "no")
	b.dead(order(), "no")
	canary := order()
	canary.Canary = true
	b.dead(canary, "no")
	again := b.dead(order(), "no")
	b.must(b.Store.Redrive(b.ctx, again, staff))
	w := b.worker()
	_, err := b.Store.Fail(b.ctx, leaseOf(b.claimOne(w)), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	b.must(err)
	mended := b.dead(order(), "no")
	b.must(b.Store.Redrive(b.ctx, mended, staff))
	b.complete(leaseOf(b.claimOne(w)))
	b.dead(job.Spec{Kind: job.KindNoop}, "no")
	b.must(b.Store.Tell(b.ctx, job.Event{Type: job.EventStormOpened}, nil))
	b.Advance(time.Second)
	counts, err := b.Store.CountEvents(b.ctx, from, b.now(), job.EventJobFailed, job.EventStormOpened, job.EventStormClosed)
	b.must(err)
	b.equal("events", counts, map[string]int64{job.EventJobFailed: 6, job.EventStormOpened: 1})
	counts, err = b.Store.CountEvents(b.ctx, from.Add(-time.Hour), from, job.EventJobFailed)
	b.must(err)
	b.equal("events before", counts, map[string]int64{})
	failed := func(from, to time.Time, without ...string) int64 {
		b.Helper()
		n, err := b.Store.JobsFailed(b.ctx, from, to, without...)
		b.must(err)
		return n
	}
	b.equal("jobs that failed", failed(from, b.now()), int64(4))
	b.equal("without noops", failed(from, b.now(), job.KindCanary, job.KindNoop), int64(3))
	b.equal("jobs that failed before", failed(from.Add(-time.Hour), from), int64(0))
}

func punctuality(b *bed) {
	const late = 5 * time.Minute
	from := b.now()
	deliver := func(due, sent time.Duration) {
		b.Helper()
		b.must(b.Store.Update(b.ctx, func(tx alert.Tx) error {
			d := alert.Delivery{
				ID: job.NewID(), Channel: "slack", AlertID: job.NewID(), Topic: "t", Lane: job.NewID().String(), DueAt: from.Add(due),
				CreatedAt: from, NextAt: from.Add(due),
			}
			if err := tx.AddDelivery(d); err != nil || sent == 0 {
				return err
			}
			d.SentAt, d.Attempts = from.Add(sent), 1
			return tx.SaveDelivery(d)
		}))
	}
	deliver(time.Minute, 2*time.Minute)
	deliver(time.Minute, 6*time.Minute)
	deliver(time.Minute, 7*time.Minute)
	deliver(time.Minute, 0)
	deliver(59*time.Minute, 0)
	b.Advance(time.Hour)
	p, err := b.Store.AlertsDelivered(b.ctx, from, b.now(), late)
	b.must(err)
	b.equal("punctuality", p, alert.Punctuality{Delivered: 3, Late: 1, Waiting: 1})
	p, err = b.Store.AlertsDelivered(b.ctx, from.Add(-time.Hour), from, late)
	b.must(err)
	b.equal("of the hour before", p, alert.Punctuality{})
}
