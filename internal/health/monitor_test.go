package health_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/health"
	"github.com/directorybolt/directorybolt/internal/job"
)

// switchboard is what checks find, by service.
type switchboard struct {
	mu   sync.Mutex
	errs map[string]error
	is   map[string]health.Status
}

func (s *switchboard) set(name string, is health.Status, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.is[name], s.errs[name] = is, err
}

func (s *switchboard) check(name string, needed bool, asks ...string) health.Check {
	return health.Check{Name: name, Needed: needed, Asks: asks, Every: time.Second, Within: time.Second, Look: func(context.Context) (health.Finding, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return health.Finding{Status: s.is[name]}, s.errs[name]
	}}
}

func newSwitchboard() *switchboard {
	return &switchboard{errs: map[string]error{}, is: map[string]health.Status{
		"database": health.Up, "workers": health.Up, "books": health.Up,
	}}
}

func (s *switchboard) checks() []health.Check {
	return []health.Check{s.check("database", true), s.check("workers", true, "database"), s.check("books", false, "database")}
}

// running runs a monitor in a bubble until the test ends.
func running(t *testing.T, c health.Config) *health.Monitor {
	t.Helper()
	m := health.New(c)
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = m.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait() })
	synctest.Wait()
	return m
}

// says is the verdict, what is wrong, and the statuses in the order of the checks.
func says(m *health.Monitor) string {
	r := m.Report()
	words := []string{string(r.Status), strings.Join(r.Wrong, "+")}
	for _, s := range r.Services {
		word := string(s.Status)
		if s.Blames != "" {
			word += "<" + s.Blames
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func want(t *testing.T, m *health.Monitor, what, want string) {
	t.Helper()
	synctest.Wait()
	if got := says(m); got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestTheVerdictIsTheWorstThatMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwitchboard()
		m := running(t, health.Config{Checks: s.checks()})
		want(t, m, "all is well", "healthy  up up up")
		s.set("books", health.Down, nil)
		time.Sleep(time.Second)
		want(t, m, "something that orders do not need is down", "degraded books up up down")
		s.set("workers", health.Degraded, nil)
		time.Sleep(time.Second)
		want(t, m, "something is degraded", "degraded workers+books up degraded down")
		s.set("workers", health.Down, nil)
		time.Sleep(time.Second)
		want(t, m, "something that orders need is down", "unhealthy workers+books up down down")
		s.set("workers", health.Up, nil)
		s.set("books", health.Up, nil)
		time.Sleep(time.Second)
		want(t, m, "all is well again", "healthy  up up up")
	})
}

// A look that fails says nothing about what it looks at: that is never taken for well.
func TestACheckThatFailsIsNeverUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwitchboard()
		s.set("workers", health.Up, errors.New("no such table"))
		m := health.New(health.Config{Checks: s.checks()})
		if got := says(m); got != "unhealthy database+workers+books down down down" {
			t.Errorf("before anything was looked at: %q", got)
		}
		m = running(t, health.Config{Checks: s.checks()})
		want(t, m, "it failed from the start", "unhealthy workers up down up")
		if d := m.Report().Service("workers").Detail; d != "no such table" {
			t.Errorf("detail is %q", d)
		}
		s.set("workers", health.Up, nil)
		time.Sleep(time.Second)
		want(t, m, "it answered", "healthy  up up up")
		s.set("workers", health.Up, errors.New("cut"))
		for now := m.Report(); now.Service("workers").Status == health.Up; now = m.Report() {
			time.Sleep(10 * time.Millisecond)
		}
		want(t, m, "it failed once", "degraded workers up degraded up")
		time.Sleep(260 * time.Millisecond)
		want(t, m, "it failed again", "unhealthy workers up down up")
	})
}

// Whoever names what is wrong must not name what only cannot be seen.
func TestWhatIsAskedThroughTheDatabaseIsBlamedOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwitchboard()
		m := running(t, health.Config{Checks: s.checks()})
		for _, name := range []string{"database", "workers", "books"} {
			s.set(name, health.Up, errors.New("connection refused"))
		}
		for range 100 {
			time.Sleep(13 * time.Millisecond)
			for _, name := range m.Report().Wrong {
				if name != "database" {
					t.Fatalf("%s is called wrong: %s", name, says(m))
				}
			}
		}
		time.Sleep(time.Second)
		want(t, m, "the database is away", "unhealthy database down down<database down<database")
		s.set("database", health.Up, nil)
		time.Sleep(time.Second)
		want(t, m, "the database is back, and the others still fail", "unhealthy workers+books up down down")
		s.set("workers", health.Up, nil)
		s.set("books", health.Up, nil)
		time.Sleep(time.Second)
		want(t, m, "all is well again", "healthy  up up up")
	})
}

// A look has ended when its answer is there: who looks again at once is not told that it goes on.
func TestLooksOneAfterTheOtherDoNotMeet(t *testing.T) {
	m := health.New(health.Config{Checks: []health.Check{newSwitchboard().check("database", true)}})
	for n := range 50_000 {
		if s := m.Look(t.Context()).Service("database"); s.Status != health.Up {
			t.Fatalf("look %d: %s, %s", n+1, s.Status, s.Detail)
		}
	}
}

func TestNobodyWaitsForALookThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		release := make(chan struct{})
		m := running(t, health.Config{Checks: []health.Check{{Name: "deaf", Needed: true, Every: time.Second, Within: time.Second, Look: func(context.Context) (health.Finding, error) {
			if begun.Add(1) > 1 {
				<-release
			}
			return health.Finding{Status: health.Up}, nil
		}}}})
		want(t, m, "it answered", "healthy  up")
		time.Sleep(10 * time.Second)
		want(t, m, "it does not", "unhealthy deaf down")
		if n := begun.Load(); n != 2 {
			t.Errorf("%d looks were begun, want one beside the one that does not end", n)
		}
		close(release)
		time.Sleep(time.Second)
		want(t, m, "it ended", "healthy  up")
	})
}

func TestWhoDoesNotLookDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwitchboard()
		m := health.New(health.Config{Checks: s.checks(), Measure: func(context.Context) (health.Figures, error) { return health.Figures{Stale: 3}, nil }})
		r := m.Look(t.Context())
		if r.Status != health.Healthy || r.Figures == nil || r.Figures.Stale != 3 {
			t.Errorf("%+v", r)
		}
		time.Sleep(2 * time.Minute)
		if r = m.Report(); r.Status != health.Unhealthy || r.Figures != nil || r.Service("books").Detail != "not looked at for 2m0s" {
			t.Errorf("two minutes later: %+v", r)
		}
	})
}

// heard is what the metrics were told last.
type heard struct {
	due, slots, stale atomic.Int64
	workers           atomic.Int64
}

func (*heard) ServiceChecked(string, float64, time.Duration, bool) {}
func (h *heard) LoadMeasured(due, slots int64, _ float64)          { h.due.Store(due); h.slots.Store(slots) }
func (h *heard) WorkersLive(n int)                                 { h.workers.Store(int64(n)) }
func (h *heard) JobsStale(n int64)                                 { h.stale.Store(n) }

func TestFiguresAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		running(t, health.Config{Metrics: &h, Measure: func(context.Context) (health.Figures, error) {
			return health.Figures{Load: job.Load{Due: 4}, WorkersLive: 2, SlotsLive: 20, Stale: 3}, nil
		}})
		if got := [4]int64{h.due.Load(), h.workers.Load(), h.slots.Load(), h.stale.Load()}; got != [4]int64{4, 2, 20, 3} {
			t.Errorf("due, workers, slots, stale jobs: %v", got)
		}
	})
}

func TestFiguresThatCannotBeCountedAreNotZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault atomic.Pointer[error]
		m := running(t, health.Config{Measure: func(context.Context) (f health.Figures, err error) {
			if e := fault.Load(); e != nil {
				return f, *e
			}
			return health.Figures{Load: job.Load{Pending: 7}}, nil
		}})
		if r := m.Report(); r.Figures == nil || r.Figures.Pending != 7 {
			t.Errorf("%+v", r.Figures)
		}
		err := errors.New("away")
		fault.Store(&err)
		time.Sleep(6 * time.Second)
		if r := m.Report(); r.Figures != nil {
			t.Errorf("%+v, want none", r.Figures)
		}
	})
}

// rollups has the methods that nobody calls here.
type rollups interface{ job.Rollups }

// ledger adds up what it is told.
type ledger struct {
	rollups
	mu   sync.Mutex
	sums map[string]int64
}

func (l *ledger) AddFacts(_ context.Context, facts ...job.Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range facts {
		l.sums[f.Name+" "+f.Labels] += f.Value
	}
	return nil
}

func TestHowLongWhatWasHowIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSwitchboard()
		l := &ledger{sums: map[string]int64{}}
		m := health.New(health.Config{Checks: s.checks(), Rollups: l})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { _ = m.Run(ctx); close(ended) }()
		time.Sleep(60 * time.Second)
		s.set("database", health.Up, errors.New("away"))
		s.set("workers", health.Up, errors.New("away"))
		time.Sleep(60 * time.Second)
		stop()
		<-ended
		near := func(what string, want int64) {
			if got := l.sums[what]; got < want-10 || got > want+10 {
				t.Errorf("%s: %d, want about %d; all: %v", what, got, want, slices.Sorted(maps.Keys(l.sums)))
			}
		}
		near("health_seconds overall/healthy", 60)
		near("health_seconds overall/unhealthy", 60)
		near("health_seconds database/up", 60)
		near("health_seconds database/down", 60)
		near("health_seconds workers/unknown", 60)
		near("health_seconds books/up", 120)
		for what, want := range map[string]int64{"overall/unhealthy": 1, "database/degraded": 1, "database/down": 1} {
			if got := l.sums["health_changes "+what]; got != want {
				t.Errorf("changes to %s: %d, want %d", what, got, want)
			}
		}
	})
}

// gossip keeps what people would be told.
type gossip struct {
	mu    sync.Mutex
	wrong []string
	blind bool
}

func (g *gossip) Tell(_ context.Context, wrong []health.Service, blind bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wrong, g.blind = nil, blind
	for _, s := range wrong {
		g.wrong = append(g.wrong, s.Name)
	}
	return nil
}

func (g *gossip) heard() (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.wrong, "+"), g.blind
}

func TestPeopleAreToldOfWhatNobodyElseTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, g := newSwitchboard(), &gossip{}
		checks := s.checks()
		checks[0].Untold = true
		running(t, health.Config{Checks: checks, News: g})
		s.set("database", health.Degraded, nil)
		s.set("books", health.Down, nil) // there is an alert of its own for them
		time.Sleep(7 * time.Second)
		if heard, blind := g.heard(); heard != "database" || blind {
			t.Errorf("people hear of %q, blind %v", heard, blind)
		}
		s.set("books", health.Up, errors.New("slow"))
		time.Sleep(7 * time.Second)
		if heard, blind := g.heard(); heard != "database" || !blind {
			t.Errorf("people hear of %q, blind %v", heard, blind)
		}
		s.set("database", health.Up, nil)
		s.set("books", health.Up, nil)
		time.Sleep(7 * time.Second)
		if heard, blind := g.heard(); heard != "" || blind {
			t.Errorf("people hear of %q, blind %v", heard, blind)
		}
	})
}
