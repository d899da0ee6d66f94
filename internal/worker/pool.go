package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
	"github.com/directorybolt/directorybolt/internal/tally"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// Store is what a pool needs of a job store.
type Store interface {
	job.Claimer
	job.Finisher
	job.Registry
	job.Lifelines
	job.Teller
	job.Waker
}

// Config describes a pool. Zero durations and numbers mean the defaults.
type Config struct {
	Store    Store                  // required
	Handlers map[string]job.Handler // by kind; required, not empty
	Hints    <-chan struct{}        // wakes the pool as the store does; nil: nothing else does

	Concurrency int           // jobs at once; 10
	Prefetch    int           // most jobs claimed ahead of free slots; 1000; negative: none
	Heartbeat   time.Duration // between beats; 5 s
	Lease       time.Duration // granted by each beat; 20 s; at least 3 heartbeats
	Poll        time.Duration // between looks for work when nothing wakes the pool; 1 s
	DrainGrace  time.Duration // for running jobs to end at shutdown; 25 s; less than the lease may cut a post

	// StuckAfter is how long a handler may go on when its attempt is over. Then it is
	// reported, and another slot takes the place of its own; 10 s.
	StuckAfter time.Duration

	Backoff backoff.Policy    // between attempts
	Rollups job.Rollups       // keeps sums for reports; nil: nobody does
	Version string            // of the binary, for the workers table
	Log     *slog.Logger      // nil: slog.Default()
	Metrics Metrics           // nil: none
	Tracer  *telemetry.Tracer // nil: no traces

	clock func() time.Duration // tests; nil: bootclock.Now
}

// Metrics hears what a pool does. Implementations must not block.
type Metrics interface {
	JobsClaimed(kind string, n int, took time.Duration)
	JobEnded(kind, verb, class string, took time.Duration)
	LeaseLost(kind string)
	Beat(took time.Duration, ok bool)
	LifelineHeld(held bool)
	SlotLost(kind string)
	SlotFound(kind string)
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.Store == nil {
		faults = append(faults, errors.New("worker: no store"))
	}
	if len(c.Handlers) == 0 {
		faults = append(faults, errors.New("worker: no handlers"))
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"heartbeat", c.Heartbeat}, {"lease", c.Lease}, {"poll interval", c.Poll}, {"drain grace", c.DrainGrace}, {"stuck after", c.StuckAfter}} {
		if d.v < 0 {
			faults = append(faults, fmt.Errorf("worker: %s %s is negative", d.name, d.v))
		}
	}
	if c.Concurrency < 0 {
		faults = append(faults, fmt.Errorf("worker: concurrency %d is negative", c.Concurrency))
	}
	if w := c.withDefaults(); w.Lease < 3*w.Heartbeat {
		faults = append(faults, fmt.Errorf("worker: lease %s is shorter than three heartbeats of %s; a single lost beat would cost the jobs", w.Lease, w.Heartbeat))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.Heartbeat, 5*time.Second)
	set(&c.Lease, 20*time.Second)
	set(&c.Poll, time.Second)
	set(&c.DrainGrace, 25*time.Second)
	set(&c.StuckAfter, 10*time.Second)
	if c.Concurrency == 0 {
		c.Concurrency = 10
	}
	if c.Prefetch == 0 {
		c.Prefetch = 1000
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.clock == nil {
		c.clock = bootclock.Now
	}
	return c
}

// Pool claims and runs jobs until its context ends.
type Pool struct {
	Config
	host  string
	kinds []string

	serving   atomic.Pointer[tenure] // nil: there is none
	lostSlots atomic.Int64           // to handlers that hang, of all tenures

	registerFails, beatFails, claimFails, lifelineFails seldom.Line

	tally tally.Tally // what reports want to know, until it is handed over
}

// New checks c and builds a pool; nothing runs before [Pool.Run].
func New(c Config) (*Pool, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Pool{Config: c.withDefaults(), host: host, kinds: slices.Sorted(maps.Keys(c.Handlers))}, nil
}

// Run serves until ctx ends, then drains: it claims nothing more, lets running
// jobs end within the grace, gives back what is left, and says goodbye to the
// store. It returns nil after a drain. A store that is away is waited for.
func (p *Pool) Run(ctx context.Context) error {
	var before *tenure
	defer func() {
		if before != nil {
			before.letGo()
		}
	}()
	for ctx.Err() == nil {
		t, err := p.begin(ctx)
		if err != nil {
			return nil // ctx ended before the store answered
		}
		settled := async(func() { before.settle() })
		cause := t.serve(ctx)
		<-settled
		if cause != nil {
			p.Log.WarnContext(ctx, "worker begins anew", "worker_id", t.id, "cause", cause.Error())
		}
		before = t
	}
	return nil
}

// Free is how many jobs the pool could begin now. While it drains, or has no lease, it
// is none.
func (p *Pool) Free() int {
	t := p.serving.Load()
	if t == nil || t.stopping() {
		return 0
	}
	return max(0, p.Concurrency-int(t.unbegun.Load()))
}

// settle says goodbye once more for a tenure whose goodbye the store did not hear,
// now that it answers again: what went wrong is no crash of its jobs.
func (t *tenure) settle() {
	if t != nil && !t.signedOff {
		t.leave()
		t.letGo()
	}
}

// begin registers under a new identity, as often as needed until ctx ends.
func (p *Pool) begin(ctx context.Context) (*tenure, error) {
	retry := backoff.Policy{Base: 200 * time.Millisecond, Cap: 5 * time.Second}
	for n := 1; ; n++ {
		t := newTenure(p)
		err := t.register(ctx)
		if err == nil {
			p.Log.InfoContext(ctx, "worker registered", "worker_id", t.id, "concurrency", p.Concurrency, "kinds", p.kinds)
			return t, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if unsaid, now := p.registerFails.Say(); now {
			p.Log.WarnContext(ctx, "worker not registered, will try again", "error", err.Error(), "unsaid", unsaid)
		}
		if !sleep(ctx, retry.Ceiling(n)) {
			return nil, ctx.Err()
		}
	}
}

// register asks the store for a lease.
func (t *tenure) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	sent := t.clock()
	err := t.Store.Register(ctx, job.Worker{
		ID: t.id, Host: t.host, Boot: bootclock.Boot(), PID: os.Getpid(), Version: t.Version, Kinds: t.kinds, Capacity: t.Concurrency,
	}, t.Lease)
	if err == nil {
		t.extend(sent)
		t.counted = sent
	}
	return err
}

// sleep waits for d and reports true, or false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

type noMetrics struct{}

func (noMetrics) JobsClaimed(string, int, time.Duration)         {}
func (noMetrics) JobEnded(string, string, string, time.Duration) {}
func (noMetrics) LeaseLost(string)                               {}
func (noMetrics) Beat(time.Duration, bool)                       {}
func (noMetrics) LifelineHeld(bool)                              {}
func (noMetrics) SlotLost(string)                                {}
func (noMetrics) SlotFound(string)                               {}
