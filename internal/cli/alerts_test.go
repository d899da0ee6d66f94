package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/job"
)

// alerts runs a command of the group, with settings.
func (m *morgue) alerts(args string, env ...string) result {
	m.t.Helper()
	var stdout, stderr bytes.Buffer
	status := Main(m.t.Context(), Process{
		Args: append(append([]string{"alerts"}, splitWords(args)...), "--data-dir", m.dir), Environ: env, Stdout: &stdout, Stderr: &stderr,
	})
	return result{stdout.String(), stderr.String(), status}
}

// raise lets the gate say what there is to say, as often as it takes.
func (m *morgue) raise() {
	m.t.Helper()
	g := alert.NewGate(alert.GateConfig{Store: m, Log: slog.New(slog.DiscardHandler), Settle: time.Microsecond, Spacing: time.Microsecond, Audiences: []alert.Audience{{Channel: "slack"}}})
	for range 2 {
		_, err := g.Pass(m.t.Context())
		m.must(err)
	}
}

func TestAlertsAreListedAckedAndSilenced(t *testing.T) {
	m := newMorgue(t)
	if got := m.alerts("list"); got.status != ExitOK || got.stdout != "" || !strings.Contains(got.stderr, "no alerts") {
		t.Errorf("list of nothing: %+v", got)
	}
	m.die(3, "status 404")
	m.raise()
	got := m.alerts("list")
	if !regexp.MustCompile(`(?m)^[0-9a-f-]{36} +page +open +3 +\$447\.00 +\S+ \S+ +\S+ \S+ +dead_letters:transient: status N$`).MatchString(got.stdout) {
		t.Errorf("list:\n%s", got.stdout)
	}
	var a alert.Alert
	if err := json.Unmarshal([]byte(m.alerts("list --json").stdout), &a); err != nil {
		t.Fatal(err)
	}
	if got := m.alerts("list --undelivered"); !strings.Contains(got.stdout, "slack") || !strings.Contains(got.stdout, "first") {
		t.Errorf("list --undelivered:\n%s", got.stdout)
	}
	id := a.ID.String()
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"ack " + id + " --actor cli:ann --reason 'on it'", ExitOK, "alert " + id + " is acknowledged by cli:ann"},
		{"silence " + id + " --for 2h", ExitUsage, "a silence needs a reason"},
		{"silence " + id + " --for 2h --reason rebuild", ExitOK, "alert " + id + " is silenced until "},
		{"silence " + id + " --for 721h --reason rebuild", ExitUsage, "--for 721h0m0s is out of range"},
		{"silence " + id, ExitUsage, "--for"},
		{"list", ExitOK, "silenced until "},
		{"list --state acked", ExitOK, "no alerts"},
		{"unsilence " + id, ExitOK, "alert " + id + " is acknowledged by cli:ann"},
		{"ack nonsense", ExitUsage, `"nonsense" is not the id of an alert`},
		{"ack " + job.NewID().String() + " " + id, ExitPartly, "alert " + id + " is acknowledged"}, // a digest names several, and one may be over
		{"ack " + id + " nonsense", ExitUsage, `"nonsense" is not the id of an alert`},
		{"ack " + job.NewID().String(), ExitNotFound, "no alert "},
		{"list --limit 0", ExitUsage, "--limit 0 is out of range"},
	} {
		if got := m.alerts(c.args); got.status != c.status || !strings.Contains(got.stdout+got.stderr, c.want) {
			t.Errorf("alerts %s: %+v, want status %d and %q", c.args, got, c.status, c.want)
		}
	}
	m.must(m.Tell(t.Context(), job.Event{Type: "test.told"}, &job.Notice{Key: "k", Alert: a.Kind, Group: a.Name, Resolved: true}))
	m.raise()
	if got := m.alerts("ack " + id); got.status != ExitFailure || !strings.Contains(got.stderr, "is resolved") {
		t.Errorf("ack of what is over: %+v", got)
	}
	if got := m.alerts("list --all"); !strings.Contains(got.stdout, "resolved") {
		t.Errorf("list --all:\n%s", got.stdout)
	}
}

// TestWhatIsHeldBackIsListed: a digest was told a moment ago, and there is more to tell.
func TestWhatIsHeldBackIsListed(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	g := alert.NewGate(alert.GateConfig{Store: m, Log: slog.New(slog.DiscardHandler), Settle: time.Microsecond, Audiences: []alert.Audience{{Channel: "slack"}}})
	flood := func(of string) {
		for i := range 6 {
			m.die(1, of+string(rune('a'+i)))
		}
		for range 2 {
			_, err := g.Pass(t.Context())
			m.must(err)
		}
	}
	m.says(m.alerts("list --undelivered"), ExitOK, `^$`, `every message was accepted, and nothing is held back`)
	flood("refused by ")
	flood("no answer of ")
	m.says(m.alerts("list --undelivered"), ExitOK, `slack +first +digest:dead_letters:.* waits *\n(all +first +dead_letters:transient: no answer of [a-f] .* held until 20\S+ \S+Z *\n){6}`, ``)
	m.says(m.alerts("list --undelivered --json"), ExitOK, `"reason":"first".*"held_until":"20`, ``)
}

func TestChannelsAreTestedEndToEnd(t *testing.T) {
	m := newMorgue(t)
	web := alerttest.NewWeb(t, map[alerttest.Behaviour]alerttest.Reply{alerttest.Accept: {Status: http.StatusOK, Body: "ok"}})
	slack := "SLACK_WEBHOOK_URL=" + web.URL + "/services/T0/B0/hush"
	dead := []string{"ALERT_WEBHOOK_URL=http://127.0.0.1:1/hush", "ALERT_WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	for _, c := range []struct {
		name, args string
		behaviour  alerttest.Behaviour
		env        []string
		status     int
		want       string
	}{
		{"none is set", "test", alerttest.Accept, nil, ExitNotFound, "set SLACK_WEBHOOK_URL"},
		{"the only one works", "test", alerttest.Accept, []string{slack}, ExitOK, "slack    delivered"},
		{"the only one is shut", "test", alerttest.Shut, []string{slack}, ExitFailure, "slack    closed"},
		{"one of two works", "test --json", alerttest.Accept, append(dead, slack), ExitPartly, `"channel":"webhook","outcome":"retry","cause":"dial tcp 127.0.0.1:1`},
		{"neither works", "test", alerttest.Shut, append(dead, slack), ExitFailure, "no alert channel took the test"},
		{"the one that is asked for", "test --channel slack", alerttest.Accept, append(dead, slack), ExitOK, "delivered"},
		{"one that is not set", "test --channel email", alerttest.Accept, []string{slack}, ExitNotFound, "no such alert channel"},
		{"nonsense", "test --channel pigeon", alerttest.Accept, []string{slack}, ExitUsage, "--channel"},
		{"in the clear", "test", alerttest.Accept, []string{"SLACK_WEBHOOK_URL=http://hooks.slack.com/hush"}, ExitUsage, "http:// on this machine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			web.Behave(c.behaviour)
			before := len(web.Accepted())
			got := m.alerts(c.args, c.env...)
			if got.status != c.status || !strings.Contains(got.stdout+got.stderr, c.want) {
				t.Errorf("got %+v, want status %d and %q", got, c.status, c.want)
			}
			if strings.Contains(got.stdout+got.stderr, "hush") {
				t.Errorf("a secret is printed: %+v", got)
			}
			for _, r := range web.Accepted()[before:] {
				if !strings.Contains(r.Body, "Test: this channel works") {
					t.Errorf("received %s", r.Body)
				}
			}
		})
	}
}

// TestCommandsInAlertsCanBeTyped: what an alert tells people to type must exist.
func TestCommandsInAlertsCanBeTyped(t *testing.T) {
	for _, kind := range []string{
		job.AlertDeadLetters, job.AlertStaleRecovered, job.AlertStorm, job.AlertOrphans, job.AlertMonitorSilent, job.AlertQueueBlind,
		job.AlertLettersExpiring, job.AlertBooks, job.AlertLimiter, job.AlertShortfall, job.AlertChannelDown, alert.Unreadable,
	} {
		for _, digest := range []bool{false, true} {
			p := alerttest.Post()
			p.Message.Kind = kind
			if digest {
				p.Message.AlertID, p.Message.Alerts = job.ID{}, 7
			}
			for _, command := range p.Content("").Commands {
				parser, err := kong.New(&commands{}, kong.Name("directorybolt"), kong.ExplicitGroups(groups), kong.Vars{"version": ""})
				if err != nil {
					t.Fatal(err)
				}
				words := splitWords(command)
				if _, err := parser.Parse(words[1:]); err != nil || words[0] != "directorybolt" {
					t.Errorf("%s, digest %v: %s: %v", kind, digest, command, err)
				}
			}
		}
	}
}
