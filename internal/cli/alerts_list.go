package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
)

type alertsListCmd struct {
	State       string `placeholder:"STATE" enum:",open,acked,silenced,resolved" default:"" help:"Only alerts in this state: open, acked, silenced or resolved."`
	Kind        string `placeholder:"KIND" help:"Only alerts of this kind: dead_letters, storm, …"`
	All         bool   `help:"Also resolved alerts."`
	Undelivered bool   `help:"List messages that no channel has accepted yet, and what is held back, instead of alerts."`
	Limit       int    `default:"50" placeholder:"N" help:"At most so many, up to 1000; ${default} unless told."`
}

// Help shows how it is typed.
func (alertsListCmd) Help() string {
	return examples("directorybolt alerts list", "directorybolt alerts list --all --kind dead_letters", "directorybolt alerts list --undelivered --json")
}

// Run prints the alerts, those seen last first, and how the channels are.
func (c alertsListCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return usage(fmt.Errorf("--limit %d is out of range", c.Limit), "1 to 1000")
	}
	return a.withStore(ctx, func(s backend) error {
		now, err := s.Now(ctx)
		if err != nil {
			return err
		}
		if c.Undelivered {
			err = c.undelivered(ctx, a, s, now)
		} else {
			err = c.alerts(ctx, a, s)
		}
		if err != nil {
			return err
		}
		return tellChannels(ctx, a, s, now)
	})
}

func (c alertsListCmd) alerts(ctx context.Context, a *app, s backend) error {
	alerts, err := s.Alerts(ctx, alert.Filter{State: alert.State(c.State), Kind: c.Kind, All: c.All, Limit: c.Limit})
	if err != nil {
		return err
	}
	if len(alerts) == 0 {
		a.say("no alerts")
	}
	header := []string{"ALERT", "SEVERITY", "STATE", "COUNT", "VALUE", "SINCE", "LATEST", "GROUP"}
	return list(a, alerts, header, func(l alert.Alert) []string {
		return []string{
			l.ID.String(), string(l.Severity), stateOf(l), fmt.Sprint(l.Count), dollars(l.ValueCents), stamp(l.FirstAt), stamp(l.LastAt),
			cut(l.Group, 70),
		}
	})
}

func stateOf(l alert.Alert) string {
	switch l.State {
	case alert.Silenced:
		return "silenced until " + stamp(l.Silence.Until)
	case alert.Acked:
		return "acked by " + l.AckedBy
	}
	return string(l.State)
}

func (c alertsListCmd) undelivered(ctx context.Context, a *app, s backend, now time.Time) error {
	deliveries, err := s.Undelivered(ctx, c.Limit)
	if err != nil {
		return err
	}
	unaccepted := make([]unacceptedMessage, len(deliveries))
	for i, d := range deliveries {
		unaccepted[i].Delivery = d
	}
	held, err := c.held(ctx, s, now)
	if err != nil {
		return err
	}
	unaccepted = append(unaccepted, held...)
	if len(unaccepted) == 0 {
		a.say("every message was accepted, and nothing is held back")
	}
	header := []string{"CHANNEL", "SAYS", "ABOUT", "DUE", "LATE", "TRIES", "STATE", "LAST ERROR"}
	return list(a, unaccepted, header, func(d unacceptedMessage) []string {
		state, channel := "waits", d.Channel
		switch {
		case !d.HeldUntil.IsZero():
			state, channel = "held until "+stamp(d.HeldUntil), "all"
		case !d.ParkedAt.IsZero():
			state = "parked"
		}
		return []string{
			channel, string(d.Message.Reason), cut(d.Message.Group, 50), stamp(d.DueAt), span(now.Sub(d.DueAt)), fmt.Sprint(d.Attempts), state,
			cut(d.Error, 60),
		}
	})
}

// unacceptedMessage is a message that no channel has accepted; one that is held back is
// not made yet.
type unacceptedMessage struct {
	alert.Delivery
	HeldUntil time.Time `json:"held_until,omitzero"`
}

// held is what there is to say and is held back: for the next digest, because the group
// was spoken of lately, or because there are fewer letters than the threshold.
func (c alertsListCmd) held(ctx context.Context, s backend, now time.Time) (held []unacceptedMessage, err error) {
	open, err := s.Alerts(ctx, alert.Filter{Limit: c.Limit})
	if err != nil {
		return nil, err
	}
	over, err := s.Alerts(ctx, alert.Filter{State: alert.Resolved, Since: now.Add(-time.Hour), Limit: c.Limit})
	if err != nil {
		return nil, err
	}
	for _, l := range append(open, over...) {
		if m, unsaid := l.Unsaid(); unsaid {
			d := alert.Delivery{AlertID: l.ID, Lane: l.Lane, Message: m, DueAt: l.SayAt, NextAt: l.SayAt}
			if m.Reason == alert.First {
				d.DueAt = l.FirstAt
			}
			held = append(held, unacceptedMessage{d, l.SayAt})
		}
	}
	return held, nil
}

// tellChannels says how each channel is that was ever used.
func tellChannels(ctx context.Context, a *app, s backend, now time.Time) error {
	channels, err := s.Backlogs(ctx)
	if err != nil {
		return err
	}
	if len(channels) == 0 {
		a.say("no channel was ever used; set one, then: directorybolt alerts test")
	}
	for _, c := range channels {
		a.say("%s: %s", c.Name, channelHealth(c, now))
	}
	return nil
}

func channelHealth(c alert.Backlog, now time.Time) string {
	var parts []string
	switch {
	case !c.HeldAt.IsZero():
		parts = append(parts, fmt.Sprintf("refuses everything since %s: %s", stamp(c.HeldAt), c.Error))
	case !c.FailingSince.IsZero():
		parts = append(parts, fmt.Sprintf("fails since %s: %s", stamp(c.FailingSince), c.Error))
	case !c.GoodAt.IsZero():
		parts = append(parts, "works, last message accepted "+stamp(c.GoodAt))
	default:
		parts = append(parts, "never sent a message")
	}
	if c.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%s, the oldest %s late", waitingMessages(c.Waiting), span(now.Sub(c.OldestDue))))
	}
	if c.Parked > 0 {
		parts = append(parts, fmt.Sprintf("%d of them parked", c.Parked))
	}
	return strings.Join(parts, "; ")
}

func waitingMessages(n int64) string {
	if n == 1 {
		return "1 message waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}
