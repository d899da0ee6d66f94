package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit"
)

var pacerPromises = []promise{
	{name: "TurnsKeepTheirInterval", holds: paceKeepsInterval},
	{name: "TheDailyCapHoldsUntilMidnightUTC", holds: paceCapsTheDay},
	{name: "TheBreakerOpensTriesDoublesAndCloses", holds: breakerCycles},
	{name: "ASuccessStartsTheCountOfFailuresAnew", holds: breakerCountsInARow},
	{name: "ATrialThatIsNeverReportedDoesNotCloseTheHostForever", holds: breakerForgetsALostTrial},
	{name: "APauseClosesTheHost", holds: pauseClosesTheHost},
	{name: "ManyCallersOnTwoHandlesShareTheTurns", holds: paceIsShared},
}

func (b *bed) reserve(host string, p directory.Pacing) submit.Turn {
	b.Helper()
	turn, err := b.Store.Reserve(b.ctx, host, p)
	b.must(err)
	return turn
}

// granted takes a turn that must be there.
func (b *bed) granted(what, host string, p directory.Pacing) {
	b.Helper()
	if turn := b.reserve(host, p); !turn.OK {
		b.Fatalf("%s: refused for %s (%s)", what, turn.Wait, turn.Why)
	}
}

// refused asks for a turn that must not be there and returns how long to wait.
func (b *bed) refused(what, host string, p directory.Pacing, why string, upTo time.Duration) time.Duration {
	b.Helper()
	turn := b.reserve(host, p)
	if turn.OK || turn.Why != why {
		b.Fatalf("%s: got %+v, want it refused because of %s", what, turn, why)
	}
	if turn.Wait <= 0 || turn.Wait > upTo {
		b.Errorf("%s: wait %s, want more than 0 and at most %s", what, turn.Wait, upTo)
	}
	return turn.Wait
}

func (b *bed) report(host string, ok bool, times int) {
	b.Helper()
	for range times {
		b.must(b.Store.Report(b.ctx, host, ok, 0))
	}
}

func paceKeepsInterval(b *bed) {
	p := directory.Pacing{MinInterval: directory.Duration(time.Minute)}
	b.granted("the first turn", "a.example", p)
	for range 3 {
		b.refused("at once", "a.example", p, "pace", time.Minute)
	}
	b.granted("another host", "b.example", p)
	b.Advance(30 * time.Second)
	wait := b.refused("after half the interval", "a.example", p, "pace", 30*time.Second)
	b.Advance(wait)
	b.granted("after the wait", "a.example", p)
	b.refused("at once after it", "a.example", p, "pace", time.Minute)
	for range 5 {
		b.granted("a host without pacing", "c.example", directory.Pacing{})
	}
}

func paceCapsTheDay(b *bed) {
	noon := b.now().Truncate(day).Add(day + 12*time.Hour)
	b.Advance(noon.Sub(b.now()))
	p := directory.Pacing{DailyCap: 3}
	for range 3 {
		b.granted("a turn within the cap", "a.example", p)
	}
	wait := b.refused("after the cap", "a.example", p, "daily_cap", 12*time.Hour)
	if wait < 12*time.Hour-time.Minute {
		b.Errorf("wait %s at noon, want until midnight", wait)
	}
	b.granted("another host", "b.example", p)
	b.Advance(11 * time.Hour)
	b.refused("before midnight", "a.example", p, "daily_cap", time.Hour)
	b.Advance(time.Hour)
	for range 3 {
		b.granted("the next day", "a.example", p)
	}
	b.refused("after the next day's cap", "a.example", p, "daily_cap", day)
}

func breakerCycles(b *bed) {
	const host = "a.example"
	p := directory.Pacing{}
	b.report(host, false, submit.BreakerFailures-1)
	b.granted("one failure before the breaker opens", host, p)
	b.report(host, false, 1)
	b.refused("open", host, p, "breaker", submit.BreakerOpen)
	b.granted("another host", "b.example", p)

	open := submit.BreakerOpen
	for range 8 {
		b.Advance(open - 10*time.Second)
		b.refused("just before the trial", host, p, "breaker", 10*time.Second)
		b.Advance(10 * time.Second)
		b.granted("the trial", host, p)
		b.refused("a second trial", host, p, "breaker", submit.BreakerOpenCap)
		b.report(host, false, 1)
		open = min(2*open, submit.BreakerOpenCap)
		b.refused(fmt.Sprintf("open for %s", open), host, p, "breaker", open)
	}
	b.equal("longest time open", open, submit.BreakerOpenCap)
	b.Advance(open)
	b.granted("the last trial", host, p)
	b.report(host, true, 1)
	for range 3 {
		b.granted("closed", host, p)
	}
	b.report(host, false, submit.BreakerFailures)
	b.refused("open again, for the first time", host, p, "breaker", submit.BreakerOpen)
}

func breakerCountsInARow(b *bed) {
	for range 3 {
		b.report("a.example", false, submit.BreakerFailures-1)
		b.report("a.example", true, 1)
	}
	b.granted("failures, but never enough in a row", "a.example", directory.Pacing{})
}

func breakerForgetsALostTrial(b *bed) {
	const host = "a.example"
	b.report(host, false, submit.BreakerFailures)
	b.Advance(submit.BreakerOpen)
	b.granted("the trial, whose worker dies", host, directory.Pacing{})
	b.Advance(submit.BreakerOpenCap)
	b.granted("another trial", host, directory.Pacing{})
}

func pauseClosesTheHost(b *bed) {
	const host = "a.example"
	closed := func(what string, upTo time.Duration) {
		b.Helper()
		turn := b.reserve(host, directory.Pacing{})
		if turn.OK || turn.Wait <= upTo-time.Minute || turn.Wait > upTo || turn.Why == "" {
			b.Errorf("%s: got %+v, want it refused for %s", what, turn, upTo)
		}
	}
	b.must(b.Store.Report(b.ctx, host, true, time.Hour))
	closed("Retry-After of an hour", time.Hour)
	b.granted("another host", "b.example", directory.Pacing{})
	b.report(host, true, 1)
	closed("a turn that began before and went well", time.Hour)
	b.must(b.Store.Report(b.ctx, host, false, time.Minute))
	closed("a shorter pause after a longer one", time.Hour)
	b.Advance(time.Hour)
	b.granted("after the pause", host, directory.Pacing{})
}

func paceIsShared(b *bed) {
	grants := func(host string, p directory.Pacing, callers int) int {
		b.Helper()
		var mu sync.Mutex
		n := 0
		b.atOnce(callers, func(i int, s Store) {
			turn, err := s.Reserve(b.ctx, host, p)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				b.Errorf("caller %d: %v", i, err)
			}
			if turn.OK {
				n++
			}
		})
		return n
	}
	b.equal("turns granted within one interval", grants("a.example", directory.Pacing{MinInterval: directory.Duration(time.Minute)}, 8), 1)
	b.equal("turns granted under a cap of 5", grants("b.example", directory.Pacing{DailyCap: 5}, 16), 5)
	b.atOnce(submit.BreakerFailures, func(i int, s Store) {
		if err := s.Report(b.ctx, "c.example", false, 0); err != nil {
			b.Errorf("report %d: %v", i, err)
		}
	})
	b.refused("open after failures of many reporters", "c.example", directory.Pacing{}, "breaker", submit.BreakerOpen)
	b.Advance(submit.BreakerOpen)
	b.equal("trials granted", grants("c.example", directory.Pacing{}, 8), 1)
}
