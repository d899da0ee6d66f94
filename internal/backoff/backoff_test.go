package backoff

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCeilingDoublesUpToTheCap(t *testing.T) {
	for n, want := range map[int]time.Duration{
		0: 30 * time.Second, 1: 30 * time.Second, 2: time.Minute, 3: 2 * time.Minute,
		5: 8 * time.Minute, 6: 15 * time.Minute, 1 << 30: 15 * time.Minute,
	} {
		if got := (Policy{}).Ceiling(n); got != want {
			t.Errorf("Ceiling(%d) = %v, want %v", n, got, want)
		}
	}
}

func TestDelayStaysBelowItsCeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			Base: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "base")),
			Cap:  time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "cap")),
		}
		n := rapid.IntRange(-3, 200).Draw(t, "n")
		if d := p.Delay(n); d < 0 || d > p.Ceiling(n) {
			t.Fatalf("Delay(%d) = %v with ceiling %v", n, d, p.Ceiling(n))
		}
	})
}

func TestDelayIsSpreadOverTheWholeCeiling(t *testing.T) {
	low, high := 0, 0
	for range 1000 {
		switch d := (Policy{}).Delay(3); {
		case d < time.Minute/2:
			low++
		case d > 3*time.Minute/2:
			high++
		}
	}
	if low < 150 || high < 150 {
		t.Errorf("of 1000 delays %d in the lowest quarter and %d in the highest, want about 250 each", low, high)
	}
}
