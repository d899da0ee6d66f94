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
		Counts: map[string]int64{"retired": 0, "recovered": 0},
	}}
}

// count adds what was done. The map is made anew: an earlier report keeps its own.
func (p *proof) count(r Result) {
	p.Counts = map[string]int64{
		"retired":   p.Counts["retired"] + int64(len(r.Retired)),
		"recovered": p.Counts["recovered"] + int64(len(r.Recovered)),
	}
}

// record counts a pass and has it kept where others see it.
func (m *Monitor) record(ctx context.Context, r Result, took time.Duration, failed error) error {
	p := &m.proof
	p.Took, p.Error = took, ""
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
