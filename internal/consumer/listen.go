package consumer

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/queue"
)

// listen receives from a lane until ctx ends. A receive that waits is not cut short
// by that: what the queue hands out at this moment would be hidden from everybody.
func (c *Consumer) listen(ctx, polling context.Context, lane queue.Queue, share func(free int) int) {
	retry := backoff.Policy{Base: time.Second, Cap: 30 * time.Second}
	for failures := 0; ctx.Err() == nil; {
		room := share(c.room())
		if room < 1 {
			pause(ctx, look)
			continue
		}
		switch err := c.once(polling, lane, room, longPoll); {
		case err == nil && failures > 0:
			c.Log.InfoContext(ctx, "queue is reached again", "queue", lane.Name(), "failed", failures)
			failures = 0
		case err != nil && ctx.Err() == nil:
			failures++
			c.Metrics.QueueFailed("receive")
			if unsaid, now := c.receiveFails.Say(); now {
				c.Log.WarnContext(ctx, "queue not reached, the store is polled", "queue", lane.Name(), "error", err.Error(), "unsaid", unsaid)
			}
			pause(ctx, retry.Delay(failures))
		}
	}
}

// once receives what there is, or comes, and holds it.
func (c *Consumer) once(ctx context.Context, lane queue.Queue, room int, wait time.Duration) error {
	got, err := lane.Receive(ctx, room, wait, c.Hide)
	if err != nil {
		return err
	}
	c.take(ctx, lane, got)
	return nil
}

// room is how many hints the worker could act on. Those that wait for it already
// are not asked for twice; one that waits long waits for something else, a pause
// or a handler of another worker, and takes up no slot.
func (c *Consumer) room() int {
	if c.away.Load() {
		return 0
	}
	free := c.Free()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.held {
		if !h.running && time.Since(h.message.ReceivedAt) < c.Hide {
			free--
		}
	}
	return free
}

// take holds what was received and asks the store about it.
func (c *Consumer) take(ctx context.Context, lane queue.Queue, got []queue.Message) {
	var fresh []*holding
	for _, m := range got {
		hint, err := queue.Decode(m.Body)
		if err != nil {
			c.refuse(ctx, lane, m, err)
			continue
		}
		fresh = append(fresh, c.hold(ctx, &holding{lane: lane, message: m, hint: hint, until: m.ReceivedAt.Add(c.Hide)}))
	}
	if len(fresh) > 0 {
		c.judge(ctx, fresh)
	}
}

// hold enters a message. An older one of the same job is ended: the younger can be
// held longer. When both are the same message, delivered twice, only the receipt is
// new.
func (c *Consumer) hold(ctx context.Context, h *holding) *holding {
	c.mu.Lock()
	older := c.held[h.hint.JobID]
	c.held[h.hint.JobID] = h
	if older != nil {
		h.judged, h.running = older.judged, older.running
	}
	c.mu.Unlock()
	if older != nil {
		c.Metrics.HintEnded(Doubled)
	}
	if older != nil && older.message.ID != h.message.ID {
		c.failed(ctx, "delete", older.lane, older.lane.Delete(ctx, older.message))
	}
	return h
}

// refuse gives a poison message back, later each time: the queue counts, and moves
// it to the dead letter queue in the end, within minutes.
func (c *Consumer) refuse(ctx context.Context, lane queue.Queue, m queue.Message, why error) {
	c.Metrics.HintEnded(Poison)
	if unsaid, now := c.poisoned.Say(); now {
		c.Log.WarnContext(ctx, "message names no job, left to the dead letter queue", "queue", lane.Name(),
			"message_id", m.ID, "receives", m.Receives, "error", why.Error(), "unsaid", unsaid)
	}
	after := min(time.Duration(max(m.Receives, 1))*2*time.Second, c.Hide)
	c.failed(ctx, "return", lane, lane.Return(ctx, after, m))
}

// rang tells the worker that a job is due.
func (c *Consumer) rang() {
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
