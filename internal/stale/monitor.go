// Package stale is the stale job monitor: it finds workers that are dead or
// frozen, retires them, and gives their jobs to live ones. One pass may run in any
// number of processes at once; the store sees to it that the work is done once.
//
// Its detector here is the lease; others join the same pass.
package stale

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// MaxInterval bounds the time between two passes, whatever is configured: the
// time to detect a dead worker must not grow with an inherited setting.
const MaxInterval = 10 * time.Second

// recoverBatch is how many jobs one recovery transaction moves.
const recoverBatch = 1000

// Config describes a monitor. Zero means the default.
type Config struct {
	Store    job.Recoverer // required
	Interval time.Duration // between passes; 5 s, at most MaxInterval
	Log      *slog.Logger  // nil: slog.Default()
	Metrics  Metrics       // nil: none
}

// Metrics hears what a pass did. Implementations must not block.
type Metrics interface {
	WorkerRetired(cause string)
	JobRecovered(cause string, state job.State)
	StalePass(took time.Duration, err error)
}

// Monitor repeats passes.
type Monitor struct{ Config }

// New builds a monitor; nothing runs before Run or Pass.
func New(c Config) *Monitor {
	if c.Interval <= 0 {
		c.Interval = 5 * time.Second
	}
	c.Interval = min(c.Interval, MaxInterval)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	return &Monitor{c}
}

// Result tells what a pass found and did.
type Result struct {
	Retired   []job.Worker       // workers found dead in this pass
	Recovered []job.RecoveredJob // jobs pending again, or failed with the crash budget spent
}

// Run repeats passes until ctx ends, with jitter so that several monitors do not
// march in step. A failed pass is logged, counted and repeated; it is never
// mistaken for an empty one.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		if _, err := m.Pass(ctx); err != nil && ctx.Err() == nil {
			m.Log.WarnContext(ctx, "stale pass failed, will try again", "error", err.Error())
		}
		jitter := time.Duration(rand.Int64N(int64(m.Interval/5) + 1))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(m.Interval - jitter):
		}
	}
}

// Pass retires the workers whose lease is over and moves the jobs of all retired
// workers. What it did before an error is in the result.
func (m *Monitor) Pass(ctx context.Context) (Result, error) {
	begun := time.Now()
	r, err := m.pass(ctx)
	m.Metrics.StalePass(time.Since(begun), err)
	return r, err
}

func (m *Monitor) pass(ctx context.Context) (Result, error) {
	var r Result
	retired, err := m.Store.RetireExpired(ctx)
	for _, w := range retired {
		m.Metrics.WorkerRetired(w.RetiredCause)
		m.Log.WarnContext(ctx, "worker retired", "worker_id", w.ID, "host", w.Host, "pid", w.PID, "cause", w.RetiredCause, "last_beat", w.BeatAt)
	}
	r.Retired = retired
	if err != nil {
		err = fmt.Errorf("retire expired workers: %w", err)
	}
	// Jobs of workers retired earlier, or by somebody else, are moved even when
	// this pass could retire nobody.
	recovered, recoverErr := m.recoverAll(ctx)
	r.Recovered = recovered
	return r, errors.Join(err, recoverErr)
}

func (m *Monitor) recoverAll(ctx context.Context) ([]job.RecoveredJob, error) {
	var all []job.RecoveredJob
	for {
		batch, err := m.Store.Recover(ctx, recoverBatch)
		if err != nil {
			return all, fmt.Errorf("recover jobs of retired workers: %w", err)
		}
		if len(batch.Jobs) == 0 {
			return all, nil
		}
		for _, j := range batch.Jobs {
			m.Metrics.JobRecovered(j.Cause, j.State)
		}
		m.Log.WarnContext(ctx, "jobs recovered", "count", len(batch.Jobs), "first_job_id", batch.Jobs[0].ID, "cause", batch.Jobs[0].Cause)
		all = append(all, batch.Jobs...)
	}
}

type noMetrics struct{}

func (noMetrics) WorkerRetired(string)           {}
func (noMetrics) JobRecovered(string, job.State) {}
func (noMetrics) StalePass(time.Duration, error) {}
