package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/pagerduty"
	"github.com/directorybolt/directorybolt/internal/alert/slack"
	"github.com/directorybolt/directorybolt/internal/alert/smtp"
	"github.com/directorybolt/directorybolt/internal/alert/webhook"
)

// notifiers are the alert channels that the settings name.
func (h house) notifiers() (list []alert.Notifier, err error) {
	c := h.config
	if c.SlackWebhookURL != "" {
		list = append(list, slack.New(slack.Config{URL: c.SlackWebhookURL, PublicURL: c.PublicURL}))
	}
	if c.AlertWebhookURL != "" {
		n, fault := webhook.New(webhook.Config{URL: c.AlertWebhookURL, Secret: c.AlertWebhookSecret, PublicURL: c.PublicURL})
		list, err = append(list, n), errors.Join(err, fault)
	}
	if c.PagerDutyRoutingKey != "" {
		list = append(list, pagerduty.New(pagerduty.Config{RoutingKey: c.PagerDutyRoutingKey, PublicURL: c.PublicURL, Source: c.PublicURL}))
	}
	if c.SMTPURL != "" {
		n, fault := smtp.New(smtp.Config{URL: c.SMTPURL, To: c.AlertEmailTo, PublicURL: c.PublicURL})
		list, err = append(list, n), errors.Join(err, fault)
	}
	if err != nil {
		return nil, usage(fmt.Errorf("make the alert channels: %w", err), "see: directorybolt config print, docs/configuration.md")
	}
	return list, nil
}

// alerting is the gate and the deliverer, as every process that has them runs them.
func (h house) alerting(ctx context.Context, s backend) (services, error) {
	channels, err := h.notifiers()
	if err != nil {
		return nil, err
	}
	gate := alert.GateConfig{Store: s, Threshold: int64(h.config.DLQAlertThreshold), Log: h.log, Metrics: h.metrics}
	if len(channels) == 0 {
		h.log.WarnContext(ctx, "no alert channel is set: alerts are kept, and nobody is told",
			"remedy", "set SLACK_WEBHOOK_URL, then: directorybolt alerts test")
		return services{alert.NewGate(gate).Run}, nil
	}
	deliverer := alert.NewDeliverer(alert.DelivererConfig{Store: s, Notifiers: channels, Log: h.log, Metrics: h.metrics})
	for _, n := range channels {
		gate.Audiences = append(gate.Audiences, alert.Audience{Channel: n.Channel(), Least: n.Least()})
	}
	gate.Wake = deliverer.Wake
	return services{alert.NewGate(gate).Run, deliverer.Run}, nil
}
