package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// skew is how far the clocks of the store and the queue may be apart.
const skew = 2 * time.Minute

// judge asks the store how the jobs of these messages stand, and ends the messages
// that need not be held. What cannot be judged is held.
func (c *Consumer) judge(ctx context.Context, hs []*holding) {
	if len(hs) == 0 { // nothing to ask about: the next message shows whether the store is back
		c.away.Store(false)
		return
	}
	jobs, err := c.standings(ctx, hs)
	c.away.Store(err != nil)
	if err != nil {
		if unsaid, now := c.judgeFails.Say(); now {
			c.Log.WarnContext(ctx, "store does not say how jobs stand, nothing more is received", "error", err.Error(), "unsaid", unsaid)
		}
		return
	}
	ended := map[*holding]string{}
	var movedBack []*holding
	for _, h := range hs {
		switch outcome := c.outcome(h, jobs); outcome {
		case "":
		case MovedBack:
			movedBack = append(movedBack, h)
		default:
			ended[h] = outcome
		}
	}
	if len(movedBack) > 0 && c.tell(ctx, movedBack) {
		for _, h := range movedBack {
			ended[h] = MovedBack
		}
	}
	c.end(ctx, ended)
}

// standings asks about all of them at once.
func (c *Consumer) standings(ctx context.Context, hs []*holding) (map[job.ID]job.Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ids := make([]job.ID, len(hs))
	for i, h := range hs {
		ids[i] = h.hint.JobID
	}
	stand, err := c.Store.Standings(ctx, ids...)
	jobs := make(map[job.ID]job.Standing, len(stand))
	for _, s := range stand {
		jobs[s.ID] = s
	}
	return jobs, err
}

// outcome is how a message ends by what the store says of its job; empty: it is
// held on.
func (c *Consumer) outcome(h *holding, jobs map[job.ID]job.Standing) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	j, known := jobs[h.hint.JobID]
	first := !h.judged
	h.judged = true
	switch {
	case !known:
		return Unknown
	case j.State == job.InProgress:
		h.running = true
		return ""
	case j.State == job.Pending && j.Due:
		h.running = false
		if first {
			c.rang()
		}
		return ""
	case !first:
		return Settled
	case j.State == job.Pending:
		return Early
	case j.State == job.Failed && movedByHand(h, j):
		return MovedBack
	}
	return Finished
}

// movedByHand tells a dead letter's message that somebody put back into the queue
// from one that was merely late. The latter came from our relay shortly before the
// queue took it, or was in the queue before the job failed.
func movedByHand(h *holding, j job.Standing) bool {
	m := h.message
	if m.Attributes[queue.AttributeJob] != "" {
		return true
	}
	if relayed := h.hint.RelayedAt; !relayed.IsZero() && m.SentAt.Sub(relayed) < skew {
		return false
	}
	return m.SentAt.After(j.FinishedAt.Add(-skew))
}

// tell commits that a person must learn of dead letters that were moved back. False:
// the store did not take it, and the messages are held for another try.
func (c *Consumer) tell(ctx context.Context, hs []*holding) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ids := make([]job.ID, len(hs))
	for i, h := range hs {
		ids[i] = h.hint.JobID
	}
	first := ids[0].String()
	text := "A message of job " + first + ", which is a dead letter, was put back into the queue by hand. That does not run it. Run: directorybolt dlq redrive " + first
	if len(ids) > 1 {
		text = fmt.Sprintf("Messages of %d jobs that are dead letters, such as %s, were put back into the queue by hand. That does not run them. Run: directorybolt dlq redrive ID, for each", len(ids), first)
	}
	err := c.Store.Tell(ctx, job.Event{Type: job.EventLetterMovedBack, JobID: ids[0], Actor: job.ActorSystem, Cause: text}, &job.Notice{
		Key: "moved_back:" + first, Alert: job.AlertDeadLetters, Group: "moved_back", Severity: "warn", Text: text,
		Count: int64(len(ids)), JobIDs: ids[:min(len(ids), job.MostNoticeJobs)], CustomerID: hs[0].hint.CustomerID,
	})
	if err != nil {
		c.Log.WarnContext(ctx, "nobody was told of a dead letter moved back, will try again", "job_id", ids[0], "error", err.Error())
		return false
	}
	c.Log.WarnContext(ctx, "dead letter moved back by hand, it does not run", "job_id", ids[0], "count", len(ids))
	return true
}

// end deletes messages. One whose deletion fails comes again and is judged again.
func (c *Consumer) end(ctx context.Context, ended map[*holding]string) {
	var mine []*holding
	for h, outcome := range ended {
		if c.forget(h, outcome) {
			mine = append(mine, h)
		}
	}
	for lane, hs := range byLane(mine) {
		c.failed(ctx, "delete", lane, lane.Delete(ctx, messages(hs)...))
	}
}

// extend hides on what has less than half of its time left.
func (c *Consumer) extend(ctx context.Context) {
	var soon []*holding
	now := time.Now()
	for _, h := range c.holdings() {
		if h.until.Sub(now) < c.Hide/2 {
			soon = append(soon, h)
		}
	}
	for lane, hs := range byLane(soon) {
		until := time.Now().Add(c.Hide)
		errs := lane.Extend(ctx, c.Hide, messages(hs)...)
		c.failed(ctx, "extend", lane, errs)
		for i, err := range errs {
			c.extended(hs[i], until, err)
		}
	}
}

// extended notes how one extension went. What another has by now, or nobody could
// extend in time, is no longer held here.
func (c *Consumer) extended(h *holding, until time.Time, err error) {
	switch {
	case err == nil:
		c.mu.Lock()
		h.until = until
		c.mu.Unlock()
	case errors.Is(err, queue.ErrHeldLong):
		c.forget(h, HeldLong)
	case errors.Is(err, queue.ErrGone), time.Now().After(h.until):
		c.forget(h, Lost)
	}
}
