package deadletter

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// proof is what a monitor keeps of its passes, for the store.
type proof struct{ job.MonitorPass }

func newProof() proof {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return proof{job.MonitorPass{Monitor: job.MonitorDLQ, Process: job.NewID(), Host: host, PID: os.Getpid(), Counts: map[string]int64{}}}
}

// record counts a pass and has it kept where others see it.
func (m *Monitor) record(ctx context.Context, r Result, took time.Duration, failed error) error {
	p := &m.proof.MonitorPass
	p.Took, p.Error, p.Every = took, "", m.Interval
	p.Passes++
	if failed != nil {
		p.Failed++
		p.Error = failed.Error()
	}
	p.Counts = map[string]int64{
		"open": r.Depth.Open, "queued": r.Queued.Total(),
		"copied": p.Counts["copied"] + int64(r.Copied), "kept": p.Counts["kept"] + int64(r.Kept),
		"stale": p.Counts["stale"] + int64(r.Stale), "settled": p.Counts["settled"] + r.Settled,
	}
	if ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := m.Store.RecordPass(ctx, *p); err != nil {
		return fmt.Errorf("record the pass: %w", err)
	}
	return nil
}

// leave tells others that this monitor was told to go, so that they do not miss it.
func (m *Monitor) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.Store.LeavePasses(ctx, m.proof.Monitor, m.proof.Process); err != nil {
		m.Log.WarnContext(ctx, "dead letter monitor not signed off, others will miss it", "error", err.Error())
	}
}

// report says what a check found, where there was anything.
func (m *Monitor) report(ctx context.Context, r Result) {
	if r.Depth.Open == 0 && r.Queued.Total() == 0 && r.Depth.InFlight == 0 {
		return
	}
	m.Log.InfoContext(ctx, "dead letters counted", "open", r.Depth.Open, "value_cents", r.Depth.ValueCents, "in_flight", r.Depth.InFlight,
		"oldest", r.Depth.Oldest, "queued", r.Queued.Total())
}
