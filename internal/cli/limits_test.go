package cli

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/google/go-cmp/cmp"
)

// The settings name policies; the limiter has them.
func TestTheSettingsKnowEveryRatePolicy(t *testing.T) {
	all, err := ratelimit.Policies()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all {
		if p.Name != ratelimit.NetOf(ratelimit.Public) && p.Name != ratelimit.NetOf(ratelimit.Auth) {
			names = append(names, p.Name)
		}
	}
	if d := cmp.Diff(config.RatePolicies, names); d != "" {
		t.Errorf("policies (-settings +limiter):\n%s", d)
	}
}

// told records what people are told, and fails while it is away.
type told struct {
	away    atomic.Bool
	events  int
	notices []job.Notice
}

func (w *told) Tell(_ context.Context, e job.Event, n *job.Notice) error {
	if w.away.Load() {
		return errors.New("away")
	}
	if e.Type != job.EventLimiterDegraded {
		return errors.New("an event of type " + e.Type)
	}
	w.events++
	if n != nil {
		w.notices = append(w.notices, *n)
	}
	return nil
}

func TestPeopleLearnOfALimiterThatStaysWithoutItsStore(t *testing.T) {
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		storeAway     bool // the jobs' store too
		lasts         time.Duration
		events, alert int
	}{
		"a slow statement":        {false, 200 * time.Millisecond, 0, 0},
		"a minute":                {false, 57 * time.Second, 2, 2},
		"a minute, and the store": {true, 57 * time.Second, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &told{}
				n := newLimiterNews(w, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithCancel(t.Context())
				go n.run(ctx)
				w.away.Store(c.storeAway)
				n.changed(gone)
				time.Sleep(c.lasts)
				w.away.Store(false)
				n.changed(nil)
				time.Sleep(time.Minute)
				cancel()
				synctest.Wait()
				if w.events != c.events || len(w.notices) != c.alert {
					t.Fatalf("%d events and %d notices, want %d and %d", w.events, len(w.notices), c.events, c.alert)
				}
				for i, notice := range w.notices {
					if notice.Resolved != (i == 1) || notice.Alert != job.AlertLimiter {
						t.Errorf("notice %d: %+v", i, notice)
					}
				}
			})
		})
	}
}

// sums is what the store was told.
type sums map[string]int64

func (s sums) AddFacts(_ context.Context, facts ...job.Fact) error {
	for _, f := range facts {
		s[f.Name+" "+f.Labels] += f.Value
	}
	return nil
}

func (sums) Rollups(context.Context, string, time.Time, time.Time) ([]job.Rollup, error) {
	return nil, nil
}

func TestDecisionsAreHandedOverOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.New(ratelimit.Config{Storage: &ratelimit.InMemory{}, Secret: make([]byte, 16), Policies: []ratelimit.Policy{{Name: "p", Limit: 7, Window: time.Hour}}})
		if err != nil {
			t.Fatal(err)
		}
		defer limiter.Close()
		p, err := limiter.Limit("p")
		if err != nil {
			t.Fatal(err)
		}
		got := sums{}
		facts := &decisionFacts{read: limiter.Stats, rollups: got, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { facts.run(ctx); close(done) }()
		for range 10 {
			p.Allow(ratelimit.Subject{ID: "ann"})
			time.Sleep(20 * time.Second)
		}
		cancel()
		<-done
		total := int64(0)
		for name, n := range got {
			if !strings.HasPrefix(name, job.FactDecisions+" p/") {
				t.Errorf("a sum of %s", name)
			}
			total += n
		}
		if total != 10 || got[job.FactDecisions+" p/allow/store"] != 7 {
			t.Errorf("sums %v, want ten, seven of them allowed", got)
		}
	})
}
