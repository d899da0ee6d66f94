package stale

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// reportEvery is the time between two lines that say what was checked.
const reportEvery = time.Minute

// leaveTimeout bounds the goodbye: it must not hold up a process that shall end.
const leaveTimeout = 2 * time.Second

// proof is what a monitor keeps of its passes: for the store, and for the log.
type proof struct {
	job.MonitorPass
	reported time.Duration // when the last line was said; zero: none was due yet
	then     job.MonitorPass
}

func newProof() proof {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return proof{MonitorPass: job.MonitorPass{
		Monitor: job.MonitorStale, Process: job.NewID(), Host: host, PID: os.Getpid(),
		Counts: map[string]int64{"retired": 0, "recovered": 0, "orphans": 0},
	}}
}

// count adds what was done. The map is made anew: an earlier report keeps its own.
func (p *proof) count(r Result) {
	p.Counts = map[string]int64{
		"retired":   p.Counts["retired"] + int64(len(r.Retired)),
		"recovered": p.Counts["recovered"] + int64(len(r.Recovered)),
		"orphans":   p.Counts["orphans"] + int64(len(r.Orphans)),
	}
}

// record counts a pass and has it kept where others see it.
func (m *Monitor) record(ctx context.Context, r Result, took time.Duration, failed error) error {
	p := &m.proof
	p.Took, p.Error, p.Every = took, "", m.Interval
	p.Passes++
	if failed != nil {
		p.Failed++
		p.Error = failed.Error()
	}
	p.count(r)
	if m.Passes == nil || ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := m.Passes.RecordPass(ctx, p.MonitorPass); err != nil {
		return fmt.Errorf("record the pass: %w", err)
	}
	return nil
}

// count counts a pass for the reports.
func (m *Monitor) count(r Result, failed error) {
	name := job.FactPasses
	if failed != nil {
		name = job.FactPassesFailed
	}
	m.tally.Count(name, m.proof.Monitor, 1)
	m.countDone(r)
}

// countDone counts what was done, in a pass or between two. What drills kill on purpose
// is in no report.
func (m *Monitor) countDone(r Result) {
	for _, w := range r.Retired {
		if !w.CanariesOnly() {
			m.tally.Count(job.FactRetired, w.RetiredCause, 1)
		}
	}
	for _, j := range r.Recovered {
		if !j.Canary {
			m.tally.Count(job.FactRecovered, j.Cause, 1)
		}
	}
}

// handOver adds what was counted to the store's sums. What it does not take is kept for
// the next time.
func (m *Monitor) handOver(ctx context.Context, timeout time.Duration) {
	if m.Rollups == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := m.tally.HandOver(ctx, m.Rollups.AddFacts); err != nil {
		m.Log.DebugContext(ctx, "counts not handed over, kept for the next time", "error", err.Error())
	}
}

// leave tells others that this monitor was told to go, so that they do not miss it. A
// goodbye that the store does not hear makes it a silent one.
func (m *Monitor) leave(ctx context.Context) {
	if m.Passes == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.Passes.LeavePasses(ctx, m.proof.Monitor, m.proof.Process); err != nil {
		m.Log.WarnContext(ctx, "stale monitor not signed off, others will miss it", "error", err.Error())
	}
}

// report says once in a while what was checked, as long as passes are good: that
// they are not is said by a line of its own.
func (m *Monitor) report(ctx context.Context) {
	p, now := &m.proof, m.clock()
	if p.reported == 0 {
		p.reported = now
	}
	if now-p.reported < reportEvery {
		return
	}
	if passes := p.Passes - p.then.Passes; passes > p.Failed-p.then.Failed {
		m.Log.InfoContext(ctx, "stale monitor looked", "passes", passes, "failed", p.Failed-p.then.Failed,
			"retired", p.Counts["retired"]-p.then.Counts["retired"], "recovered", p.Counts["recovered"]-p.then.Counts["recovered"],
			"took", p.Took)
	}
	p.reported, p.then = now, p.MonitorPass
}
