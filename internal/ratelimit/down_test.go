package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/google/go-cmp/cmp"
)

// troubled is a storage that is gone, or frozen, when a test says so.
type troubled struct {
	ratelimit.InMemory
	mu     sync.Mutex
	mode   mode
	thawed chan struct{} // closed when a freeze ends
	talks  int           // calls of any kind
}

type mode int

const (
	well   mode = iota
	gone        // it refuses: nothing is counted
	frozen      // it is silent, and counts when it wakes up
	lossy       // it is silent, and forgets what it was asked
)

var errGone = fmt.Errorf("connection refused: %w", ratelimit.ErrUncounted)

func (s *troubled) set(m mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.thawed != nil {
		close(s.thawed)
		s.thawed = nil
	}
	s.mode = m
	if m == frozen || m == lossy {
		s.thawed = make(chan struct{})
	}
}

// meet is what a caller meets: nothing, an error, or silence until ctx ends.
func (s *troubled) meet(ctx context.Context) (mode, chan struct{}, error) {
	s.mu.Lock()
	m, thawed := s.mode, s.thawed
	s.talks++
	s.mu.Unlock()
	switch m {
	case gone:
		return m, nil, errGone
	case frozen, lossy:
		select {
		case <-ctx.Done():
			return m, thawed, context.Cause(ctx)
		case <-thawed:
		}
	}
	return m, nil, nil
}

func (s *troubled) Admit(ctx context.Context, asks []ratelimit.Ask) ([]ratelimit.Answer, error) {
	m, thawed, err := s.meet(ctx)
	if err == nil {
		return s.InMemory.Admit(ctx, asks)
	}
	if m == frozen {
		go func() {
			<-thawed
			_, _ = s.InMemory.Admit(context.Background(), asks)
		}()
	}
	return nil, err
}

func (s *troubled) Ping(ctx context.Context) error {
	_, _, err := s.meet(ctx)
	return err
}

func (s *troubled) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.talks
}

// The promise to callers, on the test's own clock: whatever happens to the storage,
// one batch waits for the patience, and nobody after it waits at all.
func TestOneBatchWaitsForAStorageThatIsSilentAndNobodyAfterIt(t *testing.T) {
	for _, m := range []mode{gone, frozen, lossy} {
		synctest.Test(t, func(t *testing.T) {
			s := &troubled{}
			l := newLimiter(t, ratelimit.Config{Storage: s})
			public := limit(t, l, ratelimit.Public)
			public.Allow(ann)
			s.set(m)
			var all sync.WaitGroup
			slow := make(chan time.Duration, 1000)
			for i := range 200 {
				all.Go(func() {
					for range 5 {
						began := time.Now()
						d := public.Allow(ratelimit.Subject{ID: fmt.Sprint(i % 20)})
						if d.Outcome == ratelimit.Unavailable {
							t.Errorf("%+v", d)
						}
						if took := time.Since(began); took > 0 {
							slow <- took
						}
						time.Sleep(100 * time.Millisecond)
					}
				})
			}
			all.Wait()
			close(slow)
			for took := range slow {
				if took != 50*time.Millisecond {
					t.Errorf("mode %d: a decision took %s", m, took)
				}
				if m == gone {
					t.Errorf("a decision waited %s for a storage that refuses", took)
				}
			}
			if !l.Stats().Down || l.Stats().Cause == nil {
				t.Error("the limiter does not say that its storage failed")
			}
			s.set(well)
		})
	}
}

func TestOnlyTheProbeTalksToAStorageThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &troubled{}
		var changes []bool
		l := newLimiter(t, ratelimit.Config{Storage: s, OnChange: func(cause error) { changes = append(changes, cause != nil) }})
		public := limit(t, l, ratelimit.Public)
		s.set(gone)
		public.Allow(ann)
		before := s.calls()
		for range 1000 {
			public.Allow(ann)
			time.Sleep(time.Millisecond)
		}
		if n := s.calls() - before; n > 6 {
			t.Errorf("%d calls in a second, want one every 200 ms", n)
		}
		s.set(well)
		time.Sleep(250 * time.Millisecond)
		if l.Stats().Down {
			t.Error("the storage is back, and the breaker open")
		}
		if d := cmp.Diff(changes, []bool{true, false}); d != "" {
			t.Errorf("changes (-got +want):\n%s", d)
		}
	})
}

func TestEachPolicySaysWhatHappensMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &troubled{}
		l := newLimiter(t, ratelimit.Config{Storage: s, Policies: []ratelimit.Policy{
			{Name: "local", Limit: 10, Window: time.Minute, Down: ratelimit.Local},
			{Name: "open", Limit: 10, Window: time.Minute, Down: ratelimit.Open},
			{Name: "closed", Limit: 10, Window: time.Minute, Down: ratelimit.Closed},
		}})
		count := func(policy string, n int) (passed int) {
			for range n {
				d := limit(t, l, policy).Allow(ann)
				if d.Allowed() {
					passed++
				} else if d.RetryAfter() < 1 || (policy == "closed") != (d.Outcome == ratelimit.Unavailable) {
					t.Errorf("policy %s: %+v", policy, d)
				}
			}
			return passed
		}
		for _, policy := range []string{"local", "open", "closed"} {
			count(policy, 6)
		}
		s.set(gone)
		for policy, want := range map[string]int{"local": 4, "open": 100, "closed": 0} {
			if got := count(policy, 100); got != want {
				t.Errorf("policy %s: %d passed of 100 after six, want %d", policy, got, want)
			}
		}
		for policy, want := range map[string]ratelimit.Outcome{"local": ratelimit.Refused, "open": ratelimit.Allowed, "closed": ratelimit.Unavailable} {
			if d := limit(t, l, policy).Look(ann); d.Outcome != want {
				t.Errorf("policy %s: a look is answered with %s, want %s", policy, d.Outcome, want)
			}
		}
		time.Sleep(time.Minute + time.Second)
		if got := count("local", 100); got != 10 {
			t.Errorf("a window later: %d passed, want 10", got)
		}
	})
}

// What passed meanwhile is in the log afterwards, also of a client who does not come
// again: another instance counts it.
func TestWhatPassedMeanwhileIsToldAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &troubled{}
		public := limit(t, newLimiter(t, ratelimit.Config{Storage: s}), ratelimit.Public)
		other := limit(t, newLimiter(t, ratelimit.Config{Storage: s}), ratelimit.Public)
		for range 30 {
			public.Allow(ann)
		}
		s.set(gone)
		for range 25 {
			public.Allow(ann)
		}
		s.set(well)
		time.Sleep(300 * time.Millisecond)
		passed := 0
		for range 100 {
			if other.Allow(ann).Allowed() {
				passed++
			}
		}
		if passed != 45 {
			t.Errorf("%d passed elsewhere after 55, want 45", passed)
		}
	})
}

// An ask without an answer may have been counted, or not. Either way what passed on
// it is in the log once.
func TestWhatMayHaveBeenCountedIsCountedOnce(t *testing.T) {
	for _, m := range []mode{frozen, lossy} {
		synctest.Test(t, func(t *testing.T) {
			s := &troubled{}
			l := newLimiter(t, ratelimit.Config{Storage: s, Lanes: 1})
			public := limit(t, l, ratelimit.Public)
			for range 30 {
				public.Allow(ann)
			}
			s.set(m)
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() { public.Allow(ann) })
			}
			all.Wait()
			s.set(well)
			time.Sleep(300 * time.Millisecond)
			if d := public.Allow(ann); !d.Allowed() || d.Remaining != 49 {
				t.Errorf("mode %d: %+v after fifty, want 49 to remain", m, d)
			}
		})
	}
}

// A window holds through any row of outages, as seen by one instance: a random walk
// against the definition. Who passed on a question that had no answer is left out:
// whether the storage counted him it alone knows.
func TestNoWindowHoldsMoreThanTheLimitThroughOutages(t *testing.T) {
	for range 30 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			const limitOf = 10
			s := &troubled{}
			l := newLimiter(t, ratelimit.Config{Storage: s, Policies: []ratelimit.Policy{{Name: "p", Limit: limitOf, Window: 2 * time.Second}}})
			p := limit(t, l, "p")
			p.Allow(ratelimit.Subject{ID: "another"}) // an instance that has heard its storage once
			var passed reference
			for range 600 {
				if rnd.IntN(15) == 0 {
					s.set(mode(rnd.IntN(4)))
				}
				var all sync.WaitGroup
				var mu sync.Mutex
				for range rnd.IntN(5) {
					all.Go(func() {
						began := time.Now()
						if d := p.Allow(ann); d.Allowed() && time.Since(began) == 0 {
							mu.Lock()
							passed = append(passed, time.Now().UnixMicro())
							mu.Unlock()
						}
					})
				}
				all.Wait()
				time.Sleep(time.Duration(rnd.IntN(150)) * time.Millisecond)
			}
			s.set(well)
			if got := passed.worst((2 * time.Second).Microseconds()); got > limitOf {
				t.Errorf("seed %d: %d in one window, want at most %d", seed, got, limitOf)
			}
			time.Sleep(5 * time.Second)
			n := 0
			for range 20 {
				if p.Allow(ann).Allowed() {
					n++
				}
			}
			if n != limitOf || l.Stats().Down {
				t.Errorf("seed %d: %d passed after all was over, want %d", seed, n, limitOf)
			}
		})
	}
}

func TestABreakerThatIsOpenEndsWithItsLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &troubled{}
		l, err := ratelimit.New(ratelimit.Config{Storage: s, Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		s.set(gone)
		limit(t, l, ratelimit.Public).Allow(ann)
		if cause := l.Stats().Cause; !errors.Is(cause, errGone) {
			t.Errorf("cause %v, want %v", cause, errGone)
		}
		l.Close() // the bubble of this test would not end with a probe left in it
	})
}
