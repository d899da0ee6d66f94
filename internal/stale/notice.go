package stale

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/directorybolt/directorybolt/internal/job"
)

// mostUntold bounds the notices that wait in memory for a store that takes them.
const mostUntold = 100

// becauseOf says in words what a cause means for the jobs that were taken back.
var becauseOf = map[string]string{
	job.RetiredLeaseExpired: "their worker stopped beating",
	job.RetiredLockLost:     "their worker's process ended",
	job.RetiredToldToGo:     "their worker was told to go",
	job.NoProgress:          "they made no progress",
}

// telling is an event and the notice that goes with it.
type telling struct {
	event  job.Event
	notice *job.Notice
}

// tell counts and logs what was taken back, and has people told, for each cause once.
// What a drain left behind is nothing to tell of.
func (m *Monitor) tell(ctx context.Context, moved []job.RecoveredJob) {
	type batch struct {
		cause  string
		canary bool
	}
	causes, batches := map[string][]job.RecoveredJob{}, map[batch][]job.RecoveredJob{}
	for _, j := range moved {
		m.Metrics.JobRecovered(j.Cause, j.State)
		causes[j.Cause] = append(causes[j.Cause], j)
		if j.Cause != job.RetiredStopped {
			b := batch{j.Cause, j.Canary}
			batches[b] = append(batches[b], j)
		}
	}
	for cause, jobs := range causes {
		level := slog.LevelWarn
		if cause == job.RetiredStopped {
			level = slog.LevelInfo
		}
		m.Log.Log(ctx, level, "jobs recovered", "count", len(jobs), "detector", job.DetectorOf(cause), "cause", cause, "job_id", jobs[0].ID)
	}
	for _, jobs := range batches {
		m.untold = append(m.untold, takenBack(jobs))
	}
	m.tellPeople(ctx)
}

// takenBack speaks of jobs that have one cause, and are canaries all or none.
func takenBack(jobs []job.RecoveredJob) telling {
	cause := jobs[0].Cause
	n := &job.Notice{
		// Each pass is told of, so no two have one key.
		Key:   job.AlertStaleRecovered + ":" + cause + ":" + job.NewID().String(),
		Alert: job.AlertStaleRecovered, Group: string(job.DetectorOf(cause)),
		Cause: cause, Count: int64(len(jobs)), Canary: jobs[0].Canary,
	}
	var failed int64
	for i, j := range jobs {
		n.ValueCents += j.ValueCents
		if i < job.MostNoticeJobs {
			n.JobIDs = append(n.JobIDs, j.ID)
		}
		if j.State == job.Failed {
			failed++
		}
	}
	why, ok := becauseOf[cause]
	if !ok {
		why = "of " + cause
	}
	n.Text = fmt.Sprintf("%s taken back because %s (%s)", counted(n.Count, "job was", "jobs were"), why, cause)
	if failed > 0 {
		n.Text += fmt.Sprintf("; %d of them failed for good, with no crash left", failed)
	}
	detail, _ := json.Marshal(map[string]any{"detector": n.Group, "count": n.Count, "failed": failed, "value_cents": n.ValueCents, "job_ids": n.JobIDs})
	return telling{job.Event{Type: job.EventJobsRecovered, Cause: cause, Detail: detail}, n}
}

func counted(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// tellPeople commits what people are to learn. What the store does not take now waits
// for the next pass.
func (m *Monitor) tellPeople(ctx context.Context) {
	if m.Teller == nil {
		m.untold = nil
	}
	for len(m.untold) > 0 {
		next := m.untold[0]
		if err := m.tellOne(ctx, next); err != nil {
			if unsaid, now := m.untellable.Say(); now && ctx.Err() == nil {
				m.Log.WarnContext(ctx, "people not told, will try again", "kind", next.notice.Alert, "count", len(m.untold), "error", err.Error(), "unsaid", unsaid)
			}
			m.untold = m.untold[max(0, len(m.untold)-mostUntold):]
			return
		}
		m.untold = m.untold[1:]
	}
}

func (m *Monitor) tellOne(ctx context.Context, t telling) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.Teller.Tell(ctx, t.event, t.notice)
}
