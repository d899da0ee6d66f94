// Package pagerduty opens, acknowledges and resolves incidents by PagerDuty's Events
// API v2. It is for what pages; one incident stands for one group of alerts.
package pagerduty

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/webpost"
)

// Endpoint is where PagerDuty takes events.
const Endpoint = "https://events.pagerduty.com/v2/enqueue"

// Config says which service is paged.
type Config struct {
	RoutingKey string // a secret
	PublicURL  string // where people reach this installation; empty: no link
	URL        string // empty: Endpoint
	Source     string // which installation; empty: directorybolt
}

// Notifier sends events of one service.
type Notifier struct{ config Config }

// New returns a notifier.
func New(c Config) *Notifier {
	if c.URL == "" {
		c.URL = Endpoint
	}
	if c.Source == "" {
		c.Source = "directorybolt"
	}
	return &Notifier{c}
}

// Channel is "pagerduty".
func (*Notifier) Channel() string { return "pagerduty" }

// Target hashes the routing key.
func (n *Notifier) Target() string { return webpost.Target(n.config.URL, n.config.RoutingKey) }

// Least is what pages.
func (*Notifier) Least() alert.Severity { return alert.Page }

type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Payload    *payload `json:"payload,omitempty"`
	Links      []link   `json:"links,omitempty"`
	Client     string   `json:"client,omitempty"`
}

type payload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp time.Time      `json:"timestamp"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details,omitempty"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// PagerDuty's limits in bytes.
const (
	mostSummary = 1024
	mostDedup   = 255
)

var severities = map[alert.Severity]string{alert.Page: "critical", alert.Warn: "warning", alert.Info: "info"}

// action is what the message means for its incident; empty: nothing.
func action(m alert.Message) string {
	switch m.Reason {
	case alert.Acknowledged:
		if m.Digest() {
			return "" // of one among many
		}
		return "acknowledge"
	case alert.Over:
		if m.Left > 0 {
			return "" // the incident of a digest ends with the last
		}
		return "resolve"
	}
	return "trigger"
}

// Send sends the event. A test opens an incident of its own and resolves it at once.
func (n *Notifier) Send(ctx context.Context, p alert.Post) alert.Receipt {
	act := action(p.Message)
	if act == "" {
		return alert.Receipt{Outcome: alert.Delivered}
	}
	r := n.enqueue(ctx, n.event(act, p))
	if p.Message.Reason == alert.Test && r.Outcome == alert.Delivered {
		return n.enqueue(ctx, n.event("resolve", p))
	}
	return r
}

func (n *Notifier) event(act string, p alert.Post) event {
	e := event{RoutingKey: n.config.RoutingKey, Action: act, DedupKey: cut(p.Message.Group, mostDedup)}
	if act != "trigger" {
		return e
	}
	c := p.Content(n.config.PublicURL)
	e.Client = "DirectoryBolt"
	e.Payload = &payload{
		Summary: cut(strings.Join(append([]string{c.Title}, c.Notes...), " · "), mostSummary), Source: n.config.Source,
		Severity: severities[p.Message.Severity], Timestamp: p.Message.LastAt, Group: p.Message.Kind, Class: p.Message.JobKind,
		Details: details(c),
	}
	if c.Link != "" {
		e.Links = []link{{c.Link, "Open DirectoryBolt"}}
	}
	return e
}

func details(c alert.Content) map[string]any {
	d := map[string]any{"commands": c.Commands, "alert": c.Footer}
	if c.Text != "" {
		d["text"] = c.Text
	}
	for _, f := range c.Facts {
		d[strings.ToLower(f.Name)] = f.Value
	}
	lines := make([]string, len(c.Groups))
	for i, g := range c.Groups {
		lines[i] = g.Line()
	}
	d["groups"] = lines
	return d
}

func (n *Notifier) enqueue(ctx context.Context, e event) alert.Receipt {
	body, err := json.Marshal(e)
	if err != nil {
		return alert.Receipt{Outcome: alert.Refused, Cause: fmt.Sprintf("the event cannot be written: %v", err)}
	}
	answer, failed := webpost.Post(ctx, n.config.URL, body, nil)
	if failed != nil {
		return *failed
	}
	return n.judge(answer)
}

// judge reads PagerDuty's answer: 202 is a yes; a 400 is about the event, unless it is
// about the routing key.
func (n *Notifier) judge(a webpost.Answer) alert.Receipt {
	a.Body = strings.ReplaceAll(a.Body, n.config.RoutingKey, "[redacted]")
	r := a.Receipt()
	if a.Status == http.StatusBadRequest && strings.Contains(strings.ToLower(strings.ReplaceAll(a.Body, "_", " ")), "routing key") {
		r.Outcome = alert.Closed
	}
	return r
}

// cut shortens s to at most n bytes, at a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
