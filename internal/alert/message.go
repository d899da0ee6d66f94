package alert

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Reason is why something is said.
type Reason string

// Reasons.
const (
	First        Reason = "first"
	Grown        Reason = "grown"
	Reminder     Reason = "reminder"
	Acknowledged Reason = "acknowledged"
	Over         Reason = "resolved"
	Test         Reason = "test"
)

// Message is what is said: a picture of the alert at the moment it was to be told,
// of bounded size.
type Message struct {
	Reason     Reason    `json:"reason"`
	Kind       string    `json:"kind"`
	Group      string    `json:"group"` // fingerprint; of a digest, its lane
	Severity   Severity  `json:"severity"`
	AlertID    job.ID    `json:"alert_id,omitzero"` // zero: a digest
	Alerts     int       `json:"alerts"`            // how many it speaks of; more than 1: a digest
	Canary     bool      `json:"canary,omitempty"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
	Count      int64     `json:"count"`
	Fresh      int64     `json:"fresh,omitempty"` // of Count: since people were last told
	Again      int64     `json:"again,omitempty"` // of Count: failed again after a redrive
	ValueCents int64     `json:"value_cents"`
	Customers  int       `json:"customers,omitempty"`
	More       bool      `json:"more_customers,omitempty"` // than Customers
	Customer   job.ID    `json:"customer,omitzero"`        // the only one; zero: none, or several
	JobKind    string    `json:"job_kind,omitempty"`
	Text       string    `json:"text,omitempty"`
	Groups     []Group   `json:"groups,omitempty"` // the heaviest, at most mostGroups
	By         string    `json:"by,omitempty"`     // who acknowledged
	Note       string    `json:"note,omitempty"`   // why, or how it was resolved
	Left       int       `json:"left,omitempty"`   // of a digest of what is over: alerts in it that are not
}

// Digest reports whether the message speaks of several alerts at once.
func (m Message) Digest() bool { return m.AlertID == job.ID{} }

// Group is one alert in a message.
type Group struct {
	AlertID    job.ID   `json:"alert_id,omitzero"` // in a digest
	Letters    string   `json:"letters,omitempty"` // in a digest of dead letters: the group as dlq names it
	Signature  string   `json:"signature"`
	Count      int64    `json:"count"`
	ValueCents int64    `json:"value_cents"`
	Cause      string   `json:"cause,omitempty"`
	Jobs       []job.ID `json:"jobs,omitempty"` // examples
}

const (
	mostGroups   = 5
	mostExamples = 3
)

// messageOf pictures one alert.
func messageOf(a Alert, r Reason) Message {
	m := Message{
		Reason: r, Kind: a.Kind, Group: a.Group, Severity: a.Severity, AlertID: a.ID, Alerts: 1, Canary: a.Canary,
		FirstAt: a.FirstAt, LastAt: a.LastAt, Count: a.Count, Again: a.Again, ValueCents: a.ValueCents,
		Customers: len(a.Customers), More: a.MoreCustomers, JobKind: a.JobKind, Text: a.Text,
		Groups: []Group{groupOf(a)},
	}
	if len(a.Customers) == 1 && !a.MoreCustomers {
		m.Customer = a.Customers[0]
	}
	if r == Grown {
		m.Fresh = a.Count - a.SaidCount
	}
	switch r {
	case Acknowledged:
		m.By, m.Note = a.AckedBy, a.AckReason
	case Over:
		m.Note = a.Resolution
	}
	return m
}

func groupOf(a Alert) Group {
	g := Group{Signature: a.Signature, Count: a.Count, ValueCents: a.ValueCents}
	if g.Signature == "" {
		g.Signature = a.Name
	}
	for i := len(a.Samples) - 1; i >= 0 && len(g.Jobs) < mostExamples; i-- {
		s := a.Samples[i]
		if s.JobID != (job.ID{}) {
			g.Jobs = append(g.Jobs, s.JobID)
		}
		if g.Cause == "" {
			g.Cause = s.Cause
		}
	}
	return g
}

// digestOf pictures several alerts of one kind at once.
func digestOf(lane string, r Reason, alerts []*Alert) Message {
	var m Message
	customers := map[job.ID]bool{}
	for i, a := range alerts {
		one := messageOf(*a, r)
		if i == 0 {
			m = one
			m.Group, m.AlertID, m.Alerts, m.Groups = lane, job.ID{}, len(alerts), nil
			m.Count, m.Fresh, m.Again, m.ValueCents = 0, 0, 0, 0
			if len(alerts) > 1 {
				m.Text, m.By, m.Note = "", "", ""
			}
		}
		m.Count += one.Count
		m.Fresh += one.Fresh
		m.Again += one.Again
		m.ValueCents += one.ValueCents
		m.More = m.More || one.More
		if one.Severity.AtLeast(m.Severity) {
			m.Severity = one.Severity
		}
		m.FirstAt, m.LastAt = earlier(m.FirstAt, one.FirstAt), later(m.LastAt, one.LastAt)
		for _, id := range a.Customers {
			if len(customers) < 1000 {
				customers[id] = true
			}
		}
		g := one.Groups[0]
		g.AlertID = a.ID
		if a.Kind == job.AlertDeadLetters && a.Signature != "" {
			g.Letters = job.GroupID(a.Signature)
		}
		m.Groups = heaviest(m.Groups, g)
	}
	m.Customers = len(customers)
	if len(customers) > 1 || m.More {
		m.Customer = job.ID{}
	}
	return m
}

// heaviest keeps the groups with the highest counts.
func heaviest(groups []Group, g Group) []Group {
	at := len(groups)
	for at > 0 && groups[at-1].Count < g.Count {
		at--
	}
	if at >= mostGroups {
		return groups
	}
	groups = append(groups, Group{})
	copy(groups[at+1:], groups[at:])
	groups[at] = g
	return groups[:min(len(groups), mostGroups)]
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
