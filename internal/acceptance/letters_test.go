package acceptance

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// promised is within which a person has learnt of a dead letter.
const promised = 5 * time.Second

// TestAFailureReachesAPersonAndTheWayBackWorks follows an order that no worker can read:
// Slack hears of it once, the cause is mended, the commands in the message are typed as
// they stand, the order completes, and Slack hears that once.
func TestAFailureReachesAPersonAndTheWayBackWorks(t *testing.T) {
	t.Run("apart, Postgres and SQS", func(t *testing.T) {
		t.Parallel()
		s := newStack(t, "postgres")
		emulator := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(t)
		queues := emulator.Pair(10)
		for _, kv := range [][2]string{
			{"AWS_ENDPOINT_URL_SQS", emulator.Endpoint}, {"AWS_REGION", "us-east-1"}, {"AWS_ACCESS_KEY_ID", "test"},
			{"AWS_SECRET_ACCESS_KEY", "test"}, {"SQS_QUEUE_URL", queues.URL}, {"SQS_DLQ_URL", queues.DLQ},
		} {
			s.set(kv[0], kv[1])
		}
		f := newFailure(s)
		f.befalls("work", "stale-monitor", "dlq-monitor")
		f.await("a copy in the dead letter queue", func() bool { return emulator.Left(queues.DLQ) == 1 })
		f.isMended()
		f.await("the copy to be taken away", func() bool { return emulator.Left(queues.DLQ) == 0 })
	})
	t.Run("all, SQLite", func(t *testing.T) {
		t.Parallel()
		f := newFailure(newStack(t, "sqlite"))
		f.befalls("all")
		f.isMended()
	})
}

// failure is an order that nobody can read, the processes that meet it, and who hears of
// it.
type failure struct {
	*stack
	slack     *alerttest.Web
	box       *sandbox.Sandbox
	order     job.ID
	payload   []byte // as it should be
	processes []*process
}

func newFailure(s *stack) *failure {
	f := &failure{stack: s, slack: alerttest.NewWeb(s.t, map[alerttest.Behaviour]alerttest.Reply{alerttest.Accept: {Status: 200, Body: "ok"}})}
	f.box = newSandbox(s.t, sandbox.Config{Scale: 0.3})
	s.useSandbox(f.box)
	s.set("SLACK_WEBHOOK_URL", f.slack.URL+"/services/T0/B0/x")
	s.set("DLQ_CHECK_INTERVAL_SECONDS", "1")
	f.order = s.submit(1, "starter")
	j, err := s.store().Job(s.t.Context(), f.order)
	if err != nil {
		s.t.Fatal(err)
	}
	f.payload = j.Payload
	f.write([]byte(`["somebody", "edited", "this"]`))
	return f
}

// write puts a payload into the order's row, as people with a database console do.
func (f *failure) write(payload []byte) {
	f.t.Helper()
	f.exec(fmt.Sprintf("UPDATE jobs SET payload = '%s' WHERE id = '%s'", payload, f.order))
}

func (f *failure) await(what string, holds func() bool) {
	f.t.Helper()
	for end := time.Now().Add(60 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			for _, p := range f.processes {
				f.t.Logf("%s:\n%s", p.log, tail(p.output()))
			}
			f.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// befalls lets the processes meet the order, and checks what Slack hears of it.
func (f *failure) befalls(commands ...string) {
	f.t.Helper()
	for _, c := range commands {
		f.processes = append(f.processes, f.start(c))
	}
	f.await("the order to fail", func() bool {
		j, err := f.store().Job(f.t.Context(), f.order)
		return err == nil && j.State == job.Failed
	})
	f.await("Slack to hear of it", func() bool { return len(f.slack.Accepted()) > 0 })
	j, heard := f.job(f.order), f.slack.Accepted()[0]
	if took := heard.At.Sub(j.FinishedAt); took > promised {
		f.t.Errorf("Slack heard of it after %s, want %s", took, promised)
	} else {
		f.t.Logf("Slack heard of it after %s", took.Round(time.Millisecond))
	}
	for _, want := range []string{"1 dead letter", f.order.String(), j.CustomerID.String(), "$149.00", "read order payload", "order"} {
		if !strings.Contains(heard.Body, want) {
			f.t.Errorf("the message does not say %q:\n%s", want, heard.Body)
		}
	}
}

var typed = regexp.MustCompile(`directorybolt [^\\"` + "`" + `]+`)

// commands are what the message says to type.
func (f *failure) commands() (list []string) {
	var message struct {
		Blocks []json.RawMessage `json:"blocks"`
	}
	if err := json.Unmarshal([]byte(f.slack.Accepted()[0].Body), &message); err != nil {
		f.t.Fatal(err)
	}
	for _, b := range message.Blocks {
		for _, c := range typed.FindAllString(string(b), -1) {
			list = append(list, strings.TrimSpace(c))
		}
	}
	return list
}

// isMended mends the cause and types the commands of the message; it checks that the
// order completes and that Slack hears of it once.
func (f *failure) isMended() {
	f.t.Helper()
	f.write(f.payload)
	commands := f.commands()
	if !slices.ContainsFunc(commands, func(c string) bool { return strings.Contains(c, " dlq redrive ") }) {
		f.t.Fatalf("no command of %q redrives", commands)
	}
	// That it is seen is said first: when the redrive has waited for its canary, nothing
	// is left to be seen.
	slices.SortStableFunc(commands, func(a, b string) int { return strings.Count(a, "redrive") - strings.Count(b, "redrive") })
	for _, c := range commands {
		cmd := exec.Command(binary, strings.Fields(c)[1:]...)
		cmd.Env, cmd.Dir = f.env, f.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			f.t.Fatalf("%s: %v\n%s", c, err, out)
		}
		f.t.Logf("typed: %s", c)
	}
	if j := f.awaitFinal(f.order, time.Minute, f.processes...); j.State != job.Completed {
		f.t.Fatalf("the order is %s: %s", j.State, j.Cause)
	}
	resolved := func() (n int) {
		for _, m := range f.slack.Accepted() {
			if strings.Contains(m.Body, "Resolved: 1 dead letter") {
				n++
			}
		}
		return n
	}
	f.await("Slack to hear that it is resolved", func() bool { return resolved() > 0 })
	last := f.slack.Accepted()[len(f.slack.Accepted())-1].Body
	if !strings.Contains(last, "1 redriven and done") {
		f.t.Errorf("the last message does not tell the fate:\n%s", last)
	}
	// Two checks more, in which nothing else may be said.
	passes := f.checks()
	f.await("two more checks", func() bool { return f.checks() >= passes+2 })
	if n := len(f.slack.Accepted()); n != 3 || resolved() != 1 {
		f.t.Errorf("Slack accepted %d messages, %d of them resolved; want the alert, that it is seen, and the end", n, resolved())
		for _, m := range f.slack.Accepted() {
			f.t.Logf("%s", m.Body)
		}
	}
	subs := f.results(f.order)
	checkWitness(f.t, f.box, 1, subs)
	checkBooks(f.t, f.job(f.order), subs)
}

// checks counts the passes of dead letter monitors.
func (f *failure) checks() (n int64) {
	f.t.Helper()
	passes, err := f.store().MonitorPasses(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range passes {
		if p.Monitor == job.MonitorDLQ {
			n += p.Passes
		}
	}
	return n
}
