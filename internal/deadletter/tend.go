package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

const (
	// copyBatch is how many letters are taken at once to be copied.
	copyBatch = 50
	// copyHide is how long a taken letter is hidden from other monitors.
	copyHide = time.Minute
	// restAfterFault is how long the queue is left alone after it took no copy.
	restAfterFault = 10 * time.Second
)

// tend does what the store alone shows to be due.
func (m *Monitor) tend(ctx context.Context, r *Result) error {
	settled, err := m.settle(ctx)
	r.Settled = settled
	return errors.Join(err, m.closeGroups(ctx, r), m.copyLetters(ctx, r))
}

func (m *Monitor) settle(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.Store.SettleLetters(ctx)
}

// closeGroups tells of groups whose letters have all met their fate.
func (m *Monitor) closeGroups(ctx context.Context, r *Result) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	groups, err := m.Store.ClosedGroups(ctx)
	if err != nil || len(groups) == 0 {
		return err
	}
	for _, g := range groups {
		told, err := m.Store.CloseGroup(ctx, g, closedNotice(g))
		if err != nil {
			return err
		}
		if told {
			r.Closed++
			m.Log.InfoContext(ctx, "dead letters resolved", "group", job.GroupID(g.Signature), "signature", g.Signature, "fates", fatesText(g.Fates))
		}
	}
	return nil
}

func closedNotice(g job.ClosedGroup) job.Notice {
	return job.Notice{
		Key:   fmt.Sprintf("letters_closed:%s:%t", job.GroupID(g.Signature), g.Canary),
		Alert: job.AlertDeadLetters, Group: g.Signature, Signature: g.Signature, Resolved: true, Canary: g.Canary,
		Text: fatesText(g.Fates), Count: countOf(g.Fates), ValueCents: g.ValueCents, JobIDs: g.JobIDs, At: g.Until,
	}
}

func countOf(fates []job.FateCount) (n int64) {
	for _, f := range fates {
		n += f.Count
	}
	return n
}

// fateWords are fates as people read them.
var fateWords = map[job.Fate]string{
	job.FateDone:        "redriven and done",
	job.FateFailedAgain: "redriven and failed again",
	job.FateCancelled:   "redriven and cancelled",
	job.FateMoved:       "moved back to the queue",
	job.FatePurged:      "purged",
	job.FateExpired:     "expired",
	job.FateStale:       "taken up by another way",
}

// fatesText is "3 redriven and done, 1 purged", in the order in which fates are listed.
func fatesText(fates []job.FateCount) string {
	counts := map[job.Fate]int64{}
	for _, f := range fates {
		counts[f.Fate] += f.Count
	}
	var parts []string
	for _, f := range job.Fates {
		if counts[f] > 0 {
			parts = append(parts, strconv.FormatInt(counts[f], 10)+" "+fateWords[f])
		}
	}
	return strings.Join(parts, ", ")
}

// copyLetters sends new letters to the dead letter queue, where those who know SQS look
// for them. A letter whose copy was sent and not marked, because this process died in
// between, is sent twice; the store's letter is one.
func (m *Monitor) copyLetters(ctx context.Context, r *Result) error {
	if m.Queue == nil || time.Now().Before(m.rest) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, copyHide/2)
	defer cancel()
	letters, err := m.Store.TakeLetters(ctx, copyBatch, copyHide)
	if err != nil {
		return err
	}
	for i := range letters {
		if err := m.bury(ctx, &letters[i]); err != nil {
			m.rest = time.Now().Add(restAfterFault)
			return fmt.Errorf("copy dead letter %s to %s: %w", letters[i].ID, m.Queue.Name(), err)
		}
		r.Copied++
	}
	return nil
}

func (m *Monitor) bury(ctx context.Context, l *job.Letter) error {
	err := m.Queue.Bury(ctx, queue.Burial{
		ID:     l.ID,
		Hint:   queue.Hint{JobID: l.JobID, CustomerID: l.CustomerID},
		Reason: l.Cause,
		Notes: map[string]string{
			"directorybolt.letter_id": l.ID.String(),
			"directorybolt.class":     l.Class,
			"directorybolt.signature": l.Signature,
			"directorybolt.kind":      l.Kind,
			"directorybolt.attempts":  strconv.Itoa(l.Attempts),
			"directorybolt.redrives":  strconv.Itoa(l.Redrives),
			"directorybolt.failed_at": l.At.UTC().Format(time.RFC3339),
		},
	})
	if errors.Is(err, queue.ErrRefused) {
		m.Log.ErrorContext(ctx, "the dead letter queue refuses a letter; the store has it", "letter_id", l.ID, "job_id", l.JobID, "error", err.Error())
		err = nil
	}
	if err != nil {
		return err
	}
	return m.Store.MarkCopied(ctx, l.ID)
}
