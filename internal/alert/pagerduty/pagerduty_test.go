package pagerduty

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/go-cmp/cmp"
)

type service struct {
	*alerttest.Web
	to *Notifier
}

const routingKey = "R0utingKeyR0utingKeyR0utingKey00"

func newService(t testing.TB) service {
	w := alerttest.NewWeb(t, map[alerttest.Behaviour]alerttest.Reply{
		alerttest.Accept: {Status: http.StatusAccepted, Body: `{"status":"success","message":"Event processed","dedup_key":"k"}`},
		alerttest.Shut:   {Status: http.StatusBadRequest, Body: `{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key ` + routingKey + `"]}`},
		alerttest.Refuse: {Status: http.StatusBadRequest, Body: `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'dedup_key' is incorrect"]}`},
	})
	return service{w, New(Config{RoutingKey: routingKey, URL: w.URL})}
}

func (s service) Notifier() alert.Notifier { return s.to }
func (s service) Secrets() []string        { return []string{routingKey} }

func (s service) Received() (texts []string) {
	for _, r := range s.Accepted() {
		texts = append(texts, r.Body)
	}
	return texts
}

func TestNotifier(t *testing.T) {
	alerttest.Run(t, func(t testing.TB) alerttest.Service { return newService(t) })
}

// TestIncidentsFollowTheirAlert: what opens, acknowledges and resolves which incident.
func TestIncidentsFollowTheirAlert(t *testing.T) {
	s := newService(t)
	say := func(r alert.Reason, change func(*alert.Message)) {
		t.Helper()
		p := alerttest.Post()
		p.Message.Reason = r
		change(&p.Message)
		if got := s.to.Send(t.Context(), p); got.Outcome != alert.Delivered {
			t.Fatalf("%s: %+v", r, got)
		}
	}
	asItIs := func(*alert.Message) {}
	digest := func(left int) func(*alert.Message) {
		return func(m *alert.Message) { m.AlertID, m.Group, m.Left = job.ID{}, "digest:dead_letters:", left }
	}
	say(alert.First, asItIs)
	say(alert.Reminder, asItIs)
	say(alert.Acknowledged, asItIs)
	say(alert.Over, asItIs)
	say(alert.First, digest(0))
	say(alert.Acknowledged, digest(0))
	say(alert.Over, digest(3))
	say(alert.Over, digest(0))
	say(alert.Test, func(m *alert.Message) { m.Group = "test:1" })
	say(alert.First, func(m *alert.Message) { m.Group = strings.Repeat("ä", 200) })
	var got []string
	for _, r := range s.Accepted() {
		var e event
		if err := json.Unmarshal([]byte(r.Body), &e); err != nil {
			t.Fatal(err)
		}
		if e.RoutingKey != routingKey || len(e.DedupKey) > mostDedup || (e.Action == "trigger") != (e.Payload != nil) {
			t.Errorf("event %s", r.Body)
		}
		if e.Payload != nil && (e.Payload.Summary == "" || len(e.Payload.Summary) > mostSummary || e.Payload.Severity != "critical" || e.Payload.Source == "") {
			t.Errorf("payload %+v", e.Payload)
		}
		got = append(got, e.Action+" "+e.DedupKey[:min(len(e.DedupKey), 20)])
	}
	want := []string{
		"trigger dead_letters:permane", "trigger dead_letters:permane", "acknowledge dead_letters:permane", "resolve dead_letters:permane",
		"trigger digest:dead_letters:", "resolve digest:dead_letters:", "trigger test:1", "resolve test:1",
		"trigger " + strings.Repeat("ä", 10),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestOnlyWhatPagesIsForPagerDuty(t *testing.T) {
	if got := New(Config{}).Least(); got != alert.Page {
		t.Errorf("least severity %s, want page", got)
	}
}
