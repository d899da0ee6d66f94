package alert

import (
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Severity says how much it hurts.
type Severity string

// Severities, the worst first.
const (
	Page Severity = "page" // somebody should come now
	Warn Severity = "warn" // somebody should look today
	Info Severity = "info" // worth knowing
)

var severities = []Severity{Info, Warn, Page}

// AtLeast reports whether s is as bad as least.
func (s Severity) AtLeast(least Severity) bool {
	return slices.Index(severities, s) >= slices.Index(severities, least)
}

// State says what people have done about an alert.
type State string

// States. What is silenced is open again when the silence ends.
const (
	Open     State = "open"
	Acked    State = "acked"    // somebody takes care: no reminders
	Silenced State = "silenced" // nothing is said until a moment
	Resolved State = "resolved" // the trouble is over; the next one is another alert
)

// States is every state.
var States = []State{Open, Acked, Silenced, Resolved}

// Bounds of what an alert keeps, so that a flood takes no more room than a drop.
const (
	mostSamples   = 5
	mostCustomers = 50
	mostJobs      = 100
)

// Alert is a trouble that a person must know of: all notices of one group since it
// was first seen.
type Alert struct {
	ID         job.ID    `json:"id"`
	Kind       string    `json:"kind"`
	Group      string    `json:"group"` // fingerprint; at most one alert of a group is not resolved
	Severity   Severity  `json:"severity"`
	State      State     `json:"state"`
	Canary     bool      `json:"canary,omitempty"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
	Count      int64     `json:"count"`
	ValueCents int64     `json:"value_cents"`
	Samples    []Sample  `json:"sample,omitempty"` // the latest last
	SayAt      time.Time `json:"say_at,omitzero"`  // when the gate must look at it again; zero: when a notice comes
	Lane       string    `json:"lane"`             // in which its messages keep their order: its group, or a digest's
	Detail
}

// Detail is what no statement asks for.
type Detail struct {
	Name          string   `json:"name,omitempty"` // of the group, within the kind
	Text          string   `json:"text,omitempty"` // the latest sentence
	JobKind       string   `json:"job_kind,omitempty"`
	Class         string   `json:"class,omitempty"`
	Signature     string   `json:"signature,omitempty"`
	Again         int64    `json:"again,omitempty"`     // of Count: failed again after a redrive
	Customers     []job.ID `json:"customers,omitempty"` // hit; at most mostCustomers
	MoreCustomers bool     `json:"more_customers,omitempty"`
	Jobs          []job.ID `json:"jobs,omitempty"` // that died, whose value is counted; at most mostJobs

	SaidAt     time.Time `json:"said_at,omitzero"` // when people were last told; zero: never
	SaidCount  int64     `json:"said_count,omitempty"`
	GrownAt    time.Time `json:"grown_at,omitzero"`   // of the first that was not told since
	HeldUntil  time.Time `json:"held_until,omitzero"` // for the next digest
	Reminders  int       `json:"reminders,omitempty"`
	AckSaid    bool      `json:"ack_said,omitempty"`
	AckedAt    time.Time `json:"acked_at,omitzero"`
	AckedBy    string    `json:"acked_by,omitempty"`
	AckReason  string    `json:"ack_reason,omitempty"`
	Silence    *Silence  `json:"silence,omitempty"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	Resolution string    `json:"resolution,omitempty"`
}

// Sample is one thing that an alert speaks of.
type Sample struct {
	JobID      job.ID    `json:"job_id,omitzero"`
	CustomerID job.ID    `json:"customer_id,omitzero"`
	Cause      string    `json:"cause,omitempty"`
	At         time.Time `json:"at"`
}

// Silence is who wants not to hear of a group, until when, and why. It holds for the
// group: an alert that comes while it lasts is born silenced.
type Silence struct {
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// newAlert makes the alert that o is the first of.
func newAlert(o Observation) Alert {
	return Alert{
		ID: job.NewID(), Kind: o.Kind, Group: o.Fingerprint(), Severity: o.Severity, State: Open, Canary: o.Canary,
		FirstAt: o.At, LastAt: o.At, Lane: o.Fingerprint(), Detail: Detail{Name: o.Group},
	}
}

// add counts what o speaks of.
func (a *Alert) add(o Observation) {
	before := a.Count
	switch {
	case o.Whole: // nothing is counted, or put at risk, twice
		a.Count, a.ValueCents = max(a.Count, o.Count), max(a.ValueCents, o.ValueCents)
	case a.died(o): // once more: another letter, and the same money
		a.Count += o.Count
	default:
		a.Count, a.ValueCents = a.Count+o.Count, a.ValueCents+o.ValueCents
	}
	if o.Redrives > 0 {
		a.Again += o.Count
	}
	if o.Severity.AtLeast(a.Severity) {
		a.Severity = o.Severity
	}
	if o.At.Before(a.FirstAt) {
		a.FirstAt = o.At
	}
	if o.At.After(a.LastAt) {
		a.LastAt = o.At
	}
	for _, latest := range []struct{ of, to *string }{
		{&o.Text, &a.Text}, {&o.JobKind, &a.JobKind}, {&o.Class, &a.Class}, {&o.Signature, &a.Signature},
	} {
		if *latest.of != "" {
			*latest.to = *latest.of
		}
	}
	if !a.SaidAt.IsZero() && a.GrownAt.IsZero() && a.Count > before {
		a.GrownAt = o.At
	}
	a.addCustomer(o.CustomerID)
	a.addSamples(o)
}

// died reports whether the value of the dead job that o speaks of is counted, and
// remembers it. Of a flood not every job is remembered: then the value is at most
// what is told.
func (a *Alert) died(o Observation) bool {
	if o.Kind != job.AlertDeadLetters || len(o.JobIDs) != 1 {
		return false
	}
	if slices.Contains(a.Jobs, o.JobIDs[0]) {
		return true
	}
	if len(a.Jobs) < mostJobs {
		a.Jobs = append(a.Jobs, o.JobIDs[0])
	}
	return false
}

func (a *Alert) addCustomer(id job.ID) {
	switch {
	case id == (job.ID{}) || slices.Contains(a.Customers, id):
	case len(a.Customers) >= mostCustomers:
		a.MoreCustomers = true
	default:
		a.Customers = append(a.Customers, id)
	}
}

func (a *Alert) addSamples(o Observation) {
	if len(o.JobIDs) == 0 && o.Cause != "" {
		a.Samples = append(a.Samples, Sample{CustomerID: o.CustomerID, Cause: o.Cause, At: o.At})
	}
	for _, id := range o.JobIDs {
		a.Samples = slices.DeleteFunc(a.Samples, func(s Sample) bool { return s.JobID == id })
		a.Samples = append(a.Samples, Sample{JobID: id, CustomerID: o.CustomerID, Cause: o.Cause, At: o.At})
	}
	a.Samples = slices.Clone(a.Samples[max(0, len(a.Samples)-mostSamples):])
}

// resolve ends the alert.
func (a *Alert) resolve(at time.Time, how string) {
	a.State, a.ResolvedAt, a.Resolution, a.SayAt = Resolved, at, how, at
}

// parkedChannel is the channel that has parked messages, where the alert is about
// these; else it is empty.
func (a *Alert) parkedChannel() string {
	channel, parked := strings.CutSuffix(a.Name, parkedSuffix)
	if a.Kind != job.AlertChannelDown || !parked {
		return ""
	}
	return channel
}

// parkedSuffix follows the channel's name in the name of such an alert.
const parkedSuffix = ":parked"

// Unsaid is what there is to say of the alert and waits for its turn, which comes at
// SayAt; false: there is nothing.
func (a Alert) Unsaid() (Message, bool) {
	var r Reason
	switch said := !a.SaidAt.IsZero(); {
	case a.SayAt.IsZero(), a.State == Silenced:
	case a.State == Resolved:
		if said {
			r = Over
		}
	case !said:
		r = First
	case a.State == Acked && !a.AckSaid:
		r = Acknowledged
	case a.Count > a.SaidCount:
		r = Grown
	}
	return messageOf(a, r), r != ""
}

// silenced reports whether nothing may be said now.
func (a *Alert) silenced(now time.Time) bool { return a.Silence != nil && a.Silence.Until.After(now) }
