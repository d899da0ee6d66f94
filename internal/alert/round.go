package alert

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// round is one pass of the gate inside its transaction.
type round struct {
	*Gate
	Tx
	Passed
	now time.Time
}

func (r *round) pass() error {
	for r.Read < noticesMost {
		n, err := r.readPage()
		if err != nil {
			return err
		}
		if r.Read += n; n < noticesPage {
			break
		}
	}
	if len(r.Audiences) == 0 {
		return nil
	}
	return r.say()
}

// readPage reads some notices into their alerts.
func (r *round) readPage() (int, error) {
	messages, err := r.Notices(noticesPage)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	seen := make([]Observation, len(messages))
	ids := make([]job.ID, len(messages))
	var groups []string
	for i, m := range messages {
		seen[i], ids[i] = Observe(m.Payload, m.CreatedAt), m.ID
		groups = append(groups, seen[i].groups()...)
	}
	latest, err := r.Latest(groups...)
	if err != nil {
		return 0, err
	}
	p := page{alerts: make(map[string]*Alert, len(latest))}
	for i := range latest {
		p.alerts[latest[i].Group] = &latest[i]
	}
	for _, o := range seen {
		if err := r.absorb(o, &p); err != nil {
			return 0, err
		}
	}
	for _, a := range p.touched {
		if err := r.SaveAlert(*a); err != nil {
			return 0, err
		}
	}
	return len(messages), r.MarkSent(ids...)
}

// page is what some notices are about.
type page struct {
	alerts  map[string]*Alert // the latest of each group
	touched []*Alert          // in that order: the end of one comes before the next of its group
}

func (p *page) touch(a *Alert) {
	p.alerts[a.Group] = a
	if !slices.Contains(p.touched, a) {
		p.touched = append(p.touched, a)
	}
}

// groups are the fingerprints that the observation may be about. That a trouble is
// over is true of canaries in it as well; but each dead letter has a fate of its own,
// and those of canaries are told apart.
func (o Observation) groups() []string {
	if o.Resolved && o.Kind != job.AlertDeadLetters {
		return []string{Fingerprint(o.Kind, o.Group, false), Fingerprint(o.Kind, o.Group, true)}
	}
	return []string{o.Fingerprint()}
}

func (r *round) absorb(o Observation, p *page) error {
	if o.Resolved {
		return r.close(o, p)
	}
	a := p.alerts[o.Fingerprint()]
	if a == nil || a.State == Resolved {
		fresh := newAlert(o)
		fresh.SayAt = r.now.Add(r.Settle)
		if a != nil && a.silenced(r.now) {
			fresh.State, fresh.Silence = Silenced, a.Silence
		}
		a = &fresh
	} else if !a.SaidAt.IsZero() {
		a.SayAt = r.now
	}
	first := a.Count == 0
	a.add(o)
	p.touch(a)
	if !first {
		return nil
	}
	r.Raised = append(r.Raised, *a)
	return r.event(job.EventAlertRaised, *a, a.Text)
}

// close resolves what the observation says is over; of what was never open there is
// nothing to say.
func (r *round) close(o Observation, p *page) error {
	for _, group := range o.groups() {
		a := p.alerts[group]
		if a == nil || a.State == Resolved {
			continue
		}
		a.resolve(later(o.At, a.LastAt), o.Text)
		p.touch(a)
		if err := r.resolved(a); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) resolved(a *Alert) error {
	a.SayAt = r.now
	r.Resolved = append(r.Resolved, *a)
	return r.event(job.EventAlertResolved, *a, a.Resolution)
}

// event writes what happened to an alert into the history.
func (r *round) event(typ string, a Alert, why string) error {
	return r.Tell(eventOf(typ, a, job.By{Actor: job.ActorSystem, Reason: why}), nil)
}

func eventOf(typ string, a Alert, by job.By) job.Event {
	detail, err := json.Marshal(map[string]any{"alert_id": a.ID, "kind": a.Kind, "group": a.Group, "severity": a.Severity, "count": a.Count})
	if err != nil {
		panic(fmt.Sprintf("alert: an event's detail: %v", err)) // strings and numbers
	}
	return job.Event{Type: typ, Actor: by.Actor, Cause: by.Reason, Detail: detail}
}

// saying is what is to be said of an alert.
type saying struct {
	*Alert
	reason Reason
	due    time.Time // when people should have heard of it
}

// say looks at every alert whose time has come.
func (r *round) say() error {
	due, err := r.Due(dueMost)
	if err != nil || len(due) == 0 {
		return err
	}
	kinds := map[string][]saying{} // of one kind, canaries apart
	unresolved := int64(-1)
	for i := range due {
		a := &due[i]
		if a.Kind == job.AlertDeadLetters && unresolved < 0 {
			if unresolved, err = r.Unresolved(a.Kind); err != nil {
				return err
			}
		}
		s, err := r.decide(a, unresolved)
		if err != nil {
			return err
		}
		if s.reason != "" {
			lane := digestLane(a)
			kinds[lane] = append(kinds[lane], s)
		}
	}
	for _, lane := range slices.Sorted(maps.Keys(kinds)) {
		if err := r.sayOf(lane, kinds[lane]); err != nil {
			return err
		}
	}
	for i := range due {
		if err := r.SaveAlert(due[i]); err != nil {
			return err
		}
	}
	return nil
}

// decide says what is to be said of a now, if anything, and when to look again.
func (r *round) decide(a *Alert, unresolved int64) (saying, error) {
	if a.State == Silenced && !a.silenced(r.now) {
		a.State = Open
		if !a.AckedAt.IsZero() {
			a.State = Acked
		}
	}
	passing := natureOf(a.Kind).passing
	if passing && a.State != Resolved && !a.SaidAt.IsZero() && a.Count == a.SaidCount && !r.now.Before(a.LastAt.Add(r.Quiet)) {
		a.resolve(r.now, "nothing more for "+r.Quiet.String())
		if err := r.resolved(a); err != nil {
			return saying{}, err
		}
		a.SayAt = time.Time{} // it only passed: nobody waits for its end
		return saying{}, nil
	}
	if a.State == Resolved {
		a.SayAt = time.Time{}
		if a.SaidAt.IsZero() {
			return saying{}, nil
		}
		return saying{a, Over, a.ResolvedAt}, nil
	}
	if a.State == Silenced {
		a.SayAt = a.Silence.Until
		return saying{}, nil
	}
	if a.SaidAt.IsZero() {
		if a.Kind == job.AlertDeadLetters && !a.Canary && unresolved < r.Threshold {
			a.SayAt = r.now.Add(10 * r.Interval)
			return saying{}, nil
		}
		return saying{a, First, a.FirstAt}, nil
	}
	if a.State == Acked && !a.AckSaid {
		return saying{a, Acknowledged, a.AckedAt}, nil
	}
	if next := a.SaidAt.Add(r.Spacing); a.Count > a.SaidCount && !r.now.Before(next) {
		return saying{a, Grown, later(next, a.GrownAt)}, nil
	}
	if next := r.reminder(a); a.State == Open && !passing && !r.now.Before(next) {
		return saying{a, Reminder, next}, nil
	}
	a.SayAt = r.nextLook(a)
	return saying{}, nil
}

func (r *round) reminder(a *Alert) time.Time {
	return a.SaidAt.Add(r.Reminders[min(a.Reminders, len(r.Reminders)-1)])
}

// nextLook is when there may be something to say about an alert that was said.
func (r *round) nextLook(a *Alert) (at time.Time) {
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if a.State == Resolved {
		return at
	}
	if a.Count > a.SaidCount {
		sooner(a.SaidAt.Add(r.Spacing))
	}
	switch passing := natureOf(a.Kind).passing; {
	case passing:
		sooner(later(a.LastAt.Add(r.Quiet), r.now.Add(r.Interval)))
	case a.State == Open:
		sooner(r.reminder(a))
	}
	return at
}

const digestPrefix = "digest:"

// digestLane is where digests with such an alert are said.
func digestLane(a *Alert) string { return digestPrefix + Fingerprint(a.Kind, "", a.Canary) }

// sayOf says several things of one kind: singly while they are few, else as a digest.
// What comes so soon after a digest that it must wait is gathered for the next.
func (r *round) sayOf(lane string, sayings []saying) error {
	recent, err := r.Tx.Recent(lane, r.now.Add(-r.Spacing))
	if err != nil {
		return err
	}
	few := recent.Singles+len(sayings) <= r.Burst
	together := map[Reason][]saying{}
	for _, s := range sayings {
		if s.reason != First { // of that people should have heard at once
			s.due = later(s.due, s.HeldUntil)
		}
		own := s.Lane != lane
		switch ends := s.reason == Over || s.reason == Acknowledged; {
		case own && (few || ends && !s.SaidAt.IsZero()):
			err = r.deliver(s.Lane, messageOf(*s.Alert, s.reason), s.due, s)
		case r.now.Before(r.nextDigest(recent, s.reason)):
			s.hold(lane, r.nextDigest(recent, s.reason))
		case own && s.reason != First:
			err = r.join(s, together)
		default:
			s.Lane = lane
			together[s.reason] = append(together[s.reason], s)
		}
		if err != nil {
			return err
		}
	}
	return r.sayTogether(lane, together)
}

// nextDigest is when the next of such digests may be said. What nobody has heard of yet
// waits for seconds, whatever else was told; the rest has time.
func (r *round) nextDigest(recent Recent, reason Reason) time.Time {
	if reason == First {
		return recent.First.Add(r.Gather)
	}
	return recent.Digest.Add(r.Spacing)
}

// hold keeps what is to be said for the next digest. An alert of which nothing was said
// is said there even when few are left.
func (s saying) hold(lane string, until time.Time) {
	s.SayAt, s.HeldUntil = until, until
	if s.reason == First {
		s.Lane = lane
	}
}

// join puts an alert that has a lane of its own into a digest, unless something in
// that lane would be overtaken.
func (r *round) join(s saying, together map[Reason][]saying) error {
	waits, err := r.LaneWaits(s.Lane)
	if err != nil {
		return err
	}
	if waits {
		s.SayAt = r.now.Add(r.Spacing / 4)
		return nil
	}
	together[s.reason] = append(together[s.reason], s)
	return nil
}

func (r *round) sayTogether(lane string, together map[Reason][]saying) error {
	for _, reason := range []Reason{First, Grown, Reminder, Acknowledged, Over} {
		sayings := together[reason]
		if len(sayings) == 0 {
			continue
		}
		due := sayings[0].due
		alerts := make([]*Alert, len(sayings))
		for i, s := range sayings {
			alerts[i], due = s.Alert, earlier(due, s.due)
		}
		m := digestOf(lane, reason, alerts)
		if reason == Over {
			left, err := r.UnresolvedIn(lane)
			if err != nil {
				return err
			}
			m.Left = left
		}
		if err := r.deliver(lane, m, due, sayings...); err != nil {
			return err
		}
	}
	return nil
}

// deliver makes the deliveries of a message and remembers that its alerts are said.
func (r *round) deliver(lane string, m Message, due time.Time, sayings ...saying) error {
	for _, audience := range r.Audiences {
		if !audience.hears(m, sayings[0].Name) {
			continue
		}
		d := Delivery{
			ID: job.NewID(), Channel: audience.Channel, AlertID: m.AlertID, Topic: digestLane(sayings[0].Alert), Lane: lane, Message: m,
			DueAt: due, CreatedAt: r.now, NextAt: r.now,
		}
		if err := r.replace(&d); err != nil {
			return err
		}
		if err := r.AddDelivery(d); err != nil {
			return err
		}
		r.Deliveries++
	}
	for _, s := range sayings {
		s.said(r)
	}
	return nil
}

// replace lets a delivery take the place of one that says the same with older
// numbers and was never tried: a channel that was away for a day is not told of every
// hour of it.
func (r *round) replace(d *Delivery) error {
	if strings.HasPrefix(d.Lane, digestPrefix) || d.Message.Reason != Grown && d.Message.Reason != Reminder {
		return nil
	}
	first, err := r.DropWaiting(d.Channel, d.Lane, Grown, Reminder)
	if err == nil && !first.IsZero() {
		d.DueAt = earlier(d.DueAt, first)
	}
	return err
}

func (s saying) said(r *round) {
	s.SaidAt, s.SaidCount, s.GrownAt, s.HeldUntil = r.now, s.Count, time.Time{}, time.Time{}
	switch s.reason {
	case Reminder:
		s.Reminders++
	case Acknowledged:
		s.AckSaid = true
	}
	s.SayAt = r.nextLook(s.Alert)
}
