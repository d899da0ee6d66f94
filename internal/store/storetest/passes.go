package storetest

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var passesPromises = []promise{
	{name: "TheLatestPassOfEachProcessIsKept", holds: passesAreKept},
	{name: "AFailedPassKeepsTheTimeOfTheLastGoodOne", holds: failedPassIsTold},
	{name: "PassesOfProcessesLongGoneAreForgotten", holds: passesAreForgotten},
}

func pass(n int64) job.MonitorPass {
	return job.MonitorPass{
		Monitor: job.MonitorStale, Process: job.NewID(), Host: "host-1", PID: 7, Took: 1500 * time.Microsecond,
		Passes: n, Counts: map[string]int64{"retired": n},
	}
}

func (b *bed) record(p job.MonitorPass) {
	b.Helper()
	b.must(b.Store.RecordPass(b.ctx, p))
}

func (b *bed) passes() []job.MonitorPass {
	b.Helper()
	ps, err := b.Store.MonitorPasses(b.ctx)
	b.must(err)
	return ps
}

func passesAreKept(b *bed) {
	b.equal("passes before the first", len(b.passes()), 0)
	first, second := pass(1), pass(1)
	from := b.now()
	b.record(first)
	b.within("when", b.passes()[0].At, from, b.now())
	b.Advance(time.Minute)
	b.record(second)
	b.Advance(time.Minute)
	first.Passes, first.Counts = 2, map[string]int64{"retired": 3, "recovered": 5}
	b.record(first)
	got := b.passes()
	if len(got) != 2 {
		b.Fatalf("%d rows, want one for each process", len(got))
	}
	first.At, first.GoodAt = got[0].At, got[0].At
	second.At, second.GoodAt = got[1].At, got[1].At
	b.equal("what is kept, latest first", got, []job.MonitorPass{first, second})
}

func failedPassIsTold(b *bed) {
	p := pass(1)
	p.Error, p.Failed = "store is busy", 1
	b.record(p)
	b.equal("good passes of one that always failed", b.passes()[0].GoodAt, time.Time{})
	p.Error, p.Passes = "", 2
	b.record(p)
	good := b.passes()[0].GoodAt
	b.Advance(time.Minute)
	p.Error, p.Passes, p.Failed = "store is busy", 3, 2
	b.record(p)
	got := b.passes()[0]
	b.equal("error, passes, failed, last good", []any{got.Error, got.Passes, got.Failed, got.GoodAt}, []any{"store is busy", int64(3), int64(2), good})
	if !got.At.After(good) {
		b.Errorf("the failed pass is told at %s, the good one before it at %s", got.At, good)
	}
}

func passesAreForgotten(b *bed) {
	b.record(pass(1))
	b.Advance(40 * 24 * time.Hour)
	kept := pass(1)
	b.record(kept)
	b.must(errorOf(b.Store.Prune(b.ctx, job.Retention{Finished: 30 * 24 * time.Hour})))
	got := b.passes()
	if len(got) != 1 || got[0].Process != kept.Process {
		b.Errorf("kept %+v, want that of process %s alone", got, kept.Process)
	}
}
