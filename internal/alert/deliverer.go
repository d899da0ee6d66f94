package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

// DelivererConfig describes a deliverer. Zero means the default.
type DelivererConfig struct {
	Store     Store // required
	Notifiers []Notifier

	Interval  time.Duration  // between two looks at an idle channel; 500 ms
	Timeout   time.Duration  // of one try; 10 s
	Hide      time.Duration  // how long a message on its way is nobody else's; 1 min
	Pace      time.Duration  // between two messages on a channel; 1 s, as Slack wants it
	Backoff   backoff.Policy // after failures in a row; 1 s up to 1 min, never less than half of it
	Probe     time.Duration  // between two tries at a channel that refuses everything; 15 min
	LateAfter time.Duration  // a message says that it is late; 2 min
	DownAfter time.Duration  // of failures, before the other channels hear of it; 5 min
	Refusals  int            // of one message, before it is parked and tried every Probe only; 3

	Log     *slog.Logger     // nil: slog.Default()
	Metrics DelivererMetrics // nil: none
}

// DelivererMetrics hears what a deliverer did. Implementations must not block.
type DelivererMetrics interface {
	AlertSent(channel, outcome string)
	AlertBacklog(channel string, waiting int64, age time.Duration, parked int64)
}

// Deliverer sends what the gate has decided to say.
type Deliverer struct {
	DelivererConfig
	wake    map[string]chan struct{} // by channel
	failing seldom.Line
}

// NewDeliverer builds a deliverer; nothing runs before Run or Send.
func NewDeliverer(c DelivererConfig) *Deliverer {
	for _, d := range []struct {
		field *time.Duration
		zero  time.Duration
	}{
		{&c.Interval, 500 * time.Millisecond}, {&c.Timeout, 10 * time.Second}, {&c.Hide, time.Minute}, {&c.Pace, time.Second},
		{&c.Probe, 15 * time.Minute}, {&c.LateAfter, 2 * time.Minute}, {&c.DownAfter, 5 * time.Minute},
		{&c.Backoff.Base, time.Second}, {&c.Backoff.Cap, time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.zero
		}
	}
	c.Hide = max(c.Hide, 2*c.Timeout)
	if c.Refusals <= 0 {
		c.Refusals = 3
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noDelivererMetrics{}
	}
	d := &Deliverer{DelivererConfig: c, wake: map[string]chan struct{}{}}
	for _, n := range c.Notifiers {
		d.wake[n.Channel()] = make(chan struct{}, 1)
	}
	return d
}

// Wake tells that there may be something to send. It never blocks.
func (d *Deliverer) Wake() {
	for _, w := range d.wake {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// Run sends on every channel until ctx ends. What is on its way then is waited for:
// an answer that nobody hears would be a message repeated.
func (d *Deliverer) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, n := range d.Notifiers {
		running.Go(func() { d.serve(ctx, n) })
	}
	running.Go(func() { d.measure(ctx) })
	running.Wait()
	return nil
}

func (d *Deliverer) serve(ctx context.Context, n Notifier) {
	for known := false; ctx.Err() == nil; {
		var sent bool
		var err error
		if !known {
			err = d.introduce(ctx, n)
			known = err == nil
		}
		if err == nil {
			sent, err = d.look(ctx, n)
		}
		if err != nil && ctx.Err() == nil {
			if unsaid, now := d.failing.Say(); now {
				d.Log.WarnContext(ctx, "alerts cannot be delivered, will try again", "channel", n.Channel(), "error", err.Error(), "unsaid", unsaid)
			}
		}
		wait := d.Interval/2 + rand.N(d.Interval/2+1)
		if sent {
			wait = min(wait, d.Pace)
		}
		select {
		case <-ctx.Done():
		case <-d.wake[n.Channel()]:
		case <-time.After(wait):
		}
	}
}

// look reads before it writes: an idle channel costs one small read.
func (d *Deliverer) look(ctx context.Context, n Notifier) (sent bool, err error) {
	reading, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sendable, err := d.Store.Sendable(reading, n.Channel())
	if err != nil || !sendable {
		return false, err
	}
	return d.Send(ctx, n)
}

// introduce tells the store where the channel leads. A new target is a new chance.
func (d *Deliverer) introduce(ctx context.Context, n Notifier) error {
	return d.update(ctx, "remember channel "+n.Channel(), func(tx Tx) error {
		c, err := tx.Channel(n.Channel())
		if err != nil || c.Target == n.Target() {
			return err
		}
		c.Target, c.NextAt, c.Failures, c.HeldAt = n.Target(), time.Time{}, 0, time.Time{}
		return tx.SaveChannel(c)
	})
}

// Reopen gives a channel that just took a message its chance at once.
func Reopen(ctx context.Context, s Store, channel string) error {
	return s.Update(ctx, func(tx Tx) error {
		c, err := tx.Channel(channel)
		if err != nil || c.Target == "" {
			return err // nobody ever used it
		}
		c.NextAt = time.Time{}
		return tx.SaveChannel(c)
	})
}

// Send takes one message of the channel, tries it and records what came of it. It
// reports whether there was one to try.
func (d *Deliverer) Send(ctx context.Context, n Notifier) (bool, error) {
	t, err := d.take(ctx, n.Channel())
	if errors.Is(err, job.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// The end of ctx does not cut off what was begun: see Run.
	kept := context.WithoutCancel(ctx)
	sending, cancel := context.WithTimeout(kept, d.Timeout)
	receipt := n.Send(sending, t.post)
	cancel()
	d.Metrics.AlertSent(n.Channel(), string(receipt.Outcome))
	d.report(kept, n.Channel(), t, receipt)
	return true, d.conclude(kept, t, receipt)
}

// taken is a message on its way.
type taken struct {
	id      job.ID
	attempt int
	doubt   time.Time // before this attempt
	post    Post
}

// take finds the next message and records that an attempt begins.
func (d *Deliverer) take(ctx context.Context, channel string) (t taken, err error) {
	err = d.update(ctx, "take a message for "+channel, func(tx Tx) error {
		c, err := tx.Channel(channel)
		if err != nil {
			return err
		}
		now := tx.Now()
		if c.NextAt.After(now) {
			return job.ErrNotFound
		}
		next, err := tx.Next(channel)
		if err != nil {
			return err
		}
		t = taken{id: next.ID, attempt: next.Attempts + 1, doubt: next.DoubtAt}
		t.post = Post{ID: next.ID, Message: next.Message, At: now, Repeat: next.DoubtAt, Plain: next.Refusals > 0}
		if late := now.Sub(next.DueAt); late > d.LateAfter {
			t.post.Late = late
		}
		next.Attempts, next.NextAt = t.attempt, now.Add(d.Hide)
		if next.DoubtAt.IsZero() {
			next.DoubtAt = now
		}
		if err := tx.SaveDelivery(next); err != nil {
			return err
		}
		c.NextAt = now.Add(d.Pace)
		return tx.SaveChannel(c)
	})
	return t, err
}

// conclude records the answer. The store may be away just now; a message whose answer
// is lost would be repeated, so this goes on for a while.
func (d *Deliverer) conclude(ctx context.Context, t taken, r Receipt) error {
	ctx, cancel := context.WithTimeout(ctx, min(d.Hide-d.Timeout, 2*callTimeout))
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := d.update(ctx, "record the answer of "+t.id.String(), func(tx Tx) error {
			return (&ending{d, tx, t, r}).record()
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func (d *Deliverer) update(ctx context.Context, act string, f func(Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := d.Store.Update(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}

func (d *Deliverer) report(ctx context.Context, channel string, t taken, r Receipt) {
	attrs := []any{"channel", channel, "alert", t.post.Message.Kind, "group", t.post.Message.Group,
		"reason", string(t.post.Message.Reason), "attempt", t.attempt}
	switch r.Outcome {
	case Delivered:
		d.Log.InfoContext(ctx, "alert delivered", append(attrs, "late", t.post.Late)...)
	case Retry:
		d.Log.WarnContext(ctx, "alert not delivered, will try again", append(attrs, "cause", r.Cause, "after", r.After)...)
	default:
		d.Log.ErrorContext(ctx, "alert refused", append(attrs, "outcome", string(r.Outcome), "cause", r.Cause)...)
	}
}

// measureEvery is the time between two looks at what waits, for the metrics.
const measureEvery = 10 * time.Second

func (d *Deliverer) measure(ctx context.Context) {
	for {
		if backlogs, err := d.Store.Backlogs(ctx); err == nil {
			for _, b := range backlogs {
				age := time.Duration(0)
				if !b.OldestDue.IsZero() {
					age = max(time.Since(b.OldestDue), 0)
				}
				d.Metrics.AlertBacklog(b.Name, b.Waiting, age, b.Parked)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(measureEvery):
		}
	}
}

type noDelivererMetrics struct{}

func (noDelivererMetrics) AlertSent(string, string)                         {}
func (noDelivererMetrics) AlertBacklog(string, int64, time.Duration, int64) {}
