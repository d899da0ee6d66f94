package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/tally"
)

// Check looks at one service.
type Check struct {
	Name   string
	Needed bool          // orders need it: down is unhealthy
	Untold bool          // nobody else has people told when it is not up
	Every  time.Duration // between two looks; 2 s
	Within time.Duration // of one look; 2.5 s
	// Asks names the services that a look is made through. When it fails, and one of them
	// is not up, that one is blamed.
	Asks []string
	// Look answers how the service is. An error says that it cannot be told.
	Look func(ctx context.Context) (Finding, error)
}

const (
	every  = 2 * time.Second
	within = 2500 * time.Millisecond
	// again is when a look that failed for the first time is repeated.
	again = 250 * time.Millisecond
	// forgiven is how much later than due a look may end before nobody knows any more.
	forgiven = 5 * time.Second
)

// Config describes a monitor. Zero means the default.
type Config struct {
	Checks  []Check
	Measure func(ctx context.Context) (Figures, error) // nil: there are no figures
	Rollups job.Rollups                                // keeps what became of each; nil: nobody does
	News    News                                       // has people told; nil: nobody
	Log     *slog.Logger                               // nil: discards
	Metrics Metrics                                    // nil: none
}

// Metrics hears what was found. Implementations must not block.
type Metrics interface {
	// ServiceChecked tells of a look: 1 is up, 0.5 degraded, 0 down.
	ServiceChecked(service string, up float64, took time.Duration, failed bool)
	// LoadMeasured tells how much work is due, and for how many hands.
	LoadMeasured(due, slots int64, duePerSlot float64)
	WorkersLive(n int)
	JobsStale(n int64)
}

// News has people told.
type News interface {
	// Tell hears every few seconds which services are wrong by themselves, and which of
	// those that are not up are not known.
	Tell(ctx context.Context, wrong []Service, unknown bool) error
}

// Monitor runs checks. Its methods may be called concurrently.
type Monitor struct {
	Config
	begun   time.Time
	watches []*watch // in the order of the checks
	tally   tally.Tally

	mu       sync.Mutex
	figures  Figures
	measured time.Time // zero: the figures are not known
	overall  Overall   // that was logged last; empty: none was
}

// watch is a check and what it came to.
type watch struct {
	Check
	turn sync.Mutex    // held while looking
	busy chan struct{} // full while a look goes on that did not end in its time

	// Under the monitor's mutex:
	service Service
	looked  time.Time // when a look last ended; zero: none did
	fails   int       // looks in a row that failed
}

// New builds a monitor; nothing is looked at before Run or Look.
func New(c Config) *Monitor {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	m := &Monitor{Config: c, begun: time.Now()}
	for _, check := range c.Checks {
		if check.Every <= 0 {
			check.Every = every
		}
		if check.Within <= 0 {
			check.Within = within
		}
		m.watches = append(m.watches, &watch{
			Check: check, busy: make(chan struct{}, 1),
			service: Service{Name: check.Name, Finding: Finding{Status: Down, Detail: "it was not looked at yet"}, Since: m.begun},
		})
	}
	return m
}

// Run looks until ctx ends.
func (m *Monitor) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, w := range m.watches {
		all.Go(func() { repeat(ctx, func() time.Duration { return m.look(ctx, w) }) })
	}
	if m.Measure != nil {
		all.Go(func() { repeat(ctx, func() time.Duration { return m.measure(ctx) }) })
	}
	all.Go(func() { m.account(ctx) })
	all.Wait()
	return nil
}

// Look looks once at everything.
func (m *Monitor) Look(ctx context.Context) Report {
	var all sync.WaitGroup
	for _, w := range m.watches {
		all.Go(func() { m.look(ctx, w) })
	}
	if m.Measure != nil {
		all.Go(func() { m.measure(ctx) })
	}
	all.Wait()
	return m.Report()
}

// repeat acts until ctx ends, and rests as long as act says, a little less each time, so
// that many processes do not march in step.
func repeat(ctx context.Context, act func() time.Duration) {
	for ctx.Err() == nil {
		rest := act()
		select {
		case <-ctx.Done():
		case <-time.After(rest - rand.N(rest/10+1)):
		}
	}
}

// look looks at a service and returns how long to rest.
func (m *Monitor) look(ctx context.Context, w *watch) time.Duration {
	w.turn.Lock()
	defer w.turn.Unlock()
	return m.lookInTurn(ctx, w)
}

func (m *Monitor) lookInTurn(ctx context.Context, w *watch) time.Duration {
	begun := time.Now()
	f, err := w.ask(ctx)
	took := time.Since(begun)
	if ctx.Err() != nil {
		return 0
	}
	blames := ""
	if err != nil {
		blames = m.blame(ctx, w)
	}
	return m.settle(ctx, w, f, err, blames, took)
}

// errBusy: the look before this one has not ended yet.
var errBusy = errors.New("the look before did not end")

// ask looks within the check's time. A look that does not heed its end goes on by itself;
// until it ends no other is begun.
func (w *watch) ask(ctx context.Context) (f Finding, err error) {
	select {
	case w.busy <- struct{}{}:
	default:
		return Finding{}, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, w.Within)
	defer cancel()
	type answer struct {
		Finding
		error
	}
	answers := make(chan answer, 1)
	go func() {
		f, err := w.Look(ctx)
		<-w.busy // before the answer: who has it may look again at once
		answers <- answer{f, err}
	}()
	select {
	case a := <-answers:
		return a.Finding, a.error
	case <-ctx.Done():
		return Finding{}, ctx.Err()
	}
}

// blame names the service for whose sake a look has just failed. What was not looked at
// since is looked at first: it may have gone a moment ago.
func (m *Monitor) blame(ctx context.Context, w *watch) string {
	failed := time.Now()
	for _, name := range w.Asks {
		for _, other := range m.watches {
			if other.Name == name && !m.upSince(ctx, other, failed) {
				return name
			}
		}
	}
	return ""
}

// upSince reports whether a service is up, by a look that ended after a moment.
func (m *Monitor) upSince(ctx context.Context, w *watch, moment time.Time) bool {
	w.turn.Lock()
	defer w.turn.Unlock()
	if _, looked := m.known(w); !looked.After(moment) {
		m.lookInTurn(ctx, w)
	}
	s, _ := m.known(w)
	return s.Status == Up
}

func (m *Monitor) known(w *watch) (Service, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return w.service, w.looked
}

// settle keeps what a look came to, and returns how long to rest.
func (m *Monitor) settle(ctx context.Context, w *watch, f Finding, err error, blames string, took time.Duration) time.Duration {
	m.mu.Lock()
	before, first := w.service, w.looked.IsZero()
	rest := w.Every
	switch {
	case err == nil:
		w.fails = 0
	case w.fails == 0 && !first && before.Status != Down:
		f, w.fails, rest = failed(w, err, blames), 1, again
		f.Status = Degraded
	default:
		f, w.fails = failed(w, err, blames), w.fails+1
	}
	now := time.Now()
	w.looked = now
	since := before.Since
	if first || f.Status != before.Status {
		since = now
	}
	w.service = Service{Name: w.Name, Finding: f, Untold: w.Untold && !f.Told, Blames: blames, Since: since, Checked: now, Latency: took}
	after := w.service
	m.mu.Unlock()

	m.Metrics.ServiceChecked(w.Name, weights[after.Status], took, err != nil)
	m.tell(ctx, before, after, first)
	return rest
}

// weights are the statuses as a metric.
var weights = map[Status]float64{Up: 1, Degraded: 0.5}

// failed is what is said of a service that cannot be looked at.
func failed(w *watch, err error, blames string) Finding {
	switch {
	case blames != "":
		return Finding{Status: Down, Detail: notKnown(blames)}
	case errors.Is(err, context.DeadlineExceeded):
		return Finding{Status: Down, Detail: fmt.Sprintf("no answer within %s", w.Within)}
	}
	return Finding{Status: Down, Detail: err.Error()}
}

// tell logs and counts a change.
func (m *Monitor) tell(ctx context.Context, before, after Service, first bool) {
	if first && after.Status == Up || !first && before.Status == after.Status {
		m.tellOverall(ctx)
		return
	}
	m.tally.Count(job.FactHealthChanges, after.Name+"/"+after.word(), 1)
	attrs := []any{"service", after.Name, "status", string(after.Status)}
	if after.Status == Up {
		m.Log.InfoContext(ctx, "service is up again", append(attrs, "after", after.Since.Sub(before.Since).Round(time.Millisecond))...)
	} else {
		m.Log.WarnContext(ctx, "service is not up", append(attrs, "cause", after.Detail)...)
	}
	m.tellOverall(ctx)
}

// tellOverall logs and counts a change of the whole, once everything was looked at.
func (m *Monitor) tellOverall(ctx context.Context) {
	m.mu.Lock()
	for _, w := range m.watches {
		if w.looked.IsZero() {
			m.mu.Unlock()
			return
		}
	}
	r := m.report(time.Now())
	before := m.overall
	m.overall = r.Status
	m.mu.Unlock()
	if before == r.Status {
		return
	}
	m.tally.Count(job.FactHealthChanges, overall+"/"+string(r.Status), 1)
	if r.Status == Unhealthy {
		m.Log.ErrorContext(ctx, "unhealthy", "wrong", r.Wrong)
	} else {
		m.Log.InfoContext(ctx, "health changed", "status", string(r.Status), "wrong", r.Wrong)
	}
}

// Report is the verdict now. It asks nobody.
func (m *Monitor) Report() Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.report(time.Now())
}

func (m *Monitor) report(now time.Time) Report {
	r := Report{At: now.UTC(), Uptime: now.Sub(m.begun)}
	needed := map[string]bool{}
	for _, w := range m.watches {
		needed[w.Name] = w.Needed
		s := w.service
		if late := now.Sub(w.looked); !w.looked.IsZero() && late > w.Every+2*w.Within+forgiven {
			s.Finding = Finding{Status: Down, Detail: fmt.Sprintf("not looked at for %s", late.Round(time.Second))}
		}
		r.Services = append(r.Services, s)
	}
	r.Status, r.Wrong = verdict(r.Services, func(name string) bool { return needed[name] })
	if !m.measured.IsZero() && now.Sub(m.measured) <= mostRest+forgiven {
		f := m.figures
		r.Figures = &f
	}
	return r
}

type noMetrics struct{}

func (noMetrics) ServiceChecked(string, float64, time.Duration, bool) {}
func (noMetrics) LoadMeasured(int64, int64, float64)                  {}
func (noMetrics) WorkersLive(int)                                     {}
func (noMetrics) JobsStale(int64)                                     {}
