package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

type alertsTestCmd struct {
	Channel string `placeholder:"NAME" enum:",slack,webhook,pagerduty,email" default:"" help:"Only this one: slack, webhook, pagerduty or email."`
}

// testPatience is how long a channel may take to answer.
const testPatience = 15 * time.Second

// Help shows how it is typed.
func (alertsTestCmd) Help() string {
	return "Each channel that is set gets one message that says it is a test; on PagerDuty, an incident that is resolved at once. " +
		"A channel that takes it is tried again at once with what waits for it. " +
		"Exit status 3 when no channel is set, 4 when one of several did not take the message, 1 when none did.\n\n" +
		examples("directorybolt alerts test", "directorybolt alerts test --channel slack --json")
}

// tested is what came of one channel.
type tested struct {
	Channel string        `json:"channel"`
	Outcome alert.Outcome `json:"outcome"`
	Cause   string        `json:"cause,omitempty"`
	Took    time.Duration `json:"took_ns"`
}

// Run tests.
func (c alertsTestCmd) Run(ctx context.Context, a *app) error {
	h, err := a.errand()
	if err != nil {
		return err
	}
	channels, err := h.notifiers()
	if err != nil {
		return err
	}
	if c.Channel != "" {
		channels = slices.DeleteFunc(channels, func(n alert.Notifier) bool { return n.Channel() != c.Channel })
	}
	if len(channels) == 0 {
		return notFound(errors.New("no such alert channel is set"), "set SLACK_WEBHOOK_URL, ALERT_WEBHOOK_URL, PAGERDUTY_ROUTING_KEY or SMTP_URL: docs/configuration.md")
	}
	var results []tested
	for _, n := range channels {
		results = append(results, test(ctx, n))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	err = list(a, results, []string{"CHANNEL", "OUTCOME", "TOOK", "CAUSE"}, func(t tested) []string {
		return []string{t.Channel, string(t.Outcome), t.Took.Round(time.Millisecond).String(), t.Cause}
	})
	if err != nil {
		return err
	}
	h.reopen(ctx, results)
	return verdictOf(results)
}

// test sends one message. It is no alert: no row is made of it.
func test(ctx context.Context, n alert.Notifier) tested {
	now := time.Now().UTC()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	id := job.NewID()
	post := alert.Post{ID: id, At: now, Message: alert.Message{
		Reason: alert.Test, Kind: "test", Group: "test:" + id.String(), Severity: alert.Info, AlertID: id, Alerts: 1,
		FirstAt: now, LastAt: now, Count: 1, Text: "Sent by " + defaultActor() + " on " + host + " with: directorybolt alerts test. There is nothing to do.",
	}}
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	r := n.Send(ctx, post)
	return tested{n.Channel(), r.Outcome, r.Cause, time.Since(now)}
}

// reopen lets what waits for a channel that works go at once. Where there is no store
// yet, nothing waits.
func (h house) reopen(ctx context.Context, results []tested) {
	s, err := h.open(ctx)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	for _, t := range results {
		if t.Outcome == alert.Delivered {
			_ = alert.Reopen(ctx, s, t.Channel) // it is tried anyway, only later
		}
	}
}

func verdictOf(results []tested) error {
	failed := 0
	for _, t := range results {
		if t.Outcome != alert.Delivered {
			failed++
		}
	}
	switch {
	case failed == 0:
		return nil
	case failed < len(results):
		return &exitError{ExitPartly, fmt.Errorf("%d of %d alert channels did not take the test", failed, len(results)), "see: docs/runbook.md, Slack is silent"}
	case len(results) == 1:
		return remedied(fmt.Errorf("the alert channel %s did not take the test", results[0].Channel), "see: docs/runbook.md, Slack is silent")
	}
	return remedied(errors.New("no alert channel took the test"), "see: docs/runbook.md, Slack is silent")
}
