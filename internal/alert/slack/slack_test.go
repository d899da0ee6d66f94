package slack

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden payloads")

// service is Slack's end of an incoming webhook.
type service struct {
	*alerttest.Web
	to *Notifier
}

const secretPath = "/services/T000/B000/sEcReTsEcReT"

func newService(t testing.TB) service {
	w := alerttest.NewWeb(t, map[alerttest.Behaviour]alerttest.Reply{
		alerttest.Accept: {Status: http.StatusOK, Body: "ok"},
		alerttest.Shut:   {Status: http.StatusNotFound, Body: "no_service"},
		alerttest.Refuse: {Status: http.StatusBadRequest, Body: "invalid_payload"},
		alerttest.Fault:  {Status: http.StatusInternalServerError, Body: "rollup_error"},
	})
	return service{w, New(Config{URL: w.URL + secretPath, PublicURL: "https://bolt.example.com"})}
}

func (s service) Notifier() alert.Notifier { return s.to }
func (s service) Secrets() []string        { return []string{secretPath, "sEcReT"} }

func (s service) Received() (texts []string) {
	for _, r := range s.Accepted() {
		texts = append(texts, r.Body)
	}
	return texts
}

func TestNotifier(t *testing.T) {
	alerttest.Run(t, func(t testing.TB) alerttest.Service { return newService(t) })
}

// TestAnswersAreReadAsSlackMeansThem has the answers of incoming webhooks, with the
// statuses they were seen with.
func TestAnswersAreReadAsSlackMeansThem(t *testing.T) {
	s := newService(t)
	for _, c := range []struct {
		status int
		body   string
		want   alert.Outcome
	}{
		{200, "ok", alert.Delivered},
		{200, "ok\n", alert.Delivered},
		{200, "", alert.Retry},
		{200, "<html>Welcome to the hotel's wireless network</html>", alert.Retry},
		{200, "invalid_payload", alert.Refused},
		{200, "no_service", alert.Closed},
		{400, "invalid_payload", alert.Refused},
		{400, "no_text", alert.Refused},
		{400, "invalid_blocks", alert.Refused},
		{400, "msg_blocks_too_long", alert.Refused},
		{400, "too_many_attachments", alert.Refused},
		{400, "user_not_found", alert.Closed},
		{403, "action_prohibited", alert.Closed},
		{403, "invalid_token", alert.Closed},
		{403, "posting_to_general_channel_denied", alert.Closed},
		{404, "channel_not_found", alert.Closed},
		{404, "no_service", alert.Closed},
		{404, "no_team", alert.Closed},
		{410, "channel_is_archived", alert.Closed},
		{429, "rate_limited", alert.Retry},
		{500, "rollup_error", alert.Retry},
		{503, "", alert.Retry},
		{302, "", alert.Closed},
		{308, "", alert.Closed},
	} {
		s.Answer("seen", alerttest.Reply{Status: c.status, Body: c.body, Header: map[string]string{"Location": s.URL + "/elsewhere", "Retry-After": "30"}})
		got := s.to.Send(t.Context(), alerttest.Post())
		if got.Outcome != c.want {
			t.Errorf("%d %q: %s, want %s", c.status, c.body, got.Outcome, c.want)
		}
		if c.status == 429 && got.After != 30*time.Second {
			t.Errorf("429: to be tried after %s, want 30s", got.After)
		}
	}
	if n := len(s.Accepted()); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestNoAnswerTellsTheSecret(t *testing.T) {
	for _, address := range []string{"https://hooks.slack.com:99999" + secretPath, "http://127.0.0.1:1" + secretPath, "http://[" + secretPath, "http://no.invalid" + secretPath} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		got := New(Config{URL: address}).Send(ctx, alerttest.Post())
		cancel()
		if got.Outcome == alert.Delivered || strings.Contains(got.Cause, "sEcReT") {
			t.Errorf("%s: %+v", address, got)
		}
	}
}

// goldens are what people see.
func goldens() map[string]alert.Post {
	posts := map[string]alert.Post{}
	of := func(name string, change func(*alert.Post)) {
		p := alerttest.Post()
		change(&p)
		posts[name] = p
	}
	of("first", func(*alert.Post) {})
	of("grown", func(p *alert.Post) { p.Message.Reason, p.Message.Fresh = alert.Grown, 3 })
	of("reminder-late-repeat", func(p *alert.Post) {
		p.Message.Reason, p.Late, p.Repeat = alert.Reminder, 42*time.Minute, p.At.Add(-time.Minute)
	})
	of("acknowledged", func(p *alert.Post) {
		p.Message.Reason, p.Message.By, p.Message.Note = alert.Acknowledged, "cli:ann", "on it"
	})
	of("resolved", func(p *alert.Post) {
		p.Message.Reason, p.Message.Note = alert.Over, "11 redriven and done, 1 purged"
	})
	of("plain", func(p *alert.Post) { p.Plain = true })
	of("digest", func(p *alert.Post) {
		g := &p.Message.Groups[0]
		g.AlertID, g.Letters = p.Message.AlertID, job.GroupID(g.Signature)
		p.Message.AlertID, p.Message.Alerts = job.ID{}, 37
	})
	of("storm", func(p *alert.Post) {
		p.Message.Kind, p.Message.Groups, p.Message.Text = job.AlertStorm, []alert.Group{{Signature: "liveness", Count: 1}},
			"4 of 5 workers are gone at once; recovery waits"
		p.Message.Count, p.Message.ValueCents, p.Message.Again, p.Message.Customers, p.Message.JobKind = 1, 0, 0, 0, ""
	})
	posts["hostile"] = alerttest.Hostile()
	return posts
}

func TestPayloadsAreGolden(t *testing.T) {
	for name, post := range goldens() {
		t.Run(name, func(t *testing.T) {
			p := payloadOf(post, "https://bolt.example.com")
			if err := p.check(); err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := "testdata/" + name + ".json"
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("%s (-want +got), after a change on purpose run: go test ./internal/alert/slack -update\n%s", path, diff)
			}
		})
	}
}

// TestNoMessageBreaksALimit builds the largest and strangest messages that can be.
func TestNoMessageBreaksALimit(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		p := randomPost(rng)
		for _, plain := range []bool{false, true} {
			p.Plain = plain
			full := payloadOf(p, "https://bolt.example.com/"+strings.Repeat("x", rng.IntN(100)))
			if err := full.check(); err != nil {
				t.Fatalf("plain %v: %v", plain, err)
			}
			if !plain && len(full.Blocks) == 0 {
				t.Fatal("a message was not shown in its full form")
			}
		}
	}
}

func randomPost(rng *rand.Rand) alert.Post {
	alphabet := []rune("ab<>&`*_~\n\"\\🚀é  ")
	words := func(most int) string {
		r := make([]rune, rng.IntN(most))
		for i := range r {
			r[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return string(r)
	}
	p := alerttest.Post()
	m := &p.Message
	reasons := []alert.Reason{alert.First, alert.Grown, alert.Reminder, alert.Acknowledged, alert.Over, alert.Test}
	m.Reason, m.Text, m.Note, m.By, m.JobKind = reasons[rng.IntN(len(reasons))], words(5000), words(5000), words(300), words(300)
	m.Count, m.Groups, m.Alerts = rng.Int64(), nil, 1+rng.IntN(5000)
	if m.Alerts > 1 {
		m.AlertID = job.ID{}
	}
	for range rng.IntN(6) {
		m.Groups = append(m.Groups, alert.Group{
			Signature: words(3000), Cause: words(3000), Count: rng.Int64(), ValueCents: rng.Int64(), Jobs: []job.ID{job.NewID(), job.NewID()},
		})
	}
	return p
}

// TestTheCheckerFindsWhatSlackWouldRefuse: a checker that takes all proves nothing.
func TestTheCheckerFindsWhatSlackWouldRefuse(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	header := func(s string) block { return block{Type: "header", Text: &text{Type: "plain_text", Text: s}} }
	for want, p := range map[string]payload{
		"text: 0 characters": {},
		"51 blocks":          {Text: "x", Blocks: make([]block, 51)},
		"151 characters":     {Text: "x", Blocks: []block{header(long(151))}},
		"3001 characters":    {Text: "x", Blocks: []block{section(long(3001))}},
		"11 fields":          {Text: "x", Blocks: []block{{Type: "section", Fields: make([]text, 11)}}},
		"2001 characters":    {Text: "x", Blocks: []block{{Type: "section", Fields: []text{mrkdwn(long(2001))}}}},
		"neither text":       {Text: "x", Blocks: []block{{Type: "section"}}},
		"0 elements":         {Text: "x", Blocks: []block{{Type: "context"}}},
		"no address": {Text: "x", Blocks: []block{{Type: "actions", Elements: []any{
			button{"button", text{Type: "plain_text", Text: "go"}, "nowhere"}}}}},
		"14000 characters in all": {Text: "x", Blocks: []block{section(long(2800)), section(long(2800)), section(long(2800)), section(long(2800)), section(long(2800))}},
		"not escaped":             {Text: "<!channel>"},
		"code is not closed":      {Text: "x", Blocks: []block{section("```x")}},
		"unknown type":            {Text: "x", Blocks: []block{{Type: "divan"}}},
		"text of type":            {Text: "x", Blocks: []block{{Type: "header", Text: &text{Type: "mrkdwn", Text: "x"}}}},
	} {
		if err := p.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}

// A webhook that is good refuses a body without text; nobody is told anything.
func TestAWebhookIsProbedWithoutAMessage(t *testing.T) {
	for _, c := range []struct {
		reply alerttest.Reply
		good  bool
	}{
		{alerttest.Reply{Status: 400, Body: "no_text"}, true},
		{alerttest.Reply{Status: 400, Body: "invalid_payload"}, true},
		{alerttest.Reply{Status: 404, Body: "no_service"}, false},
		{alerttest.Reply{Status: 403, Body: "invalid_token"}, false},
		{alerttest.Reply{Status: 410, Body: "channel_is_archived"}, false},
		{alerttest.Reply{Status: 500, Body: "rollup_error"}, false},
		{alerttest.Reply{Status: 200, Body: "<html>a page of somebody else"}, false},
	} {
		s := newService(t)
		s.Answer(alerttest.Refuse, c.reply)
		err := s.to.Probe(t.Context())
		if (err == nil) != c.good {
			t.Errorf("%d %s: error %v", c.reply.Status, c.reply.Body, err)
		}
		if err != nil && strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("the error tells the secret: %v", err)
		}
		if n := len(s.Accepted()); n != 0 {
			t.Errorf("%d messages were accepted", n)
		}
	}
	s := newService(t)
	s.Leave()
	if err := s.to.Probe(t.Context()); err == nil || strings.Contains(err.Error(), "sEcReT") {
		t.Errorf("nobody listens: error %v", err)
	}
}
