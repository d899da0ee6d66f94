package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a limiter limits and where it counts. Zero means the default.
type Config struct {
	// Storage keeps the logs. Required.
	Storage Storage
	// Secret names keys; instances that count together have the same. Required, at
	// least 16 bytes.
	Secret []byte
	// Policies are the limits; nil means [Policies].
	Policies []Policy
	// Patience is how long one statement of the storage may take; 50 ms.
	Patience time.Duration
	// Probe is the time between two looks whether a storage that failed is back;
	// 200 ms.
	Probe time.Duration
	// MaxKeys bounds the memory: keys that are remembered at once, about 300 bytes
	// each; 65 536.
	MaxKeys int
	// Lanes is how many statements run at once, keys split between them by hash; one
	// for two processors, at most 4.
	Lanes int
	// Log hears when the storage fails and when it is back; nil discards.
	Log *slog.Logger
	// OnAsk hears of each statement: how many keys it asked for, and how it ended. It
	// must not block.
	OnAsk func(keys int, took time.Duration, err error)
	// OnChange hears that the storage failed, with the cause, and with nil that it is
	// back. It must not block.
	OnChange func(cause error)
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.Storage == nil {
		faults = append(faults, errors.New("a storage is required"))
	}
	if len(c.Secret) < 16 {
		faults = append(faults, errors.New("the secret needs at least 16 bytes"))
	}
	seen := map[string]bool{}
	for _, p := range c.Policies {
		faults = append(faults, p.Validate())
		if seen[p.Name] {
			faults = append(faults, fmt.Errorf("policy %q: named twice", p.Name))
		}
		seen[p.Name] = true
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.Policies == nil {
		c.Policies, _ = Policies() // no change: no error
	}
	if c.Patience <= 0 {
		c.Patience = 50 * time.Millisecond
	}
	if c.Probe <= 0 {
		c.Probe = 200 * time.Millisecond
	}
	if c.MaxKeys <= 0 {
		c.MaxKeys = 65_536
	}
	if c.Lanes <= 0 {
		c.Lanes = min(max(runtime.GOMAXPROCS(0)/2, 1), 4)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.OnAsk == nil {
		c.OnAsk = func(int, time.Duration, error) {}
	}
	if c.OnChange == nil {
		c.OnChange = func(error) {}
	}
	return c
}

// Limiter decides. It is safe for concurrent use. It has no goroutine of its own
// while it has nothing to do; Close ends those it started.
type Limiter struct {
	config Config
	born   time.Time
	keys   *keyer
	limits map[string]*Limit
	shards [shardCount]shard
	lanes  []lane

	offset atomic.Int64 // of the storage's clock, in nanoseconds; see storeTime

	down    atomic.Bool // the breaker is open
	mu      sync.Mutex
	since   time.Time // of the breaker's opening; under mu
	cause   error     // under mu
	closed  bool      // under mu
	ended   context.Context
	end     context.CancelFunc
	probing sync.WaitGroup
}

// New returns a limiter.
func New(c Config) (*Limiter, error) {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("make a limiter: %w", err)
	}
	l := &Limiter{config: c, born: time.Now(), keys: newKeyer(c.Secret), limits: map[string]*Limit{}, lanes: make([]lane, c.Lanes)}
	l.ended, l.end = context.WithCancel(context.Background())
	for i, p := range c.Policies {
		if p.Down == "" {
			p.Down = Local
		}
		l.limits[p.Name] = &Limit{limiter: l, index: i, policy: p}
	}
	for i := range l.shards {
		l.shards[i].init(len(c.Policies), max(1, c.MaxKeys/shardCount))
	}
	return l, nil
}

// Close ends what runs in the background. Requests are still decided.
func (l *Limiter) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.end()
	l.probing.Wait()
}

// sweepEvery is the time between two sweeps, and sweepLimit how much one statement
// of it forgets.
const (
	sweepEvery = time.Minute
	sweepLimit = 1000
)

// Run sweeps the storage about once a minute until ctx ends. Any number of instances
// may do so.
func (l *Limiter) Run(ctx context.Context) error {
	for {
		pause := time.NewTimer(sweepEvery/2 + rand.N(sweepEvery))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
		if _, err := l.Sweep(ctx); err != nil && ctx.Err() == nil {
			l.config.Log.WarnContext(ctx, "sweep of the rate limits failed, will try again", "error", err.Error())
		}
	}
}

// Sweep is a single pass of Run: it forgets all logs that are empty by now, and
// returns how many. While the storage is down it does nothing.
func (l *Limiter) Sweep(ctx context.Context) (swept int, err error) {
	for !l.down.Load() {
		n, err := l.config.Storage.Sweep(ctx, sweepLimit)
		swept += n
		if err != nil {
			return swept, fmt.Errorf("sweep rate limits: %w", err)
		}
		if n < sweepLimit {
			break
		}
	}
	return swept, nil
}

// Limit returns the limit of that policy; an unknown one is an error.
func (l *Limiter) Limit(policy string) (*Limit, error) {
	if lim, ok := l.limits[policy]; ok {
		return lim, nil
	}
	return nil, fmt.Errorf("there is no rate policy %q", policy)
}

// Stats is what a limiter can tell about itself.
type Stats struct {
	Down    bool      // the storage failed and is not back yet
	Since   time.Time // when it failed
	Cause   error     // why
	Keys    int       // in memory
	Evicted uint64    // keys forgotten for want of room, since the start
	Tallies []Tally   // decisions since the start, those that happened at all, by policy
}

// Stats reads the state and all counts. It takes each lock of the memory in turn.
func (l *Limiter) Stats() Stats {
	var s Stats
	l.mu.Lock()
	s.Down, s.Since, s.Cause = l.down.Load(), l.since, l.cause
	l.mu.Unlock()
	sums := make(tallies, len(l.config.Policies))
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		s.Keys += sh.size
		s.Evicted += sh.evicted
		for p := range sums {
			for k := range sums[p] {
				sums[p][k] += sh.tallies[p][k]
			}
		}
		sh.mu.Unlock()
	}
	for p, counts := range sums {
		for k, n := range counts {
			if n > 0 {
				s.Tallies = append(s.Tallies, Tally{l.config.Policies[p].Name, Outcome(k / sources), Source(k % sources), n})
			}
		}
	}
	return s
}

// mono is the time since the limiter was made, in nanoseconds.
func (l *Limiter) mono() int64 { return int64(time.Since(l.born)) }

// storeTime is the storage's time at a moment of mono, in milliseconds, or a little
// later; zero while nothing is known of its clock.
func (l *Limiter) storeTime(now int64) int64 {
	if offset := l.offset.Load(); offset != 0 {
		return roundUp(offset+now, 1e6)/1e6 + 1
	}
	return 0
}

// Limit is a policy in force.
type Limit struct {
	limiter *Limiter
	index   int
	policy  Policy
}

// Policy is the policy.
func (lim *Limit) Policy() Policy { return lim.policy }

// denyFor is the longest that memory refuses before it asks again, in case the
// storage's clock was set, or a person removed the log.
const denyFor = int64(5 * time.Second)

// Allow decides a request of s. It waits for at most one statement that is under
// way and one of its own; once the storage failed, it waits for nothing. A request
// that is given up while it waits is counted.
func (lim *Limit) Allow(s Subject) Decision { return lim.ask(s, 1) }

// Look decides as Allow would, and counts nothing of s: for what is counted only once it
// is known how it ended. Unless memory refuses, it asks the storage each time. A look
// that is refused is one of the decisions in Stats.
func (lim *Limit) Look(s Subject) Decision {
	d := lim.ask(s, 0)
	if d.Source != Memory && !d.Allowed() { // memory has counted it
		sh, _ := lim.limiter.place(hash(s.ID))
		sh.mu.Lock()
		sh.tallies.add(lim.index, d.Outcome, d.Source, 1)
		sh.mu.Unlock()
	}
	return d
}

// ask decides a request, n 1, or a look, n 0.
func (lim *Limit) ask(s Subject, n int) Decision {
	l := lim.limiter
	h := hash(s.ID)
	sh, ln := l.place(h)
	now := l.mono()
	sh.mu.Lock()
	e := sh.entry(lim, s, h, now)
	if now < e.deny {
		sh.tallies.add(lim.index, Refused, Memory, 1)
		d := Decision{Policy: &lim.policy, Outcome: Refused, Source: Memory, Wait: time.Duration(e.free - now)}
		sh.mu.Unlock()
		return d
	}
	if l.down.Load() {
		v := e.alone(n, now, true)
		sh.mu.Unlock()
		return v.decide(lim, 0, n, now)
	}
	a, lead := e.ask, false
	if a == nil {
		a = &ask{}
		a.done.Add(1)
		e.ask = a
		lead = ln.push(e)
	}
	turn := a.n
	a.n += n
	sh.mu.Unlock()
	if lead {
		l.lead(ln)
	}
	a.done.Wait()
	return a.verdict.decide(lim, turn, n, l.mono())
}

// verdict is what an ask came to, for all who waited for it.
type verdict struct {
	source  Source
	closed  bool // nobody passes, for the storage is down
	granted int  // the first so many pass
	left    int  // for those who come after
	free    int64
}

// decide tells a request its turn's part of the verdict, and a look what is left.
func (v *verdict) decide(lim *Limit, turn, n int, now int64) Decision {
	d := Decision{Policy: &lim.policy, Source: v.source, Wait: max(0, time.Duration(v.free-now))}
	switch {
	case v.closed:
		d.Outcome = Unavailable
	case n == 0 && v.left > 0:
		d.Remaining = v.left
	case n == 0:
		d.Outcome = Refused
	case turn < v.granted:
		d.Remaining = v.left + v.granted - turn - 1
	default:
		d.Outcome = Refused
	}
	return d
}

// Limits lists the policies in force, in the order of the configuration.
func (l *Limiter) Limits() []*Limit {
	all := make([]*Limit, 0, len(l.limits))
	for _, lim := range l.limits {
		all = append(all, lim)
	}
	slices.SortFunc(all, func(a, b *Limit) int { return a.index - b.index })
	return all
}
