package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

const (
	// lookBatch is how many messages are in memory at once; each may have a MiB.
	lookBatch = 20
	// lookHide is how long messages are hidden while all of them are looked at; they
	// are given back before.
	lookHide = time.Minute
	// lookFor bounds a look, well within lookHide.
	lookFor = 40 * time.Second
)

// ClassPoison is the class of messages that name no job.
const ClassPoison = "poison"

// look sees what the dead letter queue holds. What names no job of ours is kept in the
// store; what nothing is open about is deleted; everything else is given back.
func (m *Monitor) look(ctx context.Context, r *Result) (err error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookHide)
	defer cancel()
	if r.Queued, err = m.Queue.Depth(ctx); err != nil {
		return fmt.Errorf("measure %s: %w", m.Queue.Name(), err)
	}
	m.Metrics.QueuedDeadLetters(r.Queued.Total())
	var held []queue.Letter // looked at, without their bodies
	defer func() { err = errors.Join(err, m.giveBack(context.WithoutCancel(ctx), held)) }()
	for {
		sample, err := m.Queue.Look(ctx, lookBatch, lookHide-time.Since(begun))
		if err != nil {
			return fmt.Errorf("look into %s: %w", m.Queue.Name(), err)
		}
		stale, open, err := m.sort(ctx, sample.Letters, r)
		held = append(held, open...)
		if err != nil {
			return err
		}
		if err := m.drop(ctx, stale, r); err != nil {
			return err
		}
		// A queue so long that one look does not see its end is looked at again next time.
		if sample.Complete || len(sample.Letters) == 0 || time.Since(begun) > lookFor {
			return nil
		}
	}
}

// sort keeps what must be kept of some messages, and tells those that may go from
// those that stay.
func (m *Monitor) sort(ctx context.Context, letters []queue.Letter, r *Result) (stale, open []queue.Letter, err error) {
	seen := make([]job.Sighting, 0, len(letters))
	for i := range letters {
		if l := &letters[i]; l.Poison == nil {
			seen = append(seen, job.Sighting{
				JobID: l.Hint.JobID, MessageID: l.ID, Receives: l.Receives, SentAt: l.SentAt, ExpiresAt: l.Expires,
			})
		}
	}
	means, err := m.Store.NoteSightings(ctx, seen)
	if err != nil {
		return nil, letters, err
	}
	for i := range letters {
		l, meaning, reason := &letters[i], job.MeansUnknown, ""
		if l.Poison == nil {
			meaning, means = means[0], means[1:]
			reason = fmt.Sprintf("it names job %s, which is not ours", l.Hint.JobID)
		} else {
			reason = l.Poison.Reason
		}
		if meaning == job.MeansUnknown {
			if meaning, err = m.keepMessage(ctx, l, reason); err != nil {
				return stale, append(open, letters[i:]...), err
			}
		}
		l.Body = nil
		switch meaning {
		case job.MeansStale:
			stale = append(stale, *l)
		case job.MeansKept:
			r.Kept++
			open = append(open, *l)
		default:
			open = append(open, *l)
		}
	}
	return stale, open, nil
}

// keepMessage makes a letter of a message that names no job of ours, with what people
// are told.
func (m *Monitor) keepMessage(ctx context.Context, l *queue.Letter, reason string) (job.Meaning, error) {
	d := job.DeadMessage{
		MessageID: l.ID, Body: l.Body, Cause: reason, Class: ClassPoison, Signature: job.Signature(ClassPoison, reason),
		Receives: l.Receives, SentAt: l.SentAt, ExpiresAt: l.Expires,
	}
	meaning, err := m.Store.KeepMessage(ctx, d, job.Notice{
		Key: "dead_message:" + l.ID, Alert: job.AlertDeadLetters, Group: d.Signature, Signature: d.Signature, Class: d.Class, Cause: d.Cause,
		Text: fmt.Sprintf("a message in %s names no job: %s", m.Queue.Name(), reason), At: l.SentAt,
	})
	if meaning == job.MeansKept {
		m.Log.WarnContext(ctx, "dead letter without a job", "message_id", l.ID, "reason", reason, "receives", l.Receives, "expires_at", l.Expires)
	}
	return meaning, err
}

// drop deletes messages that nothing is open about. Nobody is paged for them.
func (m *Monitor) drop(ctx context.Context, stale []queue.Letter, r *Result) error {
	if len(stale) == 0 {
		return nil
	}
	var faults []error
	for _, err := range m.Queue.Delete(ctx, stale...) {
		if err != nil && !errors.Is(err, queue.ErrGone) {
			faults = append(faults, err)
		}
	}
	r.Stale += len(stale) - len(faults)
	m.Log.InfoContext(ctx, "stale messages deleted from the dead letter queue", "count", len(stale)-len(faults))
	if len(faults) > 0 {
		return fmt.Errorf("delete %d stale messages from %s: %w", len(faults), m.Queue.Name(), faults[0])
	}
	return nil
}

// giveBack shows the messages to others again. Where that fails the queue does it
// itself, a little later.
func (m *Monitor) giveBack(ctx context.Context, held []queue.Letter) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if len(held) == 0 {
		return nil
	}
	for _, err := range m.Queue.Return(ctx, held...) {
		if err != nil && !errors.Is(err, queue.ErrGone) {
			return fmt.Errorf("give messages back to %s: %w", m.Queue.Name(), err)
		}
	}
	return nil
}

// expire warns of letters that the queue is about to delete, and ends those that it has
// deleted.
func (m *Monitor) expire(ctx context.Context, r *Result) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now, err := m.Store.Now(ctx)
	if err != nil {
		return err
	}
	letters, err := m.Store.ExpiringLetters(ctx, expiringWithin, 1000)
	if err != nil {
		return err
	}
	if len(letters) > 0 {
		ids := make([]job.ID, len(letters))
		for i := range letters {
			ids[i] = letters[i].ID
		}
		if r.Warned, err = m.Store.WarnExpiring(ctx, ids, m.expiringNotice(letters, now)); err != nil {
			return err
		}
	}
	if r.Expired, err = m.Store.ExpireLetters(ctx); err != nil {
		return err
	}
	_, err = m.Store.CloseWarnings(ctx, expiringWithin, job.Notice{
		Key: "letters_expiring", Alert: job.AlertLettersExpiring, Group: m.Queue.Name(), Resolved: true,
		Text: "no dead letter of " + m.Queue.Name() + " is about to be deleted any more", At: now,
	})
	return err
}

// expiringNotice speaks of letters that expire soon, the soonest first.
func (m *Monitor) expiringNotice(letters []job.Letter, now time.Time) job.Notice {
	n := job.Notice{
		Key: "letters_expiring", Alert: job.AlertLettersExpiring, Group: m.Queue.Name(), Count: int64(len(letters)), At: now,
		Text: fmt.Sprintf("%s deletes %d of the dead letters that nobody has decided about, the first at %s", m.Queue.Name(), len(letters),
			letters[0].ExpiresAt.UTC().Format("2006-01-02 15:04Z")),
	}
	for _, l := range letters {
		if !l.Canary {
			n.ValueCents += l.ValueCents
		}
		if l.JobID != (job.ID{}) && len(n.JobIDs) < job.MostNoticeJobs {
			n.JobIDs = append(n.JobIDs, l.JobID)
		}
	}
	return n
}
