package deadletter

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Alerts is what people have been told, as far as the monitor asks.
type Alerts interface {
	Alerts(ctx context.Context, f alert.Filter) ([]alert.Alert, error)
	Pending(ctx context.Context) (unread, due bool, err error)
}

// mostAlerts is how many open alerts are compared with the letters. Where there are
// more, nobody can say that one is missing.
const mostAlerts = 1000

// tidy sees to it that the letters an alert speaks of are those that dlq finds.
func (m *Monitor) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	n, err := m.Store.TidySignatures(ctx)
	if n > 0 {
		m.Log.InfoContext(ctx, "dead letters of an earlier version came into the group that alerts name", "count", n)
	}
	return err
}

// retell tells again of open letters that no open alert speaks of. The statement that
// fails a job commits its notice, so there should be none. But a job may fail in the very
// moment in which the last letter of its group is told resolved, letters may be older
// than the alerts, and somebody may have cleaned a table by hand: none of that
// may leave a letter that nobody hears of.
func (m *Monitor) retell(ctx context.Context) error {
	if m.Alerts == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if unread, _, err := m.Alerts.Pending(ctx); err != nil || unread {
		return err // what is under way will be read first
	}
	known, err := m.Alerts.Alerts(ctx, alert.Filter{Kind: job.AlertDeadLetters, Limit: mostAlerts})
	if err != nil || len(known) >= mostAlerts {
		return err
	}
	now, err := m.Store.Now(ctx)
	if err != nil {
		return err
	}
	// The letters are counted after the alerts were read, and only those that were there
	// before: what has just come is on its way.
	groups, err := m.Store.LetterGroups(ctx, job.LetterFilter{Until: now.Add(-m.Interval)})
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, a := range known {
		told[a.Group] = true
	}
	for _, g := range groups {
		if told[alert.Fingerprint(job.AlertDeadLetters, job.TidySignature(g.Signature), false)] {
			continue
		}
		if err := m.Store.Tell(ctx, job.Event{Type: job.EventLetterUntold, JobID: g.JobID, Cause: g.Signature}, untoldNotice(g)); err != nil {
			return err
		}
		m.Log.WarnContext(ctx, "dead letters that no alert speaks of are told again", "group", g.Group, "signature", g.Signature, "count", g.Count)
	}
	return nil
}

func untoldNotice(g job.LetterGroup) *job.Notice {
	n := &job.Notice{
		Key: "letters_untold:" + g.Group, Alert: job.AlertDeadLetters, Group: g.Signature, Signature: g.Signature, Count: g.Count,
		ValueCents: g.ValueCents, Whole: true, At: g.Newest,
		Text: fmt.Sprintf("%d open dead letters that no alert spoke of, the oldest of %s", g.Count, g.Oldest.UTC().Format(time.RFC3339)),
	}
	if g.JobID != (job.ID{}) {
		n.JobIDs = []job.ID{g.JobID}
	}
	return n
}
