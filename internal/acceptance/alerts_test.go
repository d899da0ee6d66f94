package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/alert/slack"
	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
)

// teller makes the test binary a process that sends alerts: it names the store, and
// slackEnv the webhook. Its times are scaled down about a hundred times.
const (
	teller   = "ACCEPTANCE_TELLER"
	slackEnv = "ACCEPTANCE_SLACK"
)

func tellUntilKilled() int {
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := openAnyStore(ctx, os.Getenv(teller), log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	deliverer := alert.NewDeliverer(alert.DelivererConfig{
		Store: s, Notifiers: []alert.Notifier{slack.New(slack.Config{URL: os.Getenv(slackEnv)})}, Log: log,
		Interval: 20 * time.Millisecond, Timeout: time.Second, Hide: 2 * time.Second, Pace: 10 * time.Millisecond,
		Backoff: backoff.Policy{Base: 20 * time.Millisecond, Cap: 200 * time.Millisecond}, Probe: 300 * time.Millisecond,
		LateAfter: 2 * time.Second, Refusals: 2,
	})
	gate := alert.NewGate(alert.GateConfig{
		Store: s, Audiences: []alert.Audience{{Channel: "slack"}}, Interval: 30 * time.Millisecond, Settle: 50 * time.Millisecond,
		Burst: 1000, Log: log, Wake: deliverer.Wake,
	})
	var g errgroup.Group
	g.Go(func() error { return gate.Run(ctx) })
	g.Go(func() error { return deliverer.Run(ctx) })
	if err := g.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// town is Slack, a store, and the process that tells the one of the other.
type town struct {
	*stack
	address string // of the webhook
	web     *alerttest.Web

	mu   sync.Mutex
	herd *exec.Cmd
	log  *os.File
}

// nasty is what bodies may hold. An alert goes out for each.
var nasty = map[string]string{
	"ping":    "<!channel> <!here> <@U024BE7LH> failed",
	"fences":  "``` `rm -rf /` ```",
	"nulls":   "\x00\x00 \xff\xfe",
	"emoji":   strings.Repeat("🚀", 2000),
	"large":   strings.Repeat("x", 1<<20),
	"bomb":    strings.Repeat(`{"a":[`, 50_000),
	"no JSON": "order 17 & <friends>",
}

// TestEveryAlertArrivesWhateverSlackDoes: refused connections, 429, 500, a redirect,
// 200 with invalid_payload, then fine; the process killed at the start, and between
// Slack's yes and the mark.
func TestEveryAlertArrivesWhateverSlackDoes(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w := &town{stack: s, address: ln.Addr().String()}
		_ = ln.Close() // nobody listens
		w.settle()
		groups := []string{"a", "b", "c"}
		for name, cause := range nasty {
			groups = append(groups, name)
			w.tell(job.Notice{Alert: job.AlertDeadLetters, Group: name, Signature: name, Text: cause, Cause: cause, JobKind: cause, ValueCents: 100})
		}
		for _, name := range groups[:3] {
			w.tell(job.Notice{Alert: job.AlertDeadLetters, Group: name, Signature: name, ValueCents: 14900})
		}
		w.await("refused connections", func() bool { return w.tries() >= 3 })
		w.kill()
		w.settle()
		tries := w.tries()
		w.await("tries of the next process", func() bool { return w.tries() > tries+2 })

		w.open()
		for _, phase := range []struct {
			behaviour alerttest.Behaviour
			reply     alerttest.Reply
			times     int
		}{
			{"throttle", alerttest.Reply{Status: 429, Header: map[string]string{"Retry-After": "1"}, Body: "rate_limited"}, 2},
			{"broken", alerttest.Reply{Status: 500, Body: "rollup_error"}, 4},
			{"redirect", alerttest.Reply{Status: 302, Header: map[string]string{"Location": "http://" + w.address + "/login"}}, 2},
			{"refuses", alerttest.Reply{Status: 200, Body: "invalid_payload"}, 25}, // enough to park them all
		} {
			w.web.Answer(phase.behaviour, phase.reply)
			w.await(string(phase.behaviour), func() bool { return w.web.Seen(phase.behaviour) >= phase.times })
		}
		for _, name := range groups[:3] {
			w.tell(job.Notice{Alert: job.AlertDeadLetters, Group: name, Resolved: true, Text: "redriven and done"})
		}
		if n := len(w.web.Accepted()); n != 0 {
			t.Errorf("%d messages were accepted, want none so far", n)
		}
		var once sync.Once
		w.web.OnAccept(func(alerttest.Request) { once.Do(w.kill) })
		w.web.Behave(alerttest.Accept)
		w.await("the kill between yes and mark", func() bool { return len(w.web.Accepted()) > 0 })
		w.settle()
		w.await("the rest", func() bool { return len(w.undelivered()) == 0 && len(w.web.Accepted()) > len(groups)+3 })
		w.check(groups)
	})
}

func (w *town) where() string {
	if w.url != "" {
		return w.url
	}
	return filepath.Join(w.dataDir, "directorybolt.db")
}

// settle starts the process that tells.
func (w *town) settle() {
	w.t.Helper()
	log, err := os.CreateTemp(w.dir, "teller-*.log")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), teller+"="+w.where(), slackEnv+"=http://"+w.address+"/services/T0/B0/hush")
	cmd.Stderr, cmd.SysProcAttr = log, dieWithUs
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.herd, w.log = cmd, log
	w.mu.Unlock()
	w.t.Cleanup(w.kill)
}

// kill ends it with kill -9.
func (w *town) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.herd == nil {
		return
	}
	_ = w.herd.Process.Kill()
	_ = w.herd.Wait()
	text, _ := os.ReadFile(w.log.Name())
	if strings.Contains(string(text), "hush") {
		w.t.Error("the log tells where the webhook is")
	}
	w.herd = nil
}

// open lets Slack listen.
func (w *town) open() {
	w.t.Helper()
	ln, err := net.Listen("tcp", w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.web = alerttest.NewWebOn(w.t, ln, map[alerttest.Behaviour]alerttest.Reply{alerttest.Accept: {Status: http.StatusOK, Body: "ok"}})
	w.web.Behave("throttle")
}

func (w *town) tell(n job.Notice) {
	w.t.Helper()
	n.Key = job.NewID().String()
	if err := w.store().Tell(w.t.Context(), job.Event{Type: "test.told"}, &n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) undelivered() []alert.Delivery {
	w.t.Helper()
	list, err := w.store().Undelivered(w.t.Context(), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *town) tries() (n int) {
	w.t.Helper()
	for _, d := range w.undelivered() {
		n += d.Attempts
	}
	return n
}

func (w *town) await(what string, holds func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.mu.Lock()
			text, _ := os.ReadFile(w.log.Name())
			w.mu.Unlock()
			w.t.Fatalf("%s: not within a minute; %d undelivered, %d accepted\n%s", what, len(w.undelivered()), len(w.web.Accepted()), tail(text))
		}
	}
}

// check reads what Slack accepted.
func (w *town) check(groups []string) {
	w.t.Helper()
	at := map[string][]int{} // by reason and group: when, and how often
	var texts []string
	for i, r := range w.web.Accepted() {
		var p struct {
			Text   string          `json:"text"`
			Blocks json.RawMessage `json:"blocks"`
		}
		if err := json.Unmarshal([]byte(r.Body), &p); err != nil {
			w.t.Fatalf("%v in %s", err, r.Body)
		}
		text := p.Text + string(p.Blocks)
		texts = append(texts, text)
		if strings.ContainsAny(text, "<>") {
			w.t.Errorf("not escaped: %s", text)
		}
		for _, g := range groups {
			if strings.Contains(text, "× "+g+" ") || strings.Contains(text, "× "+g+"`") || strings.Contains(text, "× "+g+"\\n") || strings.Contains(text, "× "+g+"\n") {
				reason := "first"
				if strings.Contains(text, "✅") {
					reason = "resolved"
				}
				at[reason+" "+g] = append(at[reason+" "+g], i)
			}
		}
	}
	repeats := 0
	for what, when := range at {
		for _, again := range when[1:] {
			repeats++
			if !strings.Contains(texts[again], "may be a repeat") {
				w.t.Errorf("%s came again and does not say so: %s", what, texts[again])
			}
		}
	}
	if repeats != 1 {
		w.t.Errorf("%d messages were repeated, want the one whose mark was lost", repeats)
	}
	for _, g := range groups {
		first := at["first "+g]
		if len(first) == 0 {
			w.t.Errorf("nobody heard of group %q", g)
			continue
		}
		if !strings.Contains(texts[first[0]], "delayed ") {
			w.t.Errorf("%q came late and does not say so: %s", g, texts[first[0]])
		}
	}
	for _, g := range groups[:3] {
		if over := at["resolved "+g]; len(over) == 0 || over[0] < at["first "+g][0] {
			w.t.Errorf("%q: first at %v, resolved at %v", g, at["first "+g], over)
		}
	}
}
