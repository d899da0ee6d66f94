// Package tally counts in memory what reports want to know later, and hands it over
// once a minute: no counter is worth a write of its own. A process that dies takes at
// most what it counted since the last time; one whose store is away keeps counting, and
// says later when it was.
package tally

import (
	"context"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	minute = time.Minute
	// most is how many minutes are kept while the store is away; older ones are dropped.
	most = 24 * 60
)

// Tally is a set of counts. The zero value is ready; it is safe for concurrent use.
type Tally struct {
	mu     sync.Mutex
	counts map[entry]int64
	due    time.Duration // when the counts shall be handed over; zero: nothing was counted yet
	busy   bool          // being handed over

	clock func() time.Duration // tests; nil: bootclock.Now
}

type entry struct {
	minute       int64 // of the clock
	name, labels string
}

func (t *Tally) now() time.Duration {
	if t.clock == nil {
		return bootclock.Now()
	}
	return t.clock()
}

// Count adds n to the count of a name and its labels.
func (t *Tally) Count(name, labels string, n int64) {
	if n == 0 {
		return
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[entry]int64{}
	}
	if t.due == 0 {
		t.due = now + minute
	}
	t.counts[entry{int64(now / minute), name, labels}] += n
}

// Due reports whether the counts shall be handed over.
func (t *Tally) Due() bool {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.due > 0 && now >= t.due && !t.busy
}

// HandOver adds what was counted to the store's sums. What the store does not take is
// kept for the next time; when it took it and the answer was lost, it counts twice.
func (t *Tally) HandOver(ctx context.Context, add func(context.Context, ...job.Fact) error) error {
	counts, mine := t.take()
	if !mine {
		return nil
	}
	var err error
	if len(counts) > 0 {
		err = add(ctx, facts(counts, t.now())...)
	}
	if err == nil {
		counts = nil
	}
	t.put(counts)
	return err
}

// facts are the counts as the store takes them. What was counted in a minute happened in
// the middle of it.
func facts(counts map[entry]int64, now time.Duration) []job.Fact {
	facts := make([]job.Fact, 0, len(counts))
	for e, n := range counts {
		middle := time.Duration(e.minute)*minute + minute/2
		facts = append(facts, job.Fact{Name: e.name, Labels: e.labels, Value: n, Ago: max(0, now-middle)})
	}
	return facts
}

// take empties the tally for the one who hands it over.
func (t *Tally) take() (counts map[entry]int64, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy {
		return nil, false
	}
	counts = t.counts
	t.counts, t.busy = nil, true
	return counts, true
}

// put ends a hand-over with what was not taken.
func (t *Tally) put(back map[entry]int64) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy, t.due = false, now+minute
	for e, n := range back {
		if e.minute <= int64(now/minute)-most {
			continue
		}
		if t.counts == nil {
			t.counts = map[entry]int64{}
		}
		t.counts[e] += n
	}
}
