package tally

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// book is a store's sums: by name, labels and minutes ago.
type book struct {
	away error
	sums map[job.Fact]int64
	adds int
}

func (b *book) AddFacts(_ context.Context, facts ...job.Fact) error {
	if b.away != nil {
		return b.away
	}
	b.adds++
	for _, f := range facts {
		key := job.Fact{Name: f.Name, Labels: f.Labels, Ago: f.Ago.Truncate(time.Minute)}
		b.sums[key] += f.Value
	}
	return nil
}

// hand is a tally whose clock the test turns.
func hand() (t *Tally, now *time.Duration) {
	at := time.Hour
	return &Tally{clock: func() time.Duration { return at }}, &at
}

func TestCountsAreHandedOverOnceAMinute(t *testing.T) {
	c, now := hand()
	b := &book{sums: map[job.Fact]int64{}}
	if c.Due() {
		t.Error("due before anything was counted")
	}
	for range 12 {
		c.Count("beats", "", 1)
		c.Count("passes", "stale", 2)
		c.Count("nothing", "", 0)
		if c.Due() {
			t.Error("due within the minute")
		}
		*now += 5 * time.Second
	}
	if !c.Due() {
		t.Error("not due after a minute")
	}
	if err := c.HandOver(t.Context(), b.AddFacts); err != nil || c.Due() {
		t.Errorf("error %v; due again at once: %t", err, c.Due())
	}
	if err := c.HandOver(t.Context(), b.AddFacts); err != nil || b.adds != 1 {
		t.Errorf("error %v, %d calls; nothing was left to hand over", err, b.adds)
	}
	if len(b.sums) != 2 || b.sums[job.Fact{Name: "beats"}] != 12 || b.sums[job.Fact{Name: "passes", Labels: "stale"}] != 24 {
		t.Errorf("sums %v, want 12 beats and 24 passes", b.sums)
	}
}

func TestWhatHappenedWhileTheStoreWasAwayIsToldWithItsTime(t *testing.T) {
	c, now := hand()
	b := &book{sums: map[job.Fact]int64{}, away: errors.New("store is away")}
	for range 3 {
		c.Count("beats_failed", "", 1)
		*now += time.Minute
		if err := c.HandOver(t.Context(), b.AddFacts); !errors.Is(err, b.away) {
			t.Fatalf("error %v, want %v", err, b.away)
		}
	}
	b.away = nil
	if err := c.HandOver(t.Context(), b.AddFacts); err != nil {
		t.Fatal(err)
	}
	for ago := range 3 {
		if n := b.sums[job.Fact{Name: "beats_failed", Ago: time.Duration(ago) * time.Minute}]; n != 1 {
			t.Errorf("%d of %d minutes ago, want 1 in %v", n, ago, b.sums)
		}
	}

	b.away = errors.New("store is away")
	c.Count("beats_failed", "", 1)
	*now += 25 * time.Hour
	c.Count("beats_failed", "", 1)
	_ = c.HandOver(t.Context(), b.AddFacts)
	if len(c.counts) != 1 {
		t.Errorf("%d minutes are kept, want that of a day ago forgotten", len(c.counts))
	}
}

func TestNothingIsLostBetweenThoseWhoCountAndTheOneWhoHandsOver(t *testing.T) {
	var c Tally
	b := &book{sums: map[job.Fact]int64{}}
	var counting sync.WaitGroup
	for range 4 {
		counting.Go(func() {
			for range 1000 {
				c.Count("a", "", 1)
			}
		})
	}
	counted := make(chan struct{})
	go func() { counting.Wait(); close(counted) }()
	for done := false; !done; {
		select {
		case <-counted:
			done = true
		default:
		}
		if err := c.HandOver(t.Context(), b.AddFacts); err != nil {
			t.Error(err)
		}
	}
	var sum int64
	for _, n := range b.sums {
		sum += n
	}
	if sum != 4000 {
		t.Errorf("handed over %d, want 4000", sum)
	}
}
