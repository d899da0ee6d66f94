package storetest

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var rollupPromises = []promise{
	{name: "FactsAreSummedByTheMinuteInWhichTheyHappened", holds: factsAreSummed},
	{name: "ManyProcessesComeToTheExactSum", holds: factsAddUp},
	{name: "MinutesFoldIntoHoursAndNothingIsLost", holds: minutesFold},
	{name: "AFactThatIsNotWellFormedIsRefused", holds: factsAreChecked},
}

func (b *bed) add(facts ...job.Fact) {
	b.Helper()
	b.must(b.Store.AddFacts(b.ctx, facts...))
}

// rollups lists the sums of a name of all times.
func (b *bed) rollups(name string) []job.Rollup {
	b.Helper()
	rs, err := b.Store.Rollups(b.ctx, name, time.Unix(0, 0), b.now().Add(time.Hour))
	b.must(err)
	return rs
}

// onTheMinute moves the clock to just after the begin of an hour, so that a few seconds
// of the test do not reach the next minute.
func (b *bed) onTheMinute() time.Time {
	b.Helper()
	now := b.now()
	b.Advance(now.Truncate(time.Hour).Add(time.Hour).Sub(now) + time.Second)
	return b.now().Truncate(time.Hour)
}

func factsAreSummed(b *bed) {
	b.add()
	hour := b.onTheMinute()
	b.add(job.Fact{Name: "beats", Value: 3}, job.Fact{Name: "beats", Value: 2}, job.Fact{Name: "beats", Labels: "x", Value: 7})
	b.add(job.Fact{Name: "beats", Value: 5, Ago: time.Minute}, job.Fact{Name: "passes", Value: 1})
	b.add(job.Fact{Name: "beats", Value: -1})
	minute := func(n int) time.Time { return hour.Add(time.Duration(n) * time.Minute) }
	b.equal("sums", b.rollups("beats"), []job.Rollup{
		{Name: "beats", At: minute(-1), Span: time.Minute, Value: 5},
		{Name: "beats", At: minute(0), Span: time.Minute, Value: 4},
		{Name: "beats", Labels: "x", At: minute(0), Span: time.Minute, Value: 7},
	})
	b.Advance(time.Minute)
	b.add(job.Fact{Name: "beats", Value: 1})
	from, err := b.Store.Rollups(b.ctx, "beats", minute(0), minute(1))
	b.must(err)
	b.equal("sums of one minute", len(from), 2)
	b.equal("sums of another name", len(b.rollups("passes")), 1)
	b.equal("sums of no name", len(b.rollups("nothing")), 0)
}

func factsAddUp(b *bed) {
	const processes, times = 8, 25
	var failed atomic.Int64
	b.atOnce(processes, func(i int, s Store) {
		for n := range times {
			// In two orders, so that they would deadlock if nobody put them in one.
			facts := []job.Fact{{Name: "a", Value: 1}, {Name: "b", Labels: "l", Value: 2}}
			if n%2 == 0 {
				facts[0], facts[1] = facts[1], facts[0]
			}
			if err := s.AddFacts(b.ctx, facts...); err != nil {
				b.Errorf("process %d: %v", i, err)
				failed.Add(1)
			}
		}
	})
	b.equal("failed", failed.Load(), int64(0))
	sums := map[string]int64{}
	for _, name := range []string{"a", "b"} {
		for _, r := range b.rollups(name) {
			sums[name] += r.Value
		}
	}
	b.equal("sums", sums, map[string]int64{"a": processes * times, "b": 2 * processes * times})
}

func minutesFold(b *bed) {
	hour := b.onTheMinute()
	for range 5 {
		b.add(job.Fact{Name: "beats", Value: 10}, job.Fact{Name: "beats", Labels: "x", Value: 1})
		b.Advance(20 * time.Minute)
	}
	want := []job.Rollup{
		{Name: "beats", At: hour, Span: time.Hour, Value: 30},
		{Name: "beats", Labels: "x", At: hour, Span: time.Hour, Value: 3},
		{Name: "beats", At: hour.Add(time.Hour), Span: time.Hour, Value: 20},
		{Name: "beats", Labels: "x", At: hour.Add(time.Hour), Span: time.Hour, Value: 2},
	}
	b.prune(job.Retention{Batch: 3})
	b.equal("sums of this week", len(b.rollups("beats")), 10)
	b.Advance(8 * day)
	b.prune(job.Retention{Batch: 3})
	b.equal("sums of last week", b.rollups("beats"), want)
	b.prune(job.Retention{})
	b.equal("after another pass", b.rollups("beats"), want)

	b.add(job.Fact{Name: "beats", Value: 1, Ago: b.now().Sub(hour)})
	b.prune(job.Retention{})
	want[0].Value++
	b.equal("with one that came late", b.rollups("beats"), want)
	b.Advance(390 * day)
	b.prune(job.Retention{})
	b.equal("after a year", b.rollups("beats"), want)
	b.Advance(10 * day)
	b.prune(job.Retention{})
	b.equal("after 400 days", len(b.rollups("beats")), 0)
}

func factsAreChecked(b *bed) {
	for _, bad := range []job.Fact{{Value: 1}, {Name: "beats", Value: 1, Ago: -time.Second}} {
		err := b.Store.AddFacts(b.ctx, job.Fact{Name: "beats", Value: 1}, bad)
		if invalid := (*job.InvalidError)(nil); !errors.As(err, &invalid) {
			b.Errorf("%+v: error %v, want an InvalidError", bad, err)
		}
	}
	b.equal("sums", len(b.rollups("beats")), 0)
	b.add(job.Fact{Name: "be\x00ats\xff", Labels: "\x00", Value: 1})
}
