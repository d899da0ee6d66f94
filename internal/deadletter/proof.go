package deadletter

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// proof is what a monitor keeps, for the store, of its passes and of its looks into the
// queue.
type proof struct{ passes, looks job.MonitorPass }

func newProof() proof {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p := job.MonitorPass{Monitor: job.MonitorDLQ, Process: job.NewID(), Host: host, PID: os.Getpid(), Counts: map[string]int64{}}
	looks := p
	looks.Monitor = job.MonitorDLQLook
	return proof{p, looks}
}

// ended counts a pass that ended.
func ended(p *job.MonitorPass, took time.Duration, failed error) {
	p.Took, p.Error = took, ""
	p.Passes++
	if failed != nil {
		p.Failed++
		p.Error = failed.Error()
	}
}

// record counts a pass and has it kept where others see it.
func (m *Monitor) record(ctx context.Context, r Result, took time.Duration, failed error) error {
	p := &m.proof.passes
	ended(p, took, failed)
	p.Every = m.Interval
	p.Counts = map[string]int64{
		"open": r.Depth.Open, "queued": r.Queued.Total(),
		"copied": p.Counts["copied"] + int64(r.Copied), "kept": p.Counts["kept"] + int64(r.Kept),
		"stale": p.Counts["stale"] + int64(r.Stale), "settled": p.Counts["settled"] + r.Settled,
	}
	if err := m.keep(ctx, *p); err != nil {
		return err
	}
	return m.count(ctx, failed)
}

// count counts a pass for the reports: there are few.
func (m *Monitor) count(ctx context.Context, failed error) error {
	if m.Rollups == nil || ctx.Err() != nil {
		return nil
	}
	fact := job.Fact{Name: job.FactPasses, Labels: job.MonitorDLQ, Value: 1}
	if failed != nil {
		fact.Name = job.FactPassesFailed
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.Rollups.AddFacts(ctx, fact)
}

// recordLook does so for a look into the queue.
func (m *Monitor) recordLook(ctx context.Context, took time.Duration, failed error) error {
	ended(&m.proof.looks, took, failed)
	return m.keep(ctx, m.proof.looks)
}

func (m *Monitor) keep(ctx context.Context, p job.MonitorPass) error {
	if ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := m.Store.RecordPass(ctx, p); err != nil {
		return fmt.Errorf("record the pass: %w", err)
	}
	return nil
}

// leave tells others that this monitor was told to go, so that they do not miss it.
func (m *Monitor) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.Store.LeavePasses(ctx, m.proof.passes.Monitor, m.proof.passes.Process); err != nil {
		m.Log.WarnContext(ctx, "dead letter monitor not signed off, others will miss it", "error", err.Error())
	}
}

// report says what a check found, where there was anything.
func (m *Monitor) report(ctx context.Context, r Result) {
	if r.Depth.Open == 0 && r.Queued.Total() == 0 && r.Depth.InFlight == 0 {
		return
	}
	m.Log.InfoContext(ctx, "dead letters counted", "open", r.Depth.Open, "value_cents", r.Depth.ValueCents, "in_flight", r.Depth.InFlight,
		"queued", r.Queued.Total())
}
