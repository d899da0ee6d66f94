package ratelimit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/google/go-cmp/cmp"
)

var secret = []byte("a secret of the tests, and of no use")

// ann is a client.
var ann = ratelimit.Subject{Kind: "addr", ID: "192.0.2.1"}

// newLimiter makes a limiter that is closed with the test.
func newLimiter(t testing.TB, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	c.Secret = secret
	l, err := ratelimit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func limit(t testing.TB, l *ratelimit.Limiter, policy string) *ratelimit.Limit {
	t.Helper()
	lim, err := l.Limit(policy)
	if err != nil {
		t.Fatal(err)
	}
	return lim
}

func TestOfAHundredAndFiveRequestsAHundredPass(t *testing.T) {
	for _, pace := range []time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond} {
		for _, phase := range []time.Duration{0, 59_990 * time.Millisecond, 30 * time.Second} {
			t.Run(fmt.Sprintf("pace %s from %s", pace, phase), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					public := limit(t, newLimiter(t, ratelimit.Config{Storage: &ratelimit.InMemory{}}), ratelimit.Public)
					time.Sleep(phase) // the test's clock begins with a minute
					first := time.Now()
					for n := 1; n <= 105; n++ {
						d := public.Allow(ann)
						if d.Allowed() != (n <= 100) {
							t.Fatalf("request %d: %+v", n, d)
						}
						if want := max(0, 100-n); d.Remaining != want {
							t.Errorf("request %d: %d remain, want %d", n, d.Remaining, want)
						}
						left := time.Until(first.Add(time.Minute))
						if want := int((left + time.Second - 1) / time.Second); n > 100 && d.RetryAfter() != want {
							t.Errorf("request %d: retry after %d, want %d", n, d.RetryAfter(), want)
						}
						time.Sleep(pace)
					}
				})
			})
		}
	}
}

func TestARefusedRequestPassesAfterItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admin := limit(t, newLimiter(t, ratelimit.Config{Storage: &ratelimit.InMemory{}}), ratelimit.Admin)
		for range 10 {
			admin.Allow(ann)
			time.Sleep(time.Second)
		}
		d := admin.Allow(ann)
		if d.Allowed() || d.Wait < 49*time.Second || d.Wait > 50*time.Second {
			t.Fatalf("%+v, want it refused for fifty seconds", d)
		}
		time.Sleep(d.Wait)
		if d := admin.Allow(ann); !d.Allowed() {
			t.Errorf("after its wait: %+v", d)
		}
		if d := admin.Allow(ann); d.Allowed() || d.RetryAfter() != 1 {
			t.Errorf("one more: %+v, retry after %d, want 1", d, d.RetryAfter())
		}
	})
}

func TestPoliciesAndSubjectsAreCountedApart(t *testing.T) {
	l := newLimiter(t, ratelimit.Config{Storage: &ratelimit.InMemory{}, Policies: []ratelimit.Policy{
		{Name: "a", Limit: 1, Window: time.Hour}, {Name: "b", Limit: 1, Window: time.Hour},
	}})
	for _, policy := range []string{"a", "b"} {
		for _, s := range []ratelimit.Subject{ann, {Kind: "key", ID: ann.ID}, {Kind: "addr", ID: "192.0.2.2"}, {Kind: "addr" + ann.ID}} {
			if d := limit(t, l, policy).Allow(s); !d.Allowed() {
				t.Errorf("policy %s, first request of %v: %+v", policy, s, d)
			}
		}
	}
	if _, err := l.Limit("c"); err == nil {
		t.Error("an unknown policy was found")
	}
}

// asked records the statements of a storage.
type asked struct {
	ratelimit.Storage
	mu    sync.Mutex
	sizes [][]int // N of each ask, by statement
	delay time.Duration
}

func (a *asked) Admit(ctx context.Context, asks []ratelimit.Ask) ([]ratelimit.Answer, error) {
	var sizes []int
	for _, q := range asks {
		sizes = append(sizes, q.N)
	}
	a.mu.Lock()
	a.sizes = append(a.sizes, sizes)
	a.mu.Unlock()
	time.Sleep(a.delay)
	return a.Storage.Admit(ctx, asks)
}

func (a *asked) statements() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sizes)
}

func TestAFullKeyIsRefusedWithoutAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{Storage: &ratelimit.InMemory{}}
		l := newLimiter(t, ratelimit.Config{Storage: s})
		public := limit(t, l, ratelimit.Public)
		for range 2000 {
			public.Allow(ann)
		}
		if n := s.statements(); n != 100 {
			t.Errorf("%d statements, want one for each that passed", n)
		}
		// A person may have removed the log, so memory asks again now and then.
		time.Sleep(20 * time.Second)
		before := s.statements()
		for range 100 {
			if d := public.Allow(ann); d.Allowed() || d.RetryAfter() != 40 {
				t.Fatalf("%+v, retry after %d, want 40", d, d.RetryAfter())
			}
		}
		if n := s.statements() - before; n != 1 {
			t.Errorf("%d statements for what was asked once already, want 1", n)
		}
		want := []ratelimit.Tally{
			{Policy: "public", Outcome: ratelimit.Allowed, Source: ratelimit.Stored, Count: 100},
			{Policy: "public", Outcome: ratelimit.Refused, Source: ratelimit.Memory, Count: 1999},
			{Policy: "public", Outcome: ratelimit.Refused, Source: ratelimit.Stored, Count: 1},
		}
		if d := cmp.Diff(l.Stats().Tallies, want); d != "" {
			t.Errorf("tallies (-got +want):\n%s", d)
		}
	})
}

func TestWhoWaitsTogetherAsksTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{Storage: &ratelimit.InMemory{}, delay: time.Millisecond}
		public := limit(t, newLimiter(t, ratelimit.Config{Storage: s, Lanes: 1}), ratelimit.Public)
		other := ratelimit.Subject{Kind: "addr", ID: "192.0.2.9"}
		var passed atomic.Int64
		remaining := map[int]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		send := func(who ratelimit.Subject, n int) {
			for range n {
				all.Go(func() {
					d := public.Allow(who)
					if who == ann && d.Allowed() {
						passed.Add(1)
						mu.Lock()
						remaining[d.Remaining]++
						mu.Unlock()
					}
				})
			}
		}
		send(ann, 1)
		synctest.Wait()
		send(ann, 149)
		send(other, 30)
		all.Wait()
		for _, sizes := range s.sizes {
			slices.Sort(sizes)
		}
		if d := cmp.Diff(s.sizes, [][]int{{1}, {30, 149}}); d != "" {
			t.Errorf("asks of each statement (-got +want):\n%s", d)
		}
		if passed.Load() != 100 || len(remaining) != 100 {
			t.Errorf("%d passed with %d different remainders, want 100 and 100", passed.Load(), len(remaining))
		}
	})
}

func TestAStatementAsksForSoManyKeysAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{Storage: &ratelimit.InMemory{}, delay: time.Millisecond}
		public := limit(t, newLimiter(t, ratelimit.Config{Storage: s, Lanes: 1}), ratelimit.Public)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				if d := public.Allow(ratelimit.Subject{ID: fmt.Sprint(i)}); !d.Allowed() {
					t.Errorf("%+v", d)
				}
			})
		}
		all.Wait()
		asks := 0
		for _, sizes := range s.sizes {
			asks += len(sizes)
			if len(sizes) > 256 {
				t.Errorf("a statement for %d keys", len(sizes))
			}
		}
		if asks != 1000 {
			t.Errorf("%d asks, want 1000", asks)
		}
	})
}

// Who is refused again and again stays in memory, however many others come and go.
func TestMemoryForgetsWhoWasUnusedForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{Storage: &ratelimit.InMemory{}, MaxKeys: 640})
		public := limit(t, l, ratelimit.Public)
		for range 100 {
			public.Allow(ann)
		}
		for i := range 1500 {
			public.Allow(ratelimit.Subject{ID: fmt.Sprint(i)})
			if i%50 != 0 { // ten fit beside ann, and hardly one comes
				continue
			}
			time.Sleep(150 * time.Millisecond) // in all less than memory refuses before it asks again
			if d := public.Allow(ann); d.Allowed() || d.Source != ratelimit.Memory {
				t.Fatalf("after %d others: %v by %v, want refused by memory", i+1, d.Outcome, d.Source)
			}
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	l := newLimiter(t, ratelimit.Config{Storage: &ratelimit.InMemory{}, MaxKeys: 640})
	public, staff := limit(t, l, ratelimit.Public), limit(t, l, ratelimit.Staff)
	for i := range 5000 {
		s := ratelimit.Subject{ID: fmt.Sprint(i)}
		public.Allow(s)
		staff.Allow(s)
	}
	got := l.Stats()
	if got.Keys > 640 || got.Keys < 500 || got.Evicted != uint64(10_000-got.Keys) {
		t.Errorf("%d keys, %d evicted, of 10 000", got.Keys, got.Evicted)
	}
	// What is forgotten is in the storage.
	first := ratelimit.Subject{ID: "0"}
	for range 99 {
		public.Allow(first)
	}
	if d := public.Allow(first); d.Allowed() {
		t.Errorf("the hundred and first of a key that was forgotten meanwhile: %+v", d)
	}
}

// A look decides as a request would, on any instance, and takes nothing away.
func TestALookCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &ratelimit.InMemory{}
		c := ratelimit.Config{Storage: store, Policies: []ratelimit.Policy{{Name: "auth", Limit: 3, Window: time.Minute}}}
		l := newLimiter(t, c)
		here, there := limit(t, l, "auth"), limit(t, newLimiter(t, c), "auth")
		for left := 3; left > 0; left-- {
			for range 10 {
				if d := here.Look(ann); !d.Allowed() || d.Remaining != left {
					t.Fatalf("looked with %d left: %s, %d left", left, d.Outcome, d.Remaining)
				}
			}
			if d := here.Allow(ann); !d.Allowed() || d.Remaining != left-1 {
				t.Fatalf("asked with %d left: %s, %d left", left, d.Outcome, d.Remaining)
			}
		}
		for name, lim := range map[string]*ratelimit.Limit{"here": here, "on another instance": there} {
			if d := lim.Look(ann); d.Allowed() || d.RetryAfter() != 60 {
				t.Errorf("full, %s: %s, come again after %d s", name, d.Outcome, d.RetryAfter())
			}
		}
		refused := uint64(0)
		for _, tally := range l.Stats().Tallies {
			if tally.Outcome == ratelimit.Refused {
				refused += tally.Count
			} else if tally.Count != 3 {
				t.Errorf("%d were counted as let through, want 3", tally.Count)
			}
		}
		if refused != 1 {
			t.Errorf("%d refused, want 1", refused)
		}
		time.Sleep(time.Minute)
		if d := there.Look(ann); !d.Allowed() || d.Remaining != 3 {
			t.Errorf("a window later: %s, %d left", d.Outcome, d.Remaining)
		}
	})
}

func TestFaultsOfTheConfigurationAreNamedAtOnce(t *testing.T) {
	_, err := ratelimit.New(ratelimit.Config{Policies: []ratelimit.Policy{
		{Name: "x", Limit: 0, Window: time.Minute}, {Name: "x", Limit: 1, Window: time.Microsecond, Down: "sideways"}, {},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"storage", "secret", "limit 0", "named twice", "window 1µs", "sideways", "no name"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestPoliciesAreChangedByName(t *testing.T) {
	all, err := ratelimit.Policies(
		ratelimit.Policy{Name: "public", Limit: 20, Window: time.Second},
		ratelimit.Policy{Name: "admin", Down: ratelimit.Open})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range all {
		got[p.Name] = fmt.Sprintf("%d/%s %s", p.Limit, p.Window, p.Down)
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
	want := map[string]string{
		"public": "20/1s ", "public_net": "320/1s ", "auth": "5/15m0s closed", "auth_net": "80/15m0s closed", "staff": "300/1m0s ",
		"staff_write": "30/1m0s ", "admin": "10/1m0s open", "key_hour": "1000/1h0m0s ", "worker": "600/1m0s ",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("policies (-got +want):\n%s", d)
	}
	if _, err := ratelimit.Policies(ratelimit.Policy{Name: "publik"}); err == nil {
		t.Error("an unknown policy was changed")
	}
}

// A crowd on limiters that share a storage, as processes do.
func TestInstancesLetExactlyTheLimitPass(t *testing.T) {
	store := &ratelimit.InMemory{}
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		public := limit(t, newLimiter(t, ratelimit.Config{Storage: store, Policies: []ratelimit.Policy{{Name: "public", Limit: 100, Window: time.Hour}}}), "public")
		for range 32 {
			all.Go(func() {
				for range 20 {
					if public.Allow(ann).Allowed() {
						passed.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	if passed.Load() != 100 {
		t.Errorf("%d passed, want 100", passed.Load())
	}
}

func TestRunSweepsUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &ratelimit.InMemory{}
		l := newLimiter(t, ratelimit.Config{Storage: store})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		for i := range 2500 {
			limit(t, l, ratelimit.Public).Allow(ratelimit.Subject{ID: fmt.Sprint(i)})
		}
		time.Sleep(4 * time.Minute)
		if n := store.Len(); n != 0 {
			t.Errorf("%d logs are left, want none", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkRefused is what an attacker costs.
func BenchmarkRefused(b *testing.B) {
	l, err := ratelimit.New(ratelimit.Config{Storage: &ratelimit.InMemory{}, Secret: secret, Policies: []ratelimit.Policy{{Name: "p", Limit: 1, Window: time.Hour}}})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	p, err := l.Limit("p")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p.Allow(ann)
	}
}
