package alert

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

// Audience is a channel as the gate knows it.
type Audience struct {
	Channel string
	Least   Severity // of what it hears; empty: everything
}

// hears reports whether a message about an alert of that name is for the audience. Of
// itself being down a channel hears nothing: it could not, and when it can it is not
// true any more.
func (c Audience) hears(m Message, name string) bool {
	own := m.Kind == job.AlertChannelDown && (name == c.Channel || strings.HasPrefix(name, c.Channel+":"))
	return !own && (c.Least == "" || m.Severity.AtLeast(c.Least))
}

// GateConfig describes a gate. Zero means the default.
type GateConfig struct {
	Store     Store         // required
	Audiences []Audience    // none: alerts are kept, and told when there is one
	Threshold int64         // unresolved dead letters from which on people are told; 1
	Interval  time.Duration // between two looks; 500 ms
	Settle    time.Duration // after the first of a group, so that a flood is one message; 1 s
	Spacing   time.Duration // between two messages of a group, but for its end; 4 min
	Burst     int           // single messages of a kind within Spacing; more become a digest; 5
	Gather    time.Duration // between two digests of what nobody has heard of yet; 30 s
	Reminders []time.Duration
	Quiet     time.Duration // after which what only passes counts as over; 1 h
	Log       *slog.Logger  // nil: slog.Default()
	Metrics   GateMetrics   // nil: none
	Wake      func()        // called when there is something to deliver; nil: nobody
}

// GateMetrics hears what a gate did. Implementations must not block.
type GateMetrics interface {
	AlertsRaised(kind string, n int)
	GatePass(took time.Duration, err error)
}

// Gate turns notices into alerts and decides what is said. Any number may run: the
// work is done once.
type Gate struct {
	GateConfig
	failing seldom.Line
}

// NewGate builds a gate; nothing runs before Run or Pass.
func NewGate(c GateConfig) *Gate {
	c.Threshold = max(c.Threshold, 1)
	for _, d := range []struct {
		field *time.Duration
		zero  time.Duration
	}{{&c.Interval, 500 * time.Millisecond}, {&c.Settle, time.Second}, {&c.Spacing, 4 * time.Minute}, {&c.Gather, 30 * time.Second}, {&c.Quiet, time.Hour}} {
		if *d.field <= 0 {
			*d.field = d.zero
		}
	}
	if c.Burst <= 0 {
		c.Burst = 5
	}
	if len(c.Reminders) == 0 {
		c.Reminders = []time.Duration{time.Hour, 4 * time.Hour, 24 * time.Hour}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noGateMetrics{}
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	return &Gate{GateConfig: c}
}

// callTimeout bounds one call of the store.
const callTimeout = 10 * time.Second

// Run repeats passes until ctx ends. It looks before it writes: an idle gate costs
// one small read.
func (g *Gate) Run(ctx context.Context) error {
	for {
		if err := g.look(ctx); err != nil && ctx.Err() == nil {
			if unsaid, now := g.failing.Say(); now {
				g.Log.WarnContext(ctx, "alerts cannot be brought up to date, will try again", "error", err.Error(), "unsaid", unsaid)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(g.Interval/2 + rand.N(g.Interval/2+1)):
		}
	}
}

func (g *Gate) look(ctx context.Context) error {
	begun := time.Now()
	unread, due, err := g.pending(ctx)
	if err == nil && !unread && (!due || len(g.Audiences) == 0) {
		return nil
	}
	if err == nil {
		_, err = g.Pass(ctx)
	}
	g.Metrics.GatePass(time.Since(begun), err)
	return err
}

func (g *Gate) pending(ctx context.Context) (unread, due bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return g.Store.Pending(ctx)
}

// Passed tells what a pass did.
type Passed struct {
	Read       int // notices
	Raised     []Alert
	Resolved   []Alert
	Deliveries int
}

// Bounds of one pass, which is one transaction; what is left is for the next.
const (
	noticesPage = 200
	noticesMost = 10_000
	dueMost     = 5000
)

// Pass reads the notices there are and says what is due.
func (g *Gate) Pass(ctx context.Context) (Passed, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*callTimeout)
	defer cancel()
	var r round
	err := g.Store.Update(ctx, func(tx Tx) error {
		r = round{Gate: g, Tx: tx, now: tx.Now()}
		return r.pass()
	})
	if err != nil {
		return Passed{}, fmt.Errorf("read notices and say what is due: %w", err)
	}
	g.report(ctx, r.Passed)
	return r.Passed, nil
}

func (g *Gate) report(ctx context.Context, p Passed) {
	for _, a := range p.Raised {
		g.Metrics.AlertsRaised(a.Kind, 1)
	}
	const few = 10
	for _, a := range p.Raised[:min(len(p.Raised), few)] {
		g.Log.WarnContext(ctx, "alert raised", "alert_id", a.ID, "alert", a.Kind, "group", a.Group, "severity", string(a.Severity))
	}
	if n := len(p.Raised) - few; n > 0 {
		g.Log.WarnContext(ctx, "more alerts raised", "count", n)
	}
	for _, a := range p.Resolved[:min(len(p.Resolved), few)] {
		g.Log.InfoContext(ctx, "alert resolved", "alert_id", a.ID, "alert", a.Kind, "group", a.Group)
	}
	if n := len(p.Resolved) - few; n > 0 {
		g.Log.InfoContext(ctx, "more alerts resolved", "count", n)
	}
	if p.Deliveries > 0 {
		g.Wake()
	}
}

type noGateMetrics struct{}

func (noGateMetrics) AlertsRaised(string, int)      {}
func (noGateMetrics) GatePass(time.Duration, error) {}
