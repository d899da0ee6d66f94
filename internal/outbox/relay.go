// Package outbox carries committed outbox rows of kind hint to the queue. A row was
// written with the change that made its job due, so a hint is as certain as the
// change; it is marked sent only when the queue accepted it. Whatever breaks between,
// the row is taken again: a hint may be doubled, and none is lost.
//
// Any number of relays may run; takes hide rows from each other. A hint for later,
// after a backoff or a snooze, waits in the outbox until its job is due, however
// long that is: the queue's own delay ends at 15 minutes. Alerts are not carried
// here.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/seldom"
)

// Store is what a relay needs of a job store.
type Store interface {
	job.Outbox
	job.Waker
	Standings(ctx context.Context, ids ...job.ID) ([]job.Standing, error)
}

const (
	batch = 100
	// hide is how long taken rows are hidden; who dies with them delays them so long.
	hide = 30 * time.Second
	// passTimeout ends the sending before the rows are visible again.
	passTimeout = 20 * time.Second
	markTimeout = 5 * time.Second
	endTimeout  = 5 * time.Second // for a pass under way when the relay is told to go
)

// retry is the backoff of a hint that was refused, and of the relay while all are.
var retry = backoff.Policy{Base: time.Second, Cap: hide}

// Config describes a relay. Zero means the default.
type Config struct {
	Store    Store         // required
	Lanes    queue.Lanes   // required
	Interval time.Duration // between passes when nothing wakes it; 1 s
	Log      *slog.Logger  // nil: slog.Default()
	Metrics  Metrics       // nil: none
}

// Metrics hears what a relay does. Implementations must not block.
type Metrics interface {
	// HintsRelayed tells of n hints that were sent, not needed any more or refused.
	HintsRelayed(outcome string, n int)
}

// Outcomes of a hint.
const (
	Sent     = "sent"
	Unneeded = "unneeded" // its job has ended meanwhile
	Refused  = "refused"  // by the queue; it will be tried again
)

// Relay repeats passes. One goroutine uses it.
type Relay struct {
	Config
	failing seldom.Line
}

// NewRelay builds a relay; nothing runs before Run or Pass.
func NewRelay(c Config) *Relay {
	if c.Interval <= 0 {
		c.Interval = time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	return &Relay{Config: c}
}

// Result tells what a pass did with the hints it took.
type Result struct{ Taken, Sent, Unneeded, Refused int }

// Run repeats passes until ctx ends: at once while there is much to carry, after
// a backoff while the queue refuses. A pass under way is brought to its end.
func (r *Relay) Run(ctx context.Context) error {
	awake := r.Store.Wake(ctx)
	finishing, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	context.AfterFunc(ctx, func() { time.AfterFunc(endTimeout, cut) })
	for failures := 0; ctx.Err() == nil; {
		result, err := r.Pass(finishing)
		wake, wait := awake, r.Interval
		if err != nil {
			failures++
			wake, wait = nil, max(r.Interval, retry.Delay(failures))
			if unsaid, now := r.failing.Say(); now {
				r.Log.WarnContext(ctx, "hints not relayed, will try again", "error", err.Error(), "refused", result.Refused, "unsaid", unsaid)
			}
		} else if failures > 0 {
			r.Log.InfoContext(ctx, "hints are relayed again", "failed", failures)
			failures = 0
		}
		if err == nil && result.Taken == batch {
			continue
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-time.After(wait):
		}
	}
	return nil
}

// Pass carries one batch. The error is for the store or the queue; what was sent
// before it is in the result.
func (r *Relay) Pass(ctx context.Context) (result Result, err error) {
	sending, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	taken, err := r.Store.TakeMessages(sending, job.MessageHint, batch, hide)
	result.Taken = len(taken)
	if err != nil || len(taken) == 0 {
		return result, err
	}
	load, done, err := r.sort(sending, taken)
	if err != nil {
		return result, err
	}
	result.Unneeded = len(done)
	accepted, err := r.send(sending, load)
	result.Sent = len(accepted)
	result.Refused = len(taken) - result.Unneeded - result.Sent
	r.count(result)
	// Even when the time to send is over, what was sent is to be marked.
	marking, stop := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
	defer stop()
	ended := append(done, accepted...)
	return result, errors.Join(err, r.Store.MarkSent(marking, ended...), r.putOff(marking, taken, ended))
}

// putOff lets what was refused be taken again after a backoff, that of the oldest of
// them. Where that fails it is taken again when it is no longer hidden.
func (r *Relay) putOff(ctx context.Context, taken []job.Message, ended []job.ID) error {
	refused, tries := taken[:0], 1
	for _, m := range taken {
		if !slices.Contains(ended, m.ID) {
			refused, tries = append(refused, m), max(tries, m.Attempts)
		}
	}
	_, err := r.Store.HideMessages(ctx, retry.Delay(tries), refused...)
	return err
}

func (r *Relay) count(result Result) {
	r.Metrics.HintsRelayed(Sent, result.Sent)
	r.Metrics.HintsRelayed(Unneeded, result.Unneeded)
	r.Metrics.HintsRelayed(Refused, result.Refused)
}

// sort makes hints of rows, for the queue of their job's priority, and tells which
// rows need not be carried: their job has ended, or is gone.
func (r *Relay) sort(ctx context.Context, taken []job.Message) (load map[queue.Queue][]queue.Outgoing, unneeded []job.ID, err error) {
	ids := make([]job.ID, len(taken))
	for i, m := range taken {
		ids[i] = jobOf(m)
	}
	stand, err := r.Store.Standings(ctx, ids...)
	if err != nil {
		return nil, nil, err
	}
	jobs := make(map[job.ID]job.Standing, len(stand))
	for _, s := range stand {
		jobs[s.ID] = s
	}
	load = map[queue.Queue][]queue.Outgoing{}
	for i, m := range taken {
		j, known := jobs[ids[i]]
		if !known || j.State.Final() {
			unneeded = append(unneeded, m.ID)
			continue
		}
		lane, takenAt := r.Lanes.For(j.Priority), m.NotBefore.Add(-hide) // on the store's clock
		load[lane] = append(load[lane], queue.Outgoing{
			ID:   m.ID,
			Hint: queue.Hint{JobID: j.ID, CustomerID: j.CustomerID, Priority: j.Priority, RelayedAt: takenAt},
		})
	}
	return load, unneeded, nil
}

// jobOf is the job of a hint; zero, which no job has, when it cannot be read.
func jobOf(m job.Message) job.ID {
	var hint struct {
		JobID job.ID `json:"job_id"`
	}
	if json.Unmarshal(m.Payload, &hint) != nil {
		return job.ID{}
	}
	return hint.JobID
}

// send offers each queue its hints and returns the rows that were accepted.
func (r *Relay) send(ctx context.Context, load map[queue.Queue][]queue.Outgoing) (accepted []job.ID, err error) {
	var faults []error
	for lane, hints := range load {
		var refused int
		var first error
		for i, err := range lane.Send(ctx, hints...) {
			if err == nil {
				accepted = append(accepted, hints[i].ID)
				continue
			}
			if refused++; first == nil {
				first = err
			}
		}
		if first != nil {
			faults = append(faults, fmt.Errorf("send %d of %d hints to the queue %s: %w", refused, len(hints), lane.Name(), first))
		}
	}
	return accepted, errors.Join(faults...)
}

type noMetrics struct{}

func (noMetrics) HintsRelayed(string, int) {}
