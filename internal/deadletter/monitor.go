package deadletter

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

const (
	// callTimeout bounds one call of the store or of the queue.
	callTimeout = 20 * time.Second
	// leaveTimeout bounds the goodbye: it must not hold up a process that shall end.
	leaveTimeout = 2 * time.Second
	// expiringWithin is how long before a letter is deleted people are warned.
	expiringWithin = 48 * time.Hour
)

// Store is what the monitor needs of the store.
type Store interface {
	job.Letters
	job.Postbox
	job.Teller
	job.Passes
	Now(ctx context.Context) (time.Time, error)
}

// Config describes a monitor. Zero means the default.
type Config struct {
	Store    Store             // required
	Queue    queue.DeadLetters // nil: letters are in the store alone
	Alerts   Alerts            // what people were told; nil: not known
	Rollups  job.Rollups       // keeps sums for reports; nil: nobody does
	Interval time.Duration     // between two checks; 5 min
	Tend     time.Duration     // between two looks at the store alone; 1 s
	Log      *slog.Logger      // nil: slog.Default()
	Metrics  Metrics           // nil: none
}

// Metrics hears what a check saw. Implementations must not block.
type Metrics interface {
	DeadLetters(d job.LetterDepth)
	QueuedDeadLetters(n int64)
	DLQPass(took time.Duration, err error)
}

// Monitor repeats checks. One goroutine uses it.
type Monitor struct {
	Config
	failing seldom.Line
	proof   proof
	blind   blindness
	rest    time.Time // no copies are sent before: the queue refused the last
}

// New builds a monitor; nothing runs before Run or Check.
func New(c Config) *Monitor {
	if c.Interval <= 0 {
		c.Interval = 5 * time.Minute
	}
	if c.Tend <= 0 {
		c.Tend = time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	return &Monitor{Config: c, proof: newProof()}
}

// Result tells what a check saw and did.
type Result struct {
	Depth   job.LetterDepth
	Queued  queue.Depth // of the dead letter queue, an estimate
	Settled int64       // redriven letters whose fate was found
	Closed  int         // groups told closed
	Copied  int         // letters sent to the dead letter queue
	Kept    int         // messages that name no job of ours, kept in the store
	Stale   int         // messages deleted because nothing is open about them
	Warned  int64       // letters that the queue deletes soon
	Expired int64
}

// Run checks until ctx ends, and in between, every second, sees to what the store
// alone shows: a new letter gets its copy, a redriven one its fate. Checks have
// jitter, so that several monitors do not march in step; one that takes longer than
// the interval is followed by the next, never overtaken.
func (m *Monitor) Run(ctx context.Context) error {
	next := time.Now()
	for {
		if !time.Now().Before(next) {
			_, err := m.Check(ctx)
			m.complain(ctx, err)
			next = time.Now().Add(m.Interval - rand.N(m.Interval/10+1))
		} else {
			var r Result
			m.complain(ctx, m.tend(ctx, &r))
		}
		select {
		case <-ctx.Done():
			m.leave(ctx)
			return nil
		case <-time.After(min(m.Tend, time.Until(next))):
		}
	}
}

// complain logs a failure, once a minute at most.
func (m *Monitor) complain(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	if unsaid, now := m.failing.Say(); now {
		m.Log.WarnContext(ctx, "dead letter check failed, will try again", "error", err.Error(), "unsaid", unsaid)
	}
}

// Check is one whole pass: the store, the dead letter queue, and the proof of both. A
// fault of one part does not keep the others from being done.
func (m *Monitor) Check(ctx context.Context) (Result, error) {
	begun := time.Now()
	var r Result
	tidied := m.tidy(ctx)
	tended, looked := m.tend(ctx, &r), m.see(ctx, &r)
	err := errors.Join(tidied, tended, m.retell(ctx), m.measure(ctx, &r))
	// What a look came to has a record of its own: a monitor that sees nothing is well.
	err = errors.Join(err, looked, m.record(ctx, r, time.Since(begun), err))
	m.Metrics.DLQPass(time.Since(begun), err)
	m.report(ctx, r)
	return r, err
}

// see looks into the dead letter queue, where there is one, and says when nobody does.
func (m *Monitor) see(ctx context.Context, r *Result) error {
	if m.Queue == nil {
		return nil
	}
	begun := time.Now()
	looked := m.look(ctx, r)
	faults := []error{looked, m.sight(ctx, looked)}
	if looked == nil {
		faults = append(faults, m.expire(ctx, r))
	}
	return errors.Join(append(faults, m.recordLook(ctx, time.Since(begun), looked))...)
}

// measure counts what is open.
func (m *Monitor) measure(ctx context.Context, r *Result) (err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if r.Depth, err = m.Store.LetterDepth(ctx); err == nil {
		m.Metrics.DeadLetters(r.Depth)
	}
	return err
}

type noMetrics struct{}

func (noMetrics) DeadLetters(job.LetterDepth)  {}
func (noMetrics) QueuedDeadLetters(int64)      {}
func (noMetrics) DLQPass(time.Duration, error) {}
