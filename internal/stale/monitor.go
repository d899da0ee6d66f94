// Package stale is the stale job monitor: it finds workers that are dead or
// frozen, retires them, and gives their jobs to live ones. One pass may run in any
// number of processes at once; the store sees to it that the work is done once.
//
// Its detectors are the lease, which finds workers that died or froze, and progress,
// which finds handlers that hang in a worker that is well. Others join the same pass.
//
// When four workers or more, and more than half, seem dead at once, a storm is open and
// nobody is retired by the lease for a minute at most, see [job.Storm].
//
// Nobody is judged for a time in which nobody could beat: when the store was away,
// or this machine slept, all leases ran out and all workers may be well. After such
// a gap one full lease passes before the next worker is retired. Jobs of workers
// that are retired already do not wait.
package stale

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
	"github.com/directorybolt/directorybolt/internal/tally"
)

// MaxInterval bounds the time between two passes, whatever is configured: the
// time to detect a dead worker must not grow with an inherited setting.
const MaxInterval = 10 * time.Second

const (
	// recoverBatch is how many jobs one recovery transaction moves.
	recoverBatch = 1000
	// recoverLoops is how many such transactions a pass with much to do keeps going.
	recoverLoops = 2
	// callTimeout bounds one call of the store: a connection that nobody answers
	// must not stop the monitor.
	callTimeout = 10 * time.Second
)

// Config describes a monitor. Zero means the default.
type Config struct {
	Store     job.Recoverer // required
	Lifelines job.Lifelines // tells of deaths between passes; nil: nobody does
	Teller    job.Teller    // has people told what was taken back; nil: nobody
	Passes    job.Passes    // keeps the proof of each pass; nil: nobody
	Rollups   job.Rollups   // keeps sums for reports; nil: nobody does
	Orphans   Orphanage     // finds what nobody would come to; nil: nobody looks for that
	Interval  time.Duration // between passes; 5 s, at most MaxInterval
	Lease     time.Duration // of the workers; 20 s

	// StallAfter is how long a job may go without progress. Zero: for ever. Progress
	// travels with the beat, so less than a Lease means a Lease.
	StallAfter time.Duration

	// Patience is how long work may be due, or a message unsent, before somebody has
	// forgotten it; 1 min. Looks for orphans are made twice in this time.
	Patience time.Duration

	Log     *slog.Logger // nil: slog.Default()
	Metrics Metrics      // nil: none

	// Now is the store's clock, whose jumps are noticed. Nil: they are not.
	Now func(ctx context.Context) (time.Time, error)

	clock func() time.Duration // tests; nil: bootclock.Now
}

// Metrics hears what a pass did. Implementations must not block.
type Metrics interface {
	WorkerRetired(cause string)
	JobRecovered(cause string, state job.State)
	StalePass(took time.Duration, err error)
	OrphansSeen(kind string, n int)   // of one look
	OrphansFound(kind string, n int)  // told of
	OrphansMended(kind string, n int) // by us
	StormOpened()
	StormOpen(open bool)
}

// Monitor repeats passes. One goroutine uses it.
type Monitor struct {
	Config
	failing seldom.Line

	deaths chan job.Worker // retired by the death-watch

	looked time.Duration // when the last good pass began; zero: there was none
	spare  time.Duration // nobody is judged before
	hands  timepiece
	proof  proof
	tally  tally.Tally // what reports want to know, until it is handed over

	untold     []telling // the latest last
	untellable seldom.Line
}

// New builds a monitor; nothing runs before Run or Pass.
func New(c Config) *Monitor {
	if c.Interval <= 0 {
		c.Interval = 5 * time.Second
	}
	c.Interval = min(c.Interval, MaxInterval)
	if c.Lease <= 0 {
		c.Lease = 20 * time.Second
	}
	if c.StallAfter > 0 {
		c.StallAfter = max(c.StallAfter, c.Lease)
	}
	if c.Patience <= 0 {
		c.Patience = Patience
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
	return &Monitor{Config: c, deaths: make(chan job.Worker, 64), proof: newProof()}
}

// Result tells what a pass found and did.
type Result struct {
	Retired   []job.Worker       // workers found dead in this pass
	Recovered []job.RecoveredJob // jobs pending again, or failed with the crash budget spent
	Orphans   []job.Finding      // told of in this pass
	Storm     *job.Storm         // that is open, or was closed in this pass; nil: none
}

// Run repeats passes until ctx ends, with jitter so that several monitors do not
// march in step, and recovers the jobs of those whose death it is told between them.
// A failed pass is logged, counted and repeated; it is never mistaken for an empty one.
func (m *Monitor) Run(ctx context.Context) error {
	watched := m.watch(ctx)
	defer func() { <-watched }()
	for {
		if _, err := m.Pass(ctx); err != nil && ctx.Err() == nil {
			if unsaid, now := m.failing.Say(); now {
				m.Log.WarnContext(ctx, "stale pass failed, will try again", "error", err.Error(), "unsaid", unsaid)
			}
		}
		jitter := time.Duration(rand.Int64N(int64(m.Interval/5) + 1))
		next := time.NewTimer(m.Interval - jitter)
		for resting := true; resting; {
			select {
			case <-ctx.Done():
				next.Stop()
				m.leave(ctx)
				m.handOver(context.WithoutCancel(ctx), leaveTimeout)
				return nil
			case dead := <-m.deaths:
				m.mourn(ctx, m.allDead(dead)...)
			case <-next.C:
				resting = false
			}
		}
	}
}

// Pass retires the workers whose lease is over and moves the jobs of all retired
// workers, and those that make no progress; and it looks for orphans, which decides
// nothing about workers even when it fails. What it did before an error is in the
// result. A pass that could not be recorded has failed: others think that nobody watches.
func (m *Monitor) Pass(ctx context.Context) (Result, error) {
	begun := time.Now()
	adopted, lost := m.adopt(ctx)
	m.tellPeople(ctx)
	r, err := m.pass(ctx)
	orphans, blind := m.seek(ctx)
	r.Orphans = append(adopted, orphans...)
	err = errors.Join(err, lost, blind)
	err = errors.Join(err, m.record(ctx, r, time.Since(begun), err))
	m.Metrics.StalePass(time.Since(begun), err)
	m.count(r, err)
	if m.tally.Due() {
		m.handOver(ctx, callTimeout)
	}
	m.report(ctx)
	return r, err
}

func (m *Monitor) pass(ctx context.Context) (r Result, err error) {
	begun := m.clock()
	var faults [4]error
	var jumped bool
	if jumped, faults[3] = m.jumped(ctx); jumped {
		m.spare = begun + m.Lease
	}
	spared := m.spares(ctx, begun)
	if !spared {
		r.Retired, r.Storm, faults[0] = m.judge(ctx)
	}
	// Jobs of workers retired earlier, or by somebody else, are moved even when
	// this pass could retire nobody.
	r.Recovered, faults[1] = m.recoverAll(ctx, "recover jobs of retired workers", m.Store.Recover)
	if !spared && !r.Storm.Open() && m.StallAfter > 0 {
		var stalled []job.RecoveredJob
		stalled, faults[2] = m.recoverAll(ctx, "recover stalled jobs", m.recoverStalled)
		r.Recovered = append(r.Recovered, stalled...)
	}
	err = errors.Join(faults[:]...)
	if err == nil {
		m.looked = begun
	}
	return r, err
}

// spares reports whether nobody may be judged now: the workers may have had no
// chance to beat, or to tell of their progress.
func (m *Monitor) spares(ctx context.Context, now time.Duration) bool {
	if gap := now - m.looked; m.looked > 0 && gap > m.Interval+m.Lease/2 {
		if now >= m.spare {
			m.Log.WarnContext(ctx, "no look at the workers for a while, their leases are spared once", "gap", gap, "spare", m.Lease)
		}
		m.spare = now + m.Lease
	}
	return now < m.spare
}

// mover moves up to so many jobs.
type mover func(ctx context.Context, limit int) (job.Recovered, error)

// recoverAll moves jobs, a batch at a time, until there is nothing left to do, and
// tells what it did in a line for each cause. When the first batch is full, more are
// moved side by side: while one waits for the disk, another works.
func (m *Monitor) recoverAll(ctx context.Context, act string, batch mover) (all []job.RecoveredJob, err error) {
	defer func() { m.tell(ctx, all) }()
	first, err := batch.timed(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", act, err)
	}
	all = first.Jobs
	loops := min(len(all), 1)
	if len(all) == recoverBatch {
		loops = recoverLoops
	}
	moved, faults := make([][]job.RecoveredJob, loops), make([]error, loops)
	var done sync.WaitGroup
	for i := range loops {
		done.Go(func() { moved[i], faults[i] = batch.repeat(ctx) })
	}
	done.Wait()
	all = append(all, slices.Concat(moved...)...)
	if err := errors.Join(faults...); err != nil {
		return all, fmt.Errorf("%s: %w", act, err)
	}
	return all, nil
}

// repeat moves batches until one is empty.
func (batch mover) repeat(ctx context.Context) (all []job.RecoveredJob, err error) {
	for {
		moved, err := batch.timed(ctx)
		if err != nil || len(moved.Jobs) == 0 {
			return all, err
		}
		all = append(all, moved.Jobs...)
	}
}

func (batch mover) timed(ctx context.Context) (job.Recovered, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return batch(ctx, recoverBatch)
}

func (m *Monitor) recoverStalled(ctx context.Context, limit int) (job.Recovered, error) {
	return m.Store.RecoverStalled(ctx, m.StallAfter, limit)
}

type noMetrics struct{}

func (noMetrics) WorkerRetired(string)           {}
func (noMetrics) JobRecovered(string, job.State) {}
func (noMetrics) StalePass(time.Duration, error) {}
func (noMetrics) OrphansSeen(string, int)        {}
func (noMetrics) OrphansFound(string, int)       {}
func (noMetrics) OrphansMended(string, int)      {}
func (noMetrics) StormOpened()                   {}
func (noMetrics) StormOpen(bool)                 {}
