// Package ratelimittest is the suite that every [ratelimit.Storage] must pass.
//
//	func TestRateLimits(t *testing.T) { ratelimittest.Run(t, newSubject) }
//
// It moves the storage's clock and never sleeps to let time pass.
package ratelimittest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/google/go-cmp/cmp"
)

// Subject is a storage under test, empty and shared with nobody.
type Subject struct {
	Storage ratelimit.Storage
	// Set sets its clock, also back, for every handle on the same data. Between two
	// calls the clock stands still.
	Set func(t time.Time)
	// Reopen opens a second handle on the same data, as another process would.
	Reopen func(t testing.TB) ratelimit.Storage
	// Logs counts the logs that are kept.
	Logs func(t testing.TB) int
}

// Factory makes a fresh subject. It registers with t.Cleanup the closing of every
// handle it gives out, and is called concurrently.
type Factory func(t testing.TB) Subject

// Run checks every promise of the contract, in parallel.
func Run(t *testing.T, f Factory) {
	for _, p := range []struct {
		name  string
		holds func(b *bed)
	}{
		{"TheFirstSoManyPass", firstPass},
		{"AStampLeavesByAgeAlone", leavesByAge},
		{"AnswersComeInTheOrderOfTheAsks", inOrder},
		{"HandlesCountTogether", countTogether},
		{"ACrowdGetsExactlyTheLimit", crowd},
		{"ADebtJoinsTheLogAlsoBeyondTheLimit", debtJoins},
		{"ADebtOlderThanTheWindowIsForgiven", debtForgiven},
		{"WhatWasLostIsFilledUp", lostIsFilledUp},
		{"WhatLeftByAgeIsNotFilledUp", agedIsNotFilledUp},
		{"AStampAheadOfTheClockCountsAsNow", aheadIsNow},
		{"ALoweredLimitWaitsForEnoughToLeave", lowered},
		{"AHighLimitIsCountedInSlots", inSlots},
		{"SweepForgetsWhatIsEmptyAndNothingElse", sweeps},
		{"AnEndedContextIsToldAndCountsNothing", endedContext},
		{"ItAgreesWithTheLogInGo", agrees},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.holds(newBed(t, f))
		})
	}
}

// noon is when the clock of every test begins.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const minute = time.Minute

type bed struct {
	testing.TB
	Subject
	now time.Time
}

func newBed(t testing.TB, f Factory) *bed {
	b := &bed{TB: t, Subject: f(t)}
	b.at(0)
	return b
}

// at sets the clock to so long after noon.
func (b *bed) at(d time.Duration) {
	b.Helper()
	b.now = noon.Add(d)
	b.Set(b.now)
}

func key(n int) (k ratelimit.Key) {
	binary.BigEndian.PutUint64(k[8:], uint64(n))
	return k
}

// ask asks for n of a hundred a minute.
func ask(k, n int) ratelimit.Ask {
	return ratelimit.Ask{Key: key(k), N: n, Limit: 100, Window: minute}
}

func (b *bed) admit(asks ...ratelimit.Ask) []ratelimit.Answer {
	b.Helper()
	return b.admitOn(b.Storage, asks...)
}

func (b *bed) admitOn(s ratelimit.Storage, asks ...ratelimit.Ask) []ratelimit.Answer {
	b.Helper()
	answers, err := s.Admit(b.Context(), asks)
	if err != nil {
		b.Fatal(err)
	}
	if len(answers) != len(asks) {
		b.Fatalf("%d answers to %d asks", len(answers), len(asks))
	}
	return answers
}

// grants checks how many of one ask pass and how many stamps are there after.
func (b *bed) grants(what string, a ratelimit.Ask, granted, used int) ratelimit.Answer {
	b.Helper()
	got := b.admit(a)[0]
	if got.Granted != granted || got.Used != used {
		b.Errorf("%s: granted %d with %d in the log, want %d with %d", what, got.Granted, got.Used, granted, used)
	}
	return got
}

// freeIn checks the time until there is room.
func (b *bed) freeIn(what string, a ratelimit.Answer, want time.Duration) {
	b.Helper()
	if got := a.FreeIn(); got != want {
		b.Errorf("%s: room in %s, want %s", what, got, want)
	}
}

func firstPass(b *bed) {
	b.grants("sixty", ask(1, 60), 60, 60)
	a := b.grants("sixty more", ask(1, 60), 40, 100)
	b.freeIn("a full log", a, minute)
	b.grants("one more", ask(1, 1), 0, 100)
	b.grants("another key", ask(2, 1), 1, 1)
	if got := a.Left(100); got != 0 {
		b.Errorf("%d left of a full log", got)
	}
}

func leavesByAge(b *bed) {
	b.grants("at noon", ask(1, 30), 30, 30)
	b.at(20 * time.Second)
	a := b.grants("twenty seconds later", ask(1, 200), 70, 100)
	b.freeIn("the thirty", a, 40*time.Second)
	b.at(minute - time.Microsecond)
	b.grants("just before a minute", ask(1, 200), 0, 100)
	b.at(minute)
	a = b.grants("after a minute", ask(1, 200), 30, 100)
	b.freeIn("the seventy", a, 20*time.Second)
	b.at(80 * time.Second)
	b.grants("after eighty seconds", ask(1, 200), 70, 100)
}

func inOrder(b *bed) {
	asks := make([]ratelimit.Ask, 256)
	for round := range 2 {
		for i := range asks {
			asks[i] = ask(i, i%5+1)
		}
		for i, a := range b.admit(asks...) {
			if want := i%5 + 1; a.Granted != want || a.Used != want*(round+1) {
				b.Fatalf("round %d, ask %d: %+v, want %d granted", round, i, a, want)
			}
		}
	}
}

func countTogether(b *bed) {
	other := b.Reopen(b)
	b.grants("this handle", ask(1, 60), 60, 60)
	if got := b.admitOn(other, ask(1, 60))[0]; got.Granted != 40 {
		b.Errorf("the other handle granted %d, want 40", got.Granted)
	}
	b.grants("this handle again", ask(1, 1), 0, 100)
}

// crowd asks for the same keys from many goroutines on two handles at once.
func crowd(b *bed) {
	const askers, each, keys = 16, 12, 3
	handles := []ratelimit.Storage{b.Storage, b.Reopen(b)}
	var mu sync.Mutex
	granted := make([]int, keys)
	var all sync.WaitGroup
	for i := range askers {
		all.Go(func() {
			for range each {
				answers, err := handles[i%2].Admit(context.Background(), []ratelimit.Ask{ask(0, 1), ask(1, 2), ask(2, 3)})
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				for k, a := range answers {
					granted[k] += a.Granted
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if d := cmp.Diff(granted, []int{100, 100, 100}); d != "" {
		b.Errorf("granted (-got +want):\n%s", d)
	}
}

func debtJoins(b *bed) {
	a := ask(1, 10)
	a.Debt, a.DebtAge = 95, 10*time.Second
	b.grants("with a debt, in a new log", a, 5, 100)
	pay := ask(1, 0)
	pay.Debt = 20
	got := b.grants("a debt alone", pay, 0, 120)
	b.freeIn("more than the limit", got, 50*time.Second+time.Millisecond) // an age is cut to milliseconds
	b.at(50*time.Second + time.Millisecond)
	b.grants("when the first debt is gone", ask(1, 100), 75, 100)
	b.at(minute)
	b.grants("when all of noon is gone", ask(1, 100), 25, 100)
	empty := b.admit(ask(2, 0))[0]
	if empty.Used != 0 || empty.FreeIn() > 0 {
		b.Errorf("nothing asked, nothing owed: %+v", empty)
	}
}

func debtForgiven(b *bed) {
	a := ask(1, 10)
	a.Debt, a.DebtAge = 95, minute
	b.grants("an old debt", a, 10, 10)
	b.grants("an old debt, in a log that is there", a, 10, 20)
}

// known is an ask of somebody who saw so many stamps in an answer.
func known(k, n, stamps int, a ratelimit.Answer) ratelimit.Ask {
	q := ask(k, n)
	q.Known, q.KnownAt, q.KnownUntil = stamps, a.At, a.FreeAt
	return q
}

func lostIsFilledUp(b *bed) {
	seen := b.grants("the first sixty", ask(1, 60), 60, 60)
	b.at(10 * time.Second)
	b.grants("nothing is lost", known(1, 1, 60, seen), 1, 61)
	// Another key's log stands for one of which a crash left nothing, or ten.
	b.grants("all is lost", known(2, 50, 60, seen), 40, 100)
	b.grants("after the crash", ask(3, 10), 10, 10)
	a := b.grants("fifty are lost", known(3, 50, 60, seen), 40, 100)
	b.freeIn("filled up behind what was there", a, minute)
	b.at(minute + 2*time.Millisecond)
	b.grants("what was filled up leaves when it would have", ask(2, 100), 60, 100)
}

func agedIsNotFilledUp(b *bed) {
	seen := b.grants("at noon", ask(1, 60), 60, 60)
	b.at(minute)
	b.grants("a minute later", known(1, 100, 60, seen), 100, 100)
	b.grants("a log that was swept", known(2, 100, 60, seen), 100, 100)
}

func aheadIsNow(b *bed) {
	b.at(time.Hour)
	b.grants("an hour ahead", ask(1, 100), 100, 100)
	b.at(0)
	a := b.grants("the clock was set back", ask(1, 1), 0, 100)
	b.freeIn("stamps of the future", a, minute)
	b.at(minute + time.Second)
	b.grants("a minute later", ask(1, 100), 100, 100)
}

func lowered(b *bed) {
	b.grants("at noon", ask(1, 60), 60, 60)
	b.at(10 * time.Second)
	b.grants("later", ask(1, 40), 40, 100)
	low := ask(1, 1)
	low.Limit = 30
	b.freeIn("thirty of which forty must stay", b.grants("lowered", low, 0, 100), minute)
	low.Limit = 50
	b.freeIn("fifty of which forty stay", b.grants("lowered a little", low, 0, 100), 50*time.Second)
}

// inSlots: a window is never shorter for it, and longer by a slot at most.
func inSlots(b *bed) {
	hour := func(n int) ratelimit.Ask {
		return ratelimit.Ask{Key: key(1), N: n, Limit: 1000, Window: time.Hour}
	}
	slot := time.Hour / 256
	b.at(time.Second)
	for range 20 {
		b.admit(hour(50))
	}
	b.grants("full", hour(1), 0, 1000)
	b.at(time.Second + time.Hour - 10*time.Second)
	b.grants("before an hour is over", hour(1), 0, 1000)
	b.at(time.Second + time.Hour + slot + time.Second)
	b.grants("a slot after", hour(2000), 1000, 1000)
}

func sweeps(b *bed) {
	for k := range 20 {
		a := ask(k, 1)
		if k >= 15 {
			a.Window = 2 * minute
		}
		b.admit(a)
	}
	b.at(minute + time.Second)
	b.grants("one comes back", ask(3, 1), 1, 1)
	sweep := func(limit, want int) {
		b.Helper()
		if n, err := b.Storage.Sweep(b.Context(), limit); err != nil || n != want {
			b.Errorf("swept %d, error %v, want %d", n, err, want)
		}
	}
	sweep(10, 10)
	sweep(10, 4)
	sweep(10, 0)
	if n := b.Logs(b); n != 6 {
		b.Errorf("%d logs left, want 6", n)
	}
	b.grants("the one that came back", ask(3, 1), 1, 2)
}

func endedContext(b *bed) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	if _, err := b.Storage.Admit(ctx, []ratelimit.Ask{ask(1, 1)}); err != nil && !errors.Is(err, ratelimit.ErrUncounted) {
		b.Errorf("got %v, want it to say that nothing was counted", err)
	} else if err != nil {
		b.grants("after that", ask(1, 1), 1, 1)
	}
	if err := b.Storage.Ping(b.Context()); err != nil {
		b.Errorf("ping after that: %v", err)
	}
}

// agrees walks at random and compares with [ratelimit.Log].
func agrees(b *bed) {
	const steps, keys = 300, 4
	rnd := newRandom(b)
	logs := make([]ratelimit.Log, keys)
	last := make([]ratelimit.Answer, keys)
	at := time.Duration(0)
	for step := range steps {
		at += time.Duration(rnd.IntN(40_000_000)) * time.Microsecond
		if rnd.IntN(50) == 0 {
			at -= time.Duration(rnd.IntN(300)) * time.Second
		}
		b.at(at)
		picked := []int{rnd.IntN(keys)}
		if second := rnd.IntN(keys); second != picked[0] {
			picked = append(picked, second)
		}
		slices.Sort(picked)
		var asks []ratelimit.Ask
		for _, k := range picked {
			a := ask(k, rnd.IntN(50))
			a.Limit = []int{5, 100, 100, 1000}[k]
			if rnd.IntN(4) == 0 {
				a.Debt, a.DebtAge = rnd.IntN(30), time.Duration(rnd.IntN(90))*time.Second
			}
			if rnd.IntN(2) == 0 && last[k].At > 0 {
				a.Known, a.KnownAt, a.KnownUntil = min(last[k].Used, a.Limit), last[k].At, last[k].FreeAt
			}
			asks = append(asks, a)
		}
		if !slices.IsSortedFunc(asks, func(x, y ratelimit.Ask) int { return bytes.Compare(x.Key[:], y.Key[:]) }) {
			b.Fatal("the test asks out of order")
		}
		answers := b.admit(asks...)
		for i, k := range picked {
			var want ratelimit.Answer
			logs[k], want = logs[k].Admit(asks[i], b.now.UnixMicro())
			got := answers[i]
			if d := cmp.Diff(got, want); d != "" {
				b.Fatalf("step %d, %s after noon, %+v (-got +want):\n%s", step, at, asks[i], d)
			}
			last[k] = got
		}
	}
}
