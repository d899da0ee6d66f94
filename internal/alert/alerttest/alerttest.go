// Package alerttest is the suite that every notifier must pass, against a server on
// this machine that answers as the service does.
package alerttest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Behaviour is how the service treats the next messages.
type Behaviour string

// Behaviours that every service can show.
const (
	Accept    Behaviour = "accept"
	Throttle  Behaviour = "throttle"   // come back later
	Fault     Behaviour = "fault"      // something broke there
	Shut      Behaviour = "shut"       // there is nobody who takes messages
	Refuse    Behaviour = "refuse"     // this message is not well-formed
	Hang      Behaviour = "hang"       // takes the message and never answers
	CutAfter  Behaviour = "cut after"  // takes the message and hangs up
	CutBefore Behaviour = "cut before" // hangs up on whoever comes
)

// Service is a server that answers as the service does, and the notifier that leads to it.
type Service interface {
	Notifier() alert.Notifier
	Behave(b Behaviour)
	// Received lists the messages accepted so far, as text in which what people would
	// read can be found.
	Received() []string
	// Secrets must not be in anything that the notifier says.
	Secrets() []string
	// Leave makes nobody listen any more.
	Leave()
}

// Run checks what every notifier promises. newService is called for each promise.
func Run(t *testing.T, newService func(t testing.TB) Service) {
	for _, c := range []struct {
		name      string
		behaviour Behaviour
		want      alert.Receipt // its outcome and doubt
	}{
		{"AnAcceptedMessageIsDelivered", Accept, alert.Receipt{Outcome: alert.Delivered}},
		{"AThrottledOneIsTriedLater", Throttle, alert.Receipt{Outcome: alert.Retry}},
		{"AFaultIsTriedLater", Fault, alert.Receipt{Outcome: alert.Retry}},
		{"AShutChannelIsClosed", Shut, alert.Receipt{Outcome: alert.Closed}},
		{"AMalformedMessageIsRefused", Refuse, alert.Receipt{Outcome: alert.Refused}},
		{"AnAnswerThatNeverComesLeavesDoubt", Hang, alert.Receipt{Outcome: alert.Retry, Doubt: true}},
		{"AConnectionCutAfterTheMessageLeavesDoubt", CutAfter, alert.Receipt{Outcome: alert.Retry, Doubt: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.Behave(c.behaviour)
			limit := 30 * time.Second
			if c.behaviour == Hang {
				limit = time.Second // enough to hand the message over; all of it is spent
			}
			got := within(t, s, Post(), limit)
			if got.Outcome != c.want.Outcome || got.Doubt != c.want.Doubt {
				t.Errorf("receipt is %+v, want outcome %s and doubt %v", got, c.want.Outcome, c.want.Doubt)
			}
			if c.behaviour != Accept && got.Cause == "" {
				t.Error("it does not say why")
			}
		})
	}
	for name, promise := range map[string]func(*testing.T, Service){
		"AnUnreachableServiceLeavesNoDoubt":   unreachable,
		"AConnectionCutBeforeIsTriedLater":    cutBefore,
		"PeopleReadWhatMatters":               legible,
		"ALateOrRepeatedMessageSaysSo":        marked,
		"HostileTextIsShownAndDoesNothing":    hostile,
		"EveryReasonIsAccepted":               reasons,
		"ChannelTargetAndLeastAreSteady":      steady,
		"TheSameMessageIsTheSameEachTime":     same,
		"ADigestIsAccepted":                   digest,
		"AMessageIsAcceptedInItsPlainFormToo": plain,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			promise(t, newService(t))
		})
	}
}

// send tries once, and checks that no secret is told.
func send(t *testing.T, s Service, p alert.Post) alert.Receipt {
	t.Helper()
	return within(t, s, p, 30*time.Second)
}

// within sends with so much time.
func within(t *testing.T, s Service, p alert.Post, limit time.Duration) alert.Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	r := s.Notifier().Send(ctx, p)
	for _, secret := range s.Secrets() {
		if strings.Contains(r.Cause, secret) {
			t.Errorf("the receipt tells a secret: %q", r.Cause)
		}
	}
	return r
}

// accepted sends, and returns what was received of it.
func accepted(t *testing.T, s Service, p alert.Post) string {
	t.Helper()
	s.Behave(Accept)
	before := len(s.Received())
	if r := send(t, s, p); r.Outcome != alert.Delivered {
		t.Fatalf("receipt is %+v, want delivered", r)
	}
	return strings.Join(s.Received()[before:], "\n")
}

var moment = time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)

// Post is a message as the deliverer hands it over.
func Post() alert.Post {
	return alert.Post{
		ID: id(1), At: moment,
		Message: alert.Message{
			Reason: alert.First, Kind: job.AlertDeadLetters, Group: "dead_letters:permanent: status N", Severity: alert.Page,
			AlertID: id(2), Alerts: 1, FirstAt: moment.Add(-5 * time.Minute), LastAt: moment.Add(-time.Second), Count: 12,
			ValueCents: 178800, Customers: 7, Again: 1, JobKind: job.KindOrder, Text: "12 orders will not run unless a person says so",
			Groups: []alert.Group{{
				Signature: "permanent: status N", Count: 12, ValueCents: 178800, Cause: "status 404 of https://example.com/add",
				Jobs: []job.ID{id(3), id(4)},
			}},
		},
	}
}

// id is a job's, the same in each run.
func id(n byte) (id job.ID) {
	id = job.ID{1, 0x99, 0, 0, 0, 0, 0x70, 0, 0x80}
	id[15] = n
	return id
}

func unreachable(t *testing.T, s Service) {
	s.Leave()
	if r := send(t, s, Post()); r.Outcome != alert.Retry || r.Doubt {
		t.Errorf("receipt is %+v, want to try again without doubt", r)
	}
}

func cutBefore(t *testing.T, s Service) {
	s.Behave(CutBefore)
	if r := send(t, s, Post()); r.Outcome != alert.Retry {
		t.Errorf("receipt is %+v, want to try again", r)
	}
}

func legible(t *testing.T, s Service) {
	text := accepted(t, s, Post())
	for _, want := range []string{"12 dead letters", "$1,788.00", "permanent: status N", id(3).String(), "directorybolt dlq list"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in what was received:\n%s", want, text)
		}
	}
}

func marked(t *testing.T, s Service) {
	p := Post()
	p.Late, p.Repeat = 42*time.Minute, moment.Add(-time.Minute)
	text := accepted(t, s, p)
	for _, want := range []string{"delayed 42 min", "may be a repeat", "2026-11-26 09:29:00 UTC"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in what was received:\n%s", want, text)
		}
	}
}

// Hostile is a post about a body that would do harm where text is believed.
func Hostile() alert.Post {
	p := Post()
	nasty := "<!channel> <@U024BE7LH> `rm -rf` ```*_~ & \r\nBcc: all@example.com\r\n.\r\nQUIT 🚀" + strings.Repeat("x", 3000)
	o := alert.Observe([]byte(fmt.Sprintf(`{"alert":"dead_letters","text":%q,"cause":%q,"group":%q,"job_kind":%q}`, nasty, nasty, nasty, nasty)), moment)
	p.Message.Text, p.Message.JobKind = o.Text, o.JobKind
	p.Message.Groups = []alert.Group{{Signature: o.Group, Count: 1, Cause: o.Cause, Jobs: []job.ID{id(3)}}}
	if o.Kind == alert.Unreadable { // %q is not JSON for every text; the excerpt is as nasty
		p.Message.Text, p.Message.Groups[0].Signature = o.Text, o.Group
	}
	return p
}

func hostile(t *testing.T, s Service) {
	text := accepted(t, s, Hostile())
	for _, never := range []string{"<!channel>", "<@U024BE7LH>", "\nBcc:"} {
		if strings.Contains(text, never) && s.Notifier().Channel() == "slack" || strings.Contains(text, "\nBcc:") {
			t.Errorf("%q stands in what was received:\n%.600s", never, text)
		}
	}
	if n := len(s.Received()); n != 1 {
		t.Errorf("%d messages were received, want 1", n)
	}
}

func reasons(t *testing.T, s Service) {
	for _, r := range []alert.Reason{alert.First, alert.Grown, alert.Reminder, alert.Acknowledged, alert.Over, alert.Test} {
		p := Post()
		p.Message.Reason, p.Message.By, p.Message.Note, p.Message.Fresh = r, "cli:ann", "12 redriven and done", 3
		accepted(t, s, p)
	}
}

func steady(t *testing.T, s Service) {
	n := s.Notifier()
	if n.Channel() == "" || n.Target() != s.Notifier().Target() || n.Least() == "" {
		t.Errorf("channel %q, target %q, least %q", n.Channel(), n.Target(), n.Least())
	}
	for _, secret := range s.Secrets() {
		if strings.Contains(n.Target(), secret) {
			t.Errorf("the target tells a secret: %q", n.Target())
		}
	}
}

func same(t *testing.T, s Service) {
	if first, second := accepted(t, s, Post()), accepted(t, s, Post()); first != second {
		t.Errorf("the second is another:\n%s\n%s", first, second)
	}
}

func digest(t *testing.T, s Service) {
	p := Post()
	p.Message.AlertID, p.Message.Alerts, p.Message.Count = job.ID{}, 5000, 5000
	p.Message.Groups = nil
	for i := range 5 {
		p.Message.Groups = append(p.Message.Groups, alert.Group{
			AlertID: id(byte(10 + i)), Letters: job.GroupID(string(rune('a' + i))),
			Signature: fmt.Sprintf("transient: %s", strings.Repeat(string(rune('a'+i)), 180)), Count: int64(1000 - i), ValueCents: 100,
			Cause: strings.Repeat("&<>", 200), Jobs: []job.ID{id(1), id(2), id(3)},
		})
	}
	text := accepted(t, s, p)
	for _, want := range []string{"5,000 dead letters in 5,000 groups", "dlq redrive --signature " + job.GroupID("e") + " --canary", id(14).String()} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in what was received:\n%s", want, text)
		}
	}
}

func plain(t *testing.T, s Service) {
	p := Hostile()
	p.Plain = true
	accepted(t, s, p)
}
