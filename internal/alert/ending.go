package alert

import (
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// ending records how an attempt ended, inside a transaction.
type ending struct {
	*Deliverer
	Tx
	taken
	receipt Receipt
}

func (e *ending) record() error {
	d, err := e.Tx.Delivery(e.id)
	if err != nil {
		return err
	}
	if !d.SentAt.IsZero() {
		return nil
	}
	if d.Attempts != e.attempt && e.receipt.Outcome != Delivered {
		return nil // another took it meanwhile and knows better; that it arrived is true all the same
	}
	c, err := e.Tx.Channel(d.Channel)
	if err != nil {
		return err
	}
	if !e.receipt.Doubt {
		d.DoubtAt = e.doubt
	}
	d.Error = job.OneLine(e.receipt.Cause, mostText)
	if e.receipt.Outcome == Delivered {
		err = e.delivered(&d, &c)
	} else {
		err = e.failed(&d, &c)
	}
	if err != nil {
		return err
	}
	if err := e.SaveDelivery(d); err != nil {
		return err
	}
	return e.SaveChannel(c)
}

func (e *ending) delivered(d *Delivery, c *Channel) error {
	now := e.Now()
	d.SentAt, d.ParkedAt = now, time.Time{}
	since := c.FailingSince
	told := c.Told
	c.Failures, c.FailingSince, c.HeldAt, c.Error, c.Told, c.GoodAt = 0, time.Time{}, time.Time{}, "", false, now
	if !told {
		return nil
	}
	return e.tell(c, "", true, fmt.Sprintf("%s works again after %s", c.Name, span(now.Sub(since))))
}

func (e *ending) failed(d *Delivery, c *Channel) error {
	now := e.Now()
	c.Failures++
	c.Error = d.Error
	if c.FailingSince.IsZero() {
		c.FailingSince = now
	}
	// A message that failed stands behind the others. Where it is the channel that
	// asked for a pause or refuses everything, it keeps its place.
	d.NextAt = now.Add(e.pause(d.Attempts))
	if e.receipt.After > 0 || e.receipt.Outcome == Closed {
		d.NextAt = d.CreatedAt
	}
	c.NextAt = later(c.NextAt, now.Add(e.receipt.After))
	switch e.receipt.Outcome {
	case Closed:
		c.NextAt = now.Add(max(e.Probe, e.receipt.After))
		if c.HeldAt.IsZero() {
			c.HeldAt = now
		}
		return e.down(c, c.Name+" refuses every message: "+d.Error)
	case Refused:
		// The message is to blame, not the channel.
		c.Failures, c.FailingSince = 0, time.Time{}
		return e.refused(d, c)
	}
	c.NextAt = later(c.NextAt, now.Add(e.pause(c.Failures)))
	if now.Sub(c.FailingSince) >= e.DownAfter {
		return e.down(c, fmt.Sprintf("%s takes no message since %s: %s", c.Name, stamp(c.FailingSince), d.Error))
	}
	return nil
}

// refused parks a message that is refused again and again. It keeps its place in its
// lane and is tried seldom from then on.
func (e *ending) refused(d *Delivery, c *Channel) error {
	d.Refusals++
	if d.Refusals < e.Refusals {
		return nil
	}
	d.NextAt = e.Now().Add(e.Probe)
	if !d.ParkedAt.IsZero() {
		return nil
	}
	d.ParkedAt = e.Now()
	return e.tell(c, parkedSuffix, false, fmt.Sprintf("%s refuses a message about %s: %s; it is parked",
		c.Name, natureOf(d.Message.Kind).many, d.Error))
}

// pause grows with failures in a row; half of it is random.
func (e *ending) pause(n int) time.Duration {
	return e.Backoff.Ceiling(n)/2 + e.Backoff.Delay(n)/2
}

// down tells the other channels, once.
func (e *ending) down(c *Channel, text string) error {
	if c.Told {
		return nil
	}
	c.Told = true
	return e.tell(c, "", false, text)
}

func (e *ending) tell(c *Channel, what string, over bool, text string) error {
	typ := job.EventChannelDown
	if over {
		typ = job.EventChannelUp
	}
	return e.Tx.Tell(job.Event{Type: typ, Cause: text}, &job.Notice{
		Key: "channel:" + c.Name + what + ":" + typ, Alert: job.AlertChannelDown, Group: c.Name + what, Resolved: over, Text: text,
	})
}
