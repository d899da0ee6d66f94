package stale

import (
	"context"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/job"
)

// judge declares the leases over that are, as far as the storm breaker lets it.
func (m *Monitor) judge(ctx context.Context) ([]job.Worker, *job.Storm, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	j, err := m.Store.Judge(ctx, m.Lease)
	for _, w := range j.Retired {
		m.tellRetired(ctx, w)
	}
	m.tellStorm(ctx, j)
	if err != nil {
		return j.Retired, j.Storm, fmt.Errorf("retire expired workers: %w", err)
	}
	return j.Retired, j.Storm, nil
}

// tellStorm logs and counts; people are told by the store, in the same transaction.
func (m *Monitor) tellStorm(ctx context.Context, j job.Judgement) {
	m.Metrics.StormOpen(j.Storm.Open())
	switch s := j.Storm; {
	case s == nil:
	case j.Opened:
		m.Metrics.StormOpened()
		m.Log.ErrorContext(ctx, "storm opened: too many workers seem dead at once, recovery of their jobs is held", "owners", s.Owners, "count", s.Dead, "hold", job.StormHold)
	case !s.Open():
		m.Log.WarnContext(ctx, "storm closed", "cause", s.Ending, "took", s.ClosedAt.Sub(s.OpenedAt))
	}
}

func (m *Monitor) tellRetired(ctx context.Context, w job.Worker) {
	m.Metrics.WorkerRetired(w.RetiredCause)
	m.Log.WarnContext(ctx, "worker retired", "worker_id", w.ID, "host", w.Host, "pid", w.PID, "cause", w.RetiredCause, "last_beat", w.BeatAt)
}
