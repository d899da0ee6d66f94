// Package lookout watches the monitors: one that misses its passes is told of by those
// that run. Every process that has a monitor has a lookout beside it, which sees also
// the monitors of its own process.
//
// A monitor is a role, filled by any number of processes: it is silent when none of them
// ended a good pass for two of its intervals. One that was told to go is not silent. When
// the last of a role left in order nobody needs to know, unless there is work for it.
//
// Nobody is missed for a time in which nobody could be seen: after this machine slept, or
// the store was away, and after its own start, a lookout counts from there.
package lookout

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

const (
	// passTimeout bounds one pass: a connection that nobody answers must not stop it.
	passTimeout = 10 * time.Second
	// slack is what a pass may take beyond its time before it is missed, at most.
	slack = 5 * time.Second
	// handover is how long nobody may fill a role whose last process left in order: a
	// deploy ends the old one before the new one stands.
	handover = time.Minute
)

// Store is what a lookout needs of a store.
type Store interface {
	job.Passes
	job.Findings
	Now(ctx context.Context) (time.Time, error)
}

// Config describes a lookout. Zero means the default.
type Config struct {
	Store    Store         // required
	Interval time.Duration // between passes; 5 s

	// Waits reports whether there is work that only the monitor would see to. It is asked
	// about a monitor whose last process left in order; nil: there never is.
	Waits func(ctx context.Context, monitor string) (bool, error)

	Log     *slog.Logger // nil: slog.Default()
	Metrics Metrics      // nil: none

	clock func() time.Duration // tests; nil: bootclock.Now
}

// Metrics hears what a lookout sees. Implementations must not block.
type Metrics interface {
	// MonitorSeen tells how long ago a monitor last ended a good pass.
	MonitorSeen(monitor string, age time.Duration)
}

// Lookout repeats passes. One goroutine uses it.
type Lookout struct {
	Config
	failing seldom.Line

	looked time.Duration // when the last good pass began; zero: there was none
	since  time.Time     // nobody is missed for what was before, on the store's clock
}

// New builds a lookout; nothing runs before Run or Pass.
func New(c Config) *Lookout {
	if c.Interval <= 0 {
		c.Interval = 5 * time.Second
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
	return &Lookout{Config: c}
}

// Run repeats passes until ctx ends, with jitter.
func (l *Lookout) Run(ctx context.Context) error {
	for {
		if _, err := l.Pass(ctx); err != nil && ctx.Err() == nil {
			if unsaid, now := l.failing.Say(); now {
				l.Log.WarnContext(ctx, "no look at the monitors, will try again", "error", err.Error(), "unsaid", unsaid)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(l.Interval - time.Duration(rand.Int64N(int64(l.Interval/5)+1))):
		}
	}
}

// Pass looks at the monitors once. A monitor is told of when a second pass finds it
// silent still, and again when it is not any more.
func (l *Lookout) Pass(ctx context.Context) (job.Noted, error) {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	begun := l.clock()
	now, err := l.Store.Now(ctx)
	if err != nil {
		return job.Noted{}, err
	}
	passes, err := l.Store.MonitorPasses(ctx)
	if err != nil {
		return job.Noted{}, err
	}
	if l.looked == 0 || begun-l.looked > 3*l.Interval {
		l.since = now
	}
	l.looked = begun
	look, err := l.look(ctx, roles(passes), now)
	if err != nil {
		return job.Noted{}, err
	}
	noted, err := l.Store.NoteFindings(ctx, look)
	l.tell(ctx, noted)
	return noted, err
}

// role is a monitor as its processes together fill it.
type role struct {
	last   job.MonitorPass // of the process that was last heard of
	goodAt time.Time       // of the latest good pass of any
}

// heard is when a process last said something.
func heard(p job.MonitorPass) time.Time {
	if p.LeftAt.After(p.At) {
		return p.LeftAt
	}
	return p.At
}

func roles(passes []job.MonitorPass) map[string]role {
	rs := map[string]role{}
	for _, p := range passes {
		r, known := rs[p.Monitor]
		if !known || heard(p).After(heard(r.last)) {
			r.last = p
		}
		if p.GoodAt.After(r.goodAt) {
			r.goodAt = p.GoodAt
		}
		rs[p.Monitor] = r
	}
	return rs
}

// look finds the monitors that are silent. Where it is too early to say, the look is
// partial: another lookout, which has been here for longer, may know better.
func (l *Lookout) look(ctx context.Context, rs map[string]role, now time.Time) (job.Look, error) {
	look := job.Look{
		Kind: job.MonitorSilent, Confirm: l.Interval / 2, Each: true,
		Event: job.EventMonitorSilent, Alert: job.AlertMonitorSilent,
	}
	for _, name := range slices.Sorted(maps.Keys(rs)) {
		r := rs[name]
		l.Metrics.MonitorSeen(name, now.Sub(r.good()))
		switch {
		case !r.missed(r.goodAt, now):
			continue
		case !r.missed(l.since, now):
			look.Partial = true
			continue
		}
		missed, err := l.needed(ctx, name, r)
		if err != nil {
			return look, fmt.Errorf("look whether the %s monitor is needed: %w", name, err)
		}
		if missed {
			look.Found = append(look.Found, job.Finding{Kind: job.MonitorSilent, Subject: name, Cause: r.cause(), Since: r.good(), Count: 1})
		}
	}
	return look, nil
}

// needed reports whether somebody should know. Who died is missed; who was told to go
// is missed only where work waits for it.
func (l *Lookout) needed(ctx context.Context, name string, r role) (bool, error) {
	switch {
	case r.last.LeftAt.IsZero():
		return true, nil
	case l.Waits == nil:
		return false, nil
	}
	return l.Waits(ctx, name)
}

// good is when the role ended its latest good pass, or when it was last heard of if it
// never did.
func (r role) good() time.Time {
	if r.goodAt.IsZero() {
		return r.last.At
	}
	return r.goodAt
}

// missed reports whether the role missed two passes since it was heard of last, but
// nothing from before since.
func (r role) missed(since, now time.Time) bool {
	every := r.last.Every
	if every <= 0 {
		return false // of a release that did not say how often it looks
	}
	last, patience := r.goodAt, 2*every+min(every/2, slack)
	if !r.last.LeftAt.IsZero() {
		last, patience = r.last.LeftAt, max(patience, handover)
	}
	if last.Before(since) {
		last = since
	}
	return now.Sub(last) > patience
}

func (r role) cause() string {
	p := r.last
	switch {
	case !p.LeftAt.IsZero():
		return fmt.Sprintf("the last one left at %s, and work waits for one", stamp(p.LeftAt))
	case p.Error != "":
		return fmt.Sprintf("no good pass since %s on %s, pid %d: %s", stamp(r.good()), p.Host, p.PID, p.Error)
	}
	return fmt.Sprintf("no pass since %s on %s, pid %d", stamp(r.good()), p.Host, p.PID)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func (l *Lookout) tell(ctx context.Context, n job.Noted) {
	for _, f := range n.Told {
		l.Log.ErrorContext(ctx, "monitor is silent", "monitor", f.Subject, "cause", f.Cause)
	}
	for _, f := range n.Gone {
		l.Log.InfoContext(ctx, "monitor looks again", "monitor", f.Subject)
	}
}

type noMetrics struct{}

func (noMetrics) MonitorSeen(string, time.Duration) {}
