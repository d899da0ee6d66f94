package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/api"
	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

// named is within which health names what is wrong; what a machine busy with other tests
// takes longer is forgiven.
const (
	named    = 5 * time.Second
	forgiven = 10 * time.Second
)

// ward is an installation in parts, each in a process of its own, with everything that
// can be cut.
type ward struct {
	*stack
	url     string // of the API
	slack   *alerttest.Web
	sqs     *sqstest.Proxy
	parts   map[string]*process
	catalog string
}

func newWard(t *testing.T, s *stack, settings ...[2]string) *ward {
	t.Helper()
	emulator := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(t)
	queues := emulator.Pair(10)
	w := &ward{stack: s, parts: map[string]*process{}, sqs: sqstest.NewProxy(t, emulator)}
	w.slack = alerttest.NewWeb(t, map[alerttest.Behaviour]alerttest.Reply{alerttest.Accept: {Status: 200, Body: "ok"}})
	for _, kv := range slices.Concat([][2]string{
		{"AWS_ENDPOINT_URL_SQS", w.sqs.Endpoint}, {"AWS_REGION", "us-east-1"}, {"AWS_ACCESS_KEY_ID", "test"}, {"AWS_SECRET_ACCESS_KEY", "test"},
		{"SQS_QUEUE_URL", queues.URL}, {"SQS_DLQ_URL", queues.DLQ}, {"SLACK_WEBHOOK_URL", w.slack.URL + "/services/T0/B0/x"},
		{"DLQ_CHECK_INTERVAL_SECONDS", "1"}, {"PROBE_ADDRESS", "127.0.0.1:0"},
		// What a busy machine delays must not look like a death.
		{"CHECK_INTERVAL_SECONDS", "1"}, {"LEASE", "20s"}, {"HEARTBEAT", "2s"}, {"RATE_LIMIT_TIMEOUT", "10s"},
	}, settings) {
		s.set(kv[0], kv[1])
	}
	var err error
	if w.catalog, err = filepath.Abs("../../examples/catalog.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"work", "stale-monitor", "dlq-monitor"} {
		w.begin(role)
	}
	_, w.url = s.serve()
	w.is("all is well", http.StatusOK, "healthy")
	return w
}

func (w *ward) begin(role string) {
	args := []string{role}
	if role == "work" {
		args = append(args, "--catalog", w.catalog)
	}
	w.parts[role] = w.start(args...)
}

// health asks as anybody does.
func (w *ward) health() (status int, h api.Health) {
	w.t.Helper()
	res, err := web.Get(w.url + "/api/health")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(body, &h); err != nil {
		w.t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	return res.StatusCode, h
}

// is waits until health has that status, and names these services and no other.
func (w *ward) is(what string, status int, verdict string, wrong ...string) {
	w.t.Helper()
	begun := time.Now()
	for {
		got, h := w.health()
		if got == status && h.Status == verdict && slices.Equal(h.Wrong, append([]string{}, wrong...)) {
			w.t.Logf("%s: after %s", what, time.Since(begun).Round(10*time.Millisecond))
			return
		}
		if time.Since(begun) > named+forgiven {
			w.t.Fatalf("%s: %d %s, wrong %v; want %d %s, %v\n%s", what, got, h.Status, h.Wrong, status, verdict, wrong, w.command("--direct"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// command types directorybolt health and returns what it said, with its exit status.
func (w *ward) command(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"health"}, args...)...)
	cmd.Env, cmd.Dir = w.env, w.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return string(out) + "exit " + cmd.ProcessState.String()
}

func (w *ward) says(args []string, words ...string) {
	w.t.Helper()
	got := w.command(args...)
	for _, word := range words {
		if !strings.Contains(got, word) {
			w.t.Errorf("health %s does not say %q:\n%s", strings.Join(args, " "), word, got)
		}
	}
}

// probes is where a process without an API answers.
func (w *ward) probes(p *process) (url string) {
	w.t.Helper()
	eventually(w.t, "the process answers probes", func() bool {
		p.alive()
		for line := range bytes.Lines(p.output()) {
			var said struct{ Msg, URL string }
			if json.Unmarshal(line, &said) == nil && said.Msg == "probes answer" {
				url = said.URL
			}
		}
		return url != ""
	})
	return url
}

// Each dependency is cut in turn: health names it, and nothing else, with the right
// status, and is well again by itself when the cut is healed.
func TestHealthNamesWhatWasCut(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		w := newWard(t, s)
		at := []string{"--url", w.url}
		w.says(at, "healthy", "exit status 0")
		for role, p := range w.parts {
			url := w.probes(p)
			eventually(t, role+" is ready", func() bool {
				return strings.HasSuffix(w.command("--ready", "--url", url), "exit status 0")
			})
			w.says([]string{"--url", url}, "ok", "exit status 0") // without an API it is asked whether it is ready
			w.says([]string{"--live", "--url", url, "--json"}, `"ok":true`, "exit status 0")
			if role == "dlq-monitor" {
				p.signal(syscall.SIGSTOP)
				w.says([]string{"--live", "--timeout", "300ms", "--url", url}, "no answer in time", "exit status 1")
				p.signal(syscall.SIGCONT)
			}
		}

		w.sqs.Add(func(c *sqstest.Call) bool { c.Lose(); return true })
		w.is("SQS is gone", http.StatusOK, "degraded", "queue", "dlq") // nobody sees the dead letters there either
		w.sqs.Heal()
		w.is("SQS is back", http.StatusOK, "healthy")

		w.slack.Behave(alerttest.Fault)
		notice := job.Notice{Key: "cut", Alert: job.AlertStorm, Text: "Slack is to fail at this."}
		if err := w.store().Tell(t.Context(), job.Event{Type: job.EventStormOpened}, &notice); err != nil {
			t.Fatal(err)
		}
		w.is("Slack fails", http.StatusOK, "degraded", "alerts")
		w.slack.Behave(alerttest.Accept)
		w.is("Slack takes messages", http.StatusOK, "healthy")

		w.parts["dlq-monitor"].kill()
		w.is("the dead letter monitor is killed", http.StatusOK, "degraded", "dlq_monitor")
		w.begin("dlq-monitor")
		w.is("another one looks", http.StatusOK, "healthy")

		// A worker has a stale monitor beside it. Without work nobody misses a worker.
		w.parts["work"].signal(syscall.SIGTERM)
		<-w.parts["work"].exited
		w.parts["stale-monitor"].kill()
		w.is("the stale monitor is killed", http.StatusOK, "degraded", "stale_monitor")
		w.says(append(at, "--json"), `"stale_monitor":{"status":"d`, "exit status 0")
		w.begin("stale-monitor")
		w.is("another one looks", http.StatusOK, "healthy")

		if _, err := w.store().Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
			t.Fatal(err)
		}
		long := "now() - interval '2 minutes'"
		if w.stack.url == "" {
			long = "due_at - 120000000"
		}
		w.exec("UPDATE jobs SET due_at = " + long)
		w.is("work waits, and there is no worker", http.StatusServiceUnavailable, "unhealthy", "workers")
		w.says(at, "unhealthy: workers", "exit status 5")
		w.says([]string{"--direct"}, "no worker is alive", "start one: directorybolt work", "exit status 5")
		w.begin("work")
		w.is("a worker came", http.StatusOK, "healthy")

		last := " FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)"
		w.exec("CREATE TABLE kept AS SELECT version_id, is_applied"+last, "DELETE"+last)
		w.is("a migration is missing", http.StatusServiceUnavailable, "unhealthy", "migrations")
		w.says([]string{"--direct"}, "1 migration is pending", "directorybolt migrate up", "exit status 5")
		w.exec("INSERT INTO goose_db_version (version_id, is_applied) SELECT version_id, is_applied FROM kept", "DROP TABLE kept")
		w.is("the migration is there", http.StatusOK, "healthy")
	})
}

// The database is frozen, and then killed: health says so at once, though it cannot ask
// anybody any more, and blames nothing else.
// A fleet of api, work and dlq-monitor lacks nothing: whoever works checks the books. While
// nobody does, they are not called well.
func TestHealthNamesBooksThatNobodyChecks(t *testing.T) {
	t.Parallel()
	s := newStack(t, "sqlite")
	s.run("migrate", "up")
	catalog, err := filepath.Abs("../../examples/catalog.yaml")
	must(t, err)
	w := &ward{stack: s, parts: map[string]*process{}, catalog: catalog}
	_, w.url = s.serve()
	w.is("nobody looks at anything", http.StatusOK, "degraded", "stale_monitor", "dlq_monitor", "alerts", "books")
	w.says([]string{"--direct"}, "nobody has checked the books since the beginning", "exit status 0")
	w.begin("work")
	w.is("a worker came", http.StatusOK, "degraded", "dlq_monitor", "alerts")
}

func TestHealthNamesADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	c := dbtest.NewCluster(t)
	s := newStack(t, "sqlite")
	s.url = c.URL("postgres")
	s.set("DATABASE_URL", s.url)
	s.run("migrate", "up")
	w := newWard(t, s)
	t.Cleanup(func() { _ = c.Thaw() }) // also when the test ends in between

	must(t, c.Freeze())
	w.is("the database is frozen", http.StatusServiceUnavailable, "unhealthy", "database")
	w.says([]string{"--url", w.url}, "unhealthy: database", "exit status 5")
	w.says([]string{"--ready", "--url", w.url}, "the database does not answer", "exit status 5")
	w.says([]string{"--live", "--url", w.url}, "ok", "exit status 0")
	must(t, c.Thaw())
	w.recovers("the database is thawed")

	must(t, c.Kill())
	w.is("the database is killed", http.StatusServiceUnavailable, "unhealthy", "database")
	w.says([]string{"--direct"}, "database", "not known while there is trouble with the database", "exit status 5")
	must(t, c.Start())
	w.recovers("the database is back")
}

// recovers waits until orders are performed again and the database is up. That workers
// lost their leases meanwhile may be told for a while.
func (w *ward) recovers(what string) {
	w.t.Helper()
	begun := time.Now()
	eventually(w.t, what, func() bool {
		status, h := w.health()
		return status == http.StatusOK && h.Services["database"].Status == "up" && !slices.ContainsFunc(h.Wrong, func(s string) bool { return s != "workers" })
	})
	w.t.Logf("%s: after %s", what, time.Since(begun).Round(10*time.Millisecond))
}
