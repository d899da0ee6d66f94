package ratelimit_test

import (
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"pgregory.net/rapid"
)

// reference is the definition: a list of moments, in microseconds, and nothing clever.
type reference []int64

func (r *reference) admit(n, limit int, window, now int64) (granted int) {
	for range n {
		inside := 0
		for _, at := range *r {
			if at > now-window {
				inside++
			}
		}
		if inside >= limit {
			break
		}
		*r = append(*r, now)
		granted++
	}
	return granted
}

// worst is the most moments in any span (at-window, at].
func (r reference) worst(window int64) (most int) {
	for i := range r {
		n := 0
		for _, at := range r[:i+1] {
			if at > r[i]-window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// On whole milliseconds the log is the definition. Between them it never lets more
// pass, nor less in a window that is longer by a slot.
func TestLogIsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{1, 2, 5, 100, 256}).Draw(t, "limit")
		window := rapid.SampledFrom([]time.Duration{time.Millisecond, 50 * time.Millisecond, time.Second}).Draw(t, "window")
		now := int64(1_700_000_000_000_000)
		var log ratelimit.Log
		var want reference
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			now += int64(rapid.IntRange(0, int(2*window.Milliseconds()/3)+1).Draw(t, "pause")) * 1000
			n := rapid.IntRange(1, limit+2).Draw(t, "n")
			var a ratelimit.Answer
			log, a = log.Admit(ratelimit.Ask{N: n, Limit: limit, Window: window}, now)
			if g := want.admit(n, limit, window.Microseconds(), now); a.Granted != g {
				t.Fatalf("granted %d, want %d", a.Granted, g)
			}
			checkFreeAt(t, log, a, limit, window, now)
		}
	})
}

// checkFreeAt: one more passes when the answer says so, and not a millisecond before.
func checkFreeAt(t *rapid.T, log ratelimit.Log, a ratelimit.Answer, limit int, window time.Duration, now int64) {
	if a.Left(limit) > 0 {
		return
	}
	one := ratelimit.Ask{N: 1, Limit: limit, Window: window}
	then := now + a.FreeIn().Microseconds()
	if _, early := append(ratelimit.Log(nil), log...).Admit(one, then-1000); early.Granted != 0 {
		t.Fatalf("one passed a millisecond before %s", a.FreeIn())
	}
	if _, late := append(ratelimit.Log(nil), log...).Admit(one, then); late.Granted != 1 {
		t.Fatalf("none passed after %s", a.FreeIn())
	}
}

func TestNoSpanOfAWindowHoldsMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{3, 100, 257, 600, 1000}).Draw(t, "limit")
		window := rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second}).Draw(t, "window")
		now := int64(1_700_000_000_000_000)
		var log ratelimit.Log
		var passed reference
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now += int64(rapid.IntRange(0, int(window.Microseconds()/4)).Draw(t, "pause"))
			var a ratelimit.Answer
			log, a = log.Admit(ratelimit.Ask{N: rapid.IntRange(1, limit).Draw(t, "n"), Limit: limit, Window: window}, now)
			for range a.Granted {
				passed = append(passed, now)
			}
		}
		if got := passed.worst(window.Microseconds()); got > limit {
			t.Fatalf("%d in one window, want at most %d", got, limit)
		}
		if limit > 256 && len(log) > 258 {
			t.Fatalf("the log has %d elements", len(log))
		}
	})
}
