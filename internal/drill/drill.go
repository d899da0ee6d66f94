package drill

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Store is what a drill needs of the store.
type Store interface {
	job.Store
	Submissions(ctx context.Context, order job.ID) ([]directory.Submission, error)
	Arrivals(ctx context.Context, order job.ID) ([]directory.Arrival, error)
}

// Database is a database server that the drill's stack started itself.
type Database interface {
	Restart() error
	// Jump moves its clock so far from the real one.
	Jump(d time.Duration) error
	// Address is its host and port.
	Address() string
}

// Canary describes the canary that a drill places.
type Canary struct {
	Directories int
	Hold        time.Duration // each effect takes so long
	Hang        bool
	Only        string // the worker of this name runs the first attempt
}

// Worker describes a worker of our own.
type Worker struct {
	Name     string // as Canary.Only has it; the part before the slash is its role
	Database string // host and port at which it shall reach the database; empty: as everybody
	Eager    bool   // it looks for work all the time, to have its canary before others
}

// Config describes a drill. All fields are required unless said otherwise.
type Config struct {
	Scenario Scenario
	Store    Store
	Canary   func(ctx context.Context, c Canary) (job.Spec, error)

	// Worker is the command of a worker of our own that performs canaries alone. It
	// ends with its standard input.
	Worker func(w Worker) *exec.Cmd

	// Monitor is the command of a stale monitor of our own; nil: the system's own must
	// be at work.
	Monitor func() *exec.Cmd

	Database Database // nil: not ours, so scenarios that strike it are refused

	Lease    time.Duration // as workers and monitors of the stack are set
	Interval time.Duration // between two looks of a monitor
	Stall    time.Duration // without progress, until a job is taken from its worker

	Say func(step Step) // hears each step when it is taken; nil: nobody
}

// Step is one line of a drill's story.
type Step struct {
	At   time.Duration `json:"at_ns"` // since the drill began
	Text string        `json:"text"`
}

const (
	directories = 6                      // of a canary
	hold        = 200 * time.Millisecond // of each of its effects
	look        = 2 * time.Millisecond   // between two looks at the store
	slack       = 15 * time.Second       // on a busy machine, beside what the settings promise
	overdue     = 5 * time.Second        // a monitor whose last pass is younger counts as at work
	startup     = 60 * time.Second       // for a worker to register
	waking      = 30 * time.Second       // for a worker that lost its lease to notice
	meeting     = 2 * time.Second        // for a death-watch, which looks around once a second, to know a new worker
)

// ErrNotOurs: the scenario strikes what others use.
var ErrNotOurs = errors.New("works only on a stack that the drill starts itself")

// ErrUnwatched: no stale monitor is at work, so nobody would take a job back.
var ErrUnwatched = errors.New("no stale monitor is at work")

// drill is one run.
type drill struct {
	Config
	ctx   context.Context
	began time.Time

	report   Report
	children []*child
	victim   *child
	standIn  *child
	monitor  *child
	proxy    *Proxy
	struck   time.Time
	lease    job.Lease // of the attempt that is struck
}

// Run performs a drill and cleans up after it, also when ctx ends. A promise that
// broke is in the report; an error means that the drill could not be performed.
func Run(ctx context.Context, c Config) (Report, error) {
	if c.Scenario.Own && c.Database == nil {
		return Report{}, fmt.Errorf("drill %s: %w", c.Scenario.Name, ErrNotOurs)
	}
	if c.Say == nil {
		c.Say = func(Step) {}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit(), fmt.Errorf("drill %s: not over after %s", c.Scenario.Name, c.limit()))
	defer cancel()
	d := &drill{Config: c, ctx: ctx, began: time.Now(), report: Report{Drill: c.Scenario.Name, Own: c.Monitor != nil}}
	defer d.cleanUp()
	if err := d.perform(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return d.report, err
	}
	d.judge()
	return d.report, nil
}

// limit ends a drill that hangs, whatever hangs.
func (c Config) limit() time.Duration { return 3*c.patience() + 2*startup + waking }

// patience is how long the next attempt may take: what the settings promise, and slack.
func (c Config) patience() time.Duration {
	promised := c.Lease + 2*c.Interval
	if c.Scenario.hang {
		promised = max(c.Stall, c.Lease) + 2*c.Interval
	}
	return promised + slack
}

func (d *drill) perform() error {
	if err := d.stage(); err != nil {
		return err
	}
	err := d.act()
	if err == nil && d.Scenario.mend != nil {
		err = d.Scenario.mend(d)
	}
	if late := (*timeoutError)(nil); !d.struck.IsZero() && errors.As(err, &late) {
		d.broke("%s", late.Error()) // what did not come in time after the fault is what we are here to find
		return nil
	}
	return err
}

// stage starts what the drill needs: the worker to be struck and one more.
func (d *drill) stage() (err error) {
	if d.Monitor != nil {
		if d.monitor, err = d.start(d.Monitor()); err != nil {
			return err
		}
	} else if err := d.watched(); err != nil {
		return err
	}
	address := ""
	if d.Scenario.Name == Partition.Name {
		if d.proxy, err = NewProxy(d.Database.Address()); err != nil {
			return err
		}
		address = d.proxy.Address()
	}
	if d.victim, err = d.recruit("victim", Worker{Database: address, Eager: true}); err != nil {
		return err
	}
	if d.standIn, err = d.recruit("stand-in", Worker{}); err != nil || d.Scenario.Name != Kill.Name {
		return err
	}
	select { // whoever dies younger is found by its lease, and nothing is learnt of the watch
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	case <-time.After(meeting):
		return nil
	}
}

// watched makes sure that somebody would take a job back.
func (d *drill) watched() error {
	passes, err := d.Store.MonitorPasses(d.ctx)
	if err != nil {
		return err
	}
	now, err := d.Store.Now(d.ctx)
	if err != nil {
		return err
	}
	for _, p := range passes {
		if p.Monitor == job.MonitorStale && now.Sub(p.GoodAt) < max(5*d.Interval, overdue) {
			d.say("a stale monitor is at work on %s, pid %d", p.Host, p.PID)
			return nil
		}
	}
	return ErrUnwatched
}

// act places a canary, strikes in the middle of it, and follows it to its end.
func (d *drill) act() error {
	id, err := d.place()
	if err != nil {
		return err
	}
	if err := d.awaitIntent(id); err != nil {
		return err
	}
	d.struck = time.Now()
	if err := d.Scenario.strike(d); err != nil {
		return err
	}
	return d.follow(id)
}

// place enqueues a canary for the worker that will be struck.
func (d *drill) place() (job.ID, error) {
	spec, err := d.Canary(d.ctx, Canary{Directories: directories, Hold: hold, Hang: d.Scenario.hang, Only: d.victim.name})
	if err != nil {
		return job.ID{}, err
	}
	placed, err := d.Store.Enqueue(d.ctx, spec)
	if err != nil {
		return job.ID{}, fmt.Errorf("place a canary: %w", err)
	}
	d.report.Canaries = append(d.report.Canaries, CanaryReport{JobID: placed[0].ID, Quota: directories})
	d.say("canary %s placed, %d directories", placed[0].ID, directories)
	return placed[0].ID, nil
}

// awaitIntent waits until the worker to be struck is between an intent and its
// outcome; but for a hanging handler not at the first one.
func (d *drill) awaitIntent(id job.ID) error {
	var j job.Job
	err := d.until(startup, "the canary to be in the middle of an effect", func() (bool, error) {
		var err error
		if j, err = d.Store.Job(d.ctx, id); err != nil || j.State != job.InProgress {
			return false, err
		}
		if _, err := d.identify(d.victim); err != nil || !d.victim.is(j.WorkerID) {
			return false, err
		}
		subs, err := d.Store.Submissions(d.ctx, id)
		settled, open := 0, false
		for _, s := range subs {
			switch {
			case s.State == directory.Submitting && s.Fence == j.Fence:
				open = true
			case !s.State.Open():
				settled++
			}
		}
		return open && (settled > 0 || d.Scenario.hang), err
	})
	if err != nil {
		return err
	}
	d.lease = j.Lease()
	d.report.Worker = j.WorkerID
	d.say("worker %s (pid %d) is between an intent and its outcome, fence %d", j.WorkerID, d.victim.pid(), j.Fence)
	return nil
}

// say tells a step.
func (d *drill) say(format string, args ...any) {
	s := Step{time.Since(d.began), fmt.Sprintf(format, args...)}
	d.report.Steps = append(d.report.Steps, s)
	d.Say(s)
}

// until asks again and again until done answers true. A store that does not answer at
// this moment is asked again: it may be what is being drilled.
func (d *drill) until(patience time.Duration, what string, done func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := done()
		if ok {
			return nil
		}
		if stop := (*stopError)(nil); errors.As(err, &stop) {
			return stop.error
		}
		if d.ctx.Err() != nil {
			return context.Cause(d.ctx)
		}
		if time.Now().After(deadline) {
			return &timeoutError{what, patience, err}
		}
		select {
		case <-d.ctx.Done():
		case <-time.After(look):
		}
	}
}

// stopError ends a wait at once: what is waited for cannot come any more.
type stopError struct{ error }

// timeoutError tells what did not come.
type timeoutError struct {
	what     string
	patience time.Duration
	last     error // the store's, if it did not answer
}

func (e *timeoutError) Error() string {
	text := fmt.Sprintf("waited %s for %s", e.patience, e.what)
	if e.last != nil {
		text += ": " + e.last.Error()
	}
	return text
}

// cleanUp ends what the drill started, and leaves no canary behind.
func (d *drill) cleanUp() {
	for _, c := range d.children {
		c.end()
	}
	if d.proxy != nil {
		d.proxy.Close()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), 5*time.Second)
	defer cancel()
	if d.Database != nil {
		_ = d.Database.Jump(0)
	}
	for _, c := range d.report.Canaries {
		if c.State.Final() {
			continue
		}
		// The workers of the system may finish it meanwhile; then there is nothing to cancel.
		_ = d.Store.Cancel(ctx, c.JobID, job.By{Actor: job.ActorSystem, Reason: "the drill is over"})
	}
}
