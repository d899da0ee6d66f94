package acceptance

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// sqsStack is an installation on Postgres whose workers are woken through SQS, which
// a proxy stands before.
type sqsStack struct {
	*stack
	server *sqstest.Server
	proxy  *sqstest.Proxy
	queues sqstest.Queues
}

func newSQSStack(t *testing.T, maxReceives int) *sqsStack {
	t.Helper()
	t.Parallel()
	server := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(t)
	s := &sqsStack{stack: newStack(t, "postgres"), server: server, proxy: sqstest.NewProxy(t, server), queues: server.Pair(maxReceives)}
	s.set("SQS_QUEUE_URL", s.queues.URL)
	s.set("SQS_DLQ_URL", s.queues.DLQ)
	s.set("AWS_ENDPOINT_URL_SQS", s.proxy.Endpoint)
	s.set("AWS_REGION", "us-east-1")
	s.set("AWS_ACCESS_KEY_ID", "test")
	s.set("AWS_SECRET_ACCESS_KEY", "test")
	return s
}

// deafen leaves the hints as the only thing that wakes an idle worker: behind a
// transaction pooler the database wakes nobody, and the next poll is a minute off.
func (s *sqsStack) deafen() {
	s.set("DATABASE_POOLING", "transaction")
	s.set("POLL_INTERVAL", "60s")
}

// awaitIdle waits until a worker that was just started waits for messages: it has
// looked for work before.
func (s *sqsStack) awaitIdle(p *process) {
	s.t.Helper()
	s.await("a receive waits", p, func() bool { return s.proxy.Calls("ReceiveMessage") > 0 })
}

// await waits until it holds, as long as the process lives.
func (s *sqsStack) await(what string, p *process, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		p.alive()
		if time.Now().After(end) {
			s.t.Fatalf("never: %s\n%s", what, tail(p.output()))
		}
	}
}

// awaitEmpty waits until the queue has no message, received or not.
func (s *sqsStack) awaitEmpty(p *process) {
	s.t.Helper()
	s.await("the queue is empty", p, func() bool { return s.server.Left(s.queues.URL) == 0 })
}

func TestAHintThroughSQSWakesAnIdleWorker(t *testing.T) {
	s := newSQSStack(t, 10)
	s.deafen()
	s.useSandbox(newSandbox(t, sandbox.Config{Count: 60, Scale: 0.3}))
	w := s.start("work")
	s.awaitIdle(w)
	placed := time.Now()
	id := s.submit(1, "starter")
	s.awaitRunning(id, w)
	if took := time.Since(placed); took > 40*time.Second {
		t.Errorf("the worker began after %s: its poll woke it, not the hint", took)
	}
	if left := s.server.Left(s.queues.URL); left != 1 {
		t.Errorf("the queue has %d messages while the order runs, want 1", left)
	}
	if j := s.awaitFinal(id, time.Minute, w); j.State != job.Completed {
		t.Errorf("order is %s: %s", j.State, j.Cause)
	}
	s.awaitEmpty(w)
}

func TestAWorkerKilledUnderAMessageLosesNeitherOrderNorHint(t *testing.T) {
	s := newSQSStack(t, 10)
	web := newSandbox(t, sandbox.Config{Count: 60, Scale: 0.3})
	s.useSandbox(web)
	s.set("SUBMIT_CONCURRENCY", "1")
	first := s.start("work")
	id := s.submit(1, "starter")
	s.awaitRunning(id, first)
	s.await("the message is held", first, func() bool { return s.server.Left(s.queues.URL) > 0 })
	first.kill()

	second := s.start("work")
	s.awaitRunning(id, second)
	s.await("the message is still there", second, func() bool { return s.server.Left(s.queues.URL) > 0 })
	j := s.awaitFinal(id, time.Minute, second)
	if j.State != job.Completed || j.Crashes == 0 {
		t.Errorf("order is %s after %d crashes: %s", j.State, j.Crashes, j.Cause)
	}
	s.awaitEmpty(second)
	subs := s.results(id)
	checkWitness(t, web, 1, subs)
	checkBooks(t, j, subs)
	if left := s.server.Left(s.queues.DLQ); left != 0 {
		t.Errorf("%d messages are in the dead letter queue", left)
	}
}

func TestOrdersGoOnWhileSQSIsAwayAndHintsAfterwards(t *testing.T) {
	s := newSQSStack(t, 10)
	s.proxy.Add(func(c *sqstest.Call) bool { c.Lose(); return true })
	s.useSandbox(newSandbox(t, sandbox.Config{Count: 60, Scale: 0.3}))
	w := s.start("work")
	if j := s.awaitFinal(s.submit(1, "starter"), time.Minute, w); j.State != job.Completed {
		t.Fatalf("with SQS away the order is %s: %s", j.State, j.Cause)
	}
	s.await("the log says that the queue is away", w, func() bool { return strings.Contains(string(w.output()), "queue not reached, the store is polled") })
	s.proxy.Heal()
	s.await("the log says that it is back", w, func() bool { return strings.Contains(string(w.output()), "queue is reached again") })
	if j := s.awaitFinal(s.submit(2, "starter"), time.Minute, w); j.State != job.Completed {
		t.Errorf("afterwards the order is %s: %s", j.State, j.Cause)
	}
	s.awaitEmpty(w)
}

func TestDoubledHintsAndPoisonCostNothing(t *testing.T) {
	s := newSQSStack(t, 3)
	s.proxy.Add(func(c *sqstest.Call) bool {
		switch c.Action {
		case "ReceiveMessage":
			c.Change(func(answer map[string]any) {
				if ms, _ := answer["Messages"].([]any); len(ms) > 0 {
					answer["Messages"] = append(ms, ms[0])
				}
			})
		case "SendMessageBatch":
			if c.N%2 == 0 {
				return false
			}
			c.Perform()
			c.Lose()
		default:
			return false
		}
		return true
	})
	web := newSandbox(t, sandbox.Config{Count: 60, Scale: 0.3})
	s.useSandbox(web)
	w := s.start("work")
	for range 3 {
		s.server.Put(s.queues.URL, "order 5")
	}
	id := s.submit(1, "starter")
	for range 3 {
		s.server.Put(s.queues.URL, string(queue.Hint{JobID: id}.Encode()))
	}
	j := s.awaitFinal(id, time.Minute, w)
	if j.State != job.Completed {
		t.Errorf("order is %s: %s", j.State, j.Cause)
	}
	checkWitness(t, web, 1, s.results(id))
	s.await("the poison is in the dead letter queue", w, func() bool { return s.server.Left(s.queues.DLQ) == 3 })
	s.awaitEmpty(w)
}

func TestADeadLetterPutBackByHandIsTold(t *testing.T) {
	s := newSQSStack(t, 10)
	s.use([]byte(oneDirectory))
	w := s.start("work")
	s.awaitIdle(w)
	st := s.store()
	added, err := st.Enqueue(t.Context(), job.Spec{Kind: job.KindRecheck, MaxAttempts: 1}) // of no order: it fails
	if err != nil {
		t.Fatal(err)
	}
	id := added[0].ID
	if j := s.awaitFinal(id, time.Minute, w); j.State != job.Failed {
		t.Fatalf("the job is %s: %s", j.State, j.Cause)
	}
	s.server.Put(s.queues.URL, string(queue.Hint{JobID: id}.Encode()))
	s.awaitEmpty(w)
	for _, e := range s.history(id) {
		if e.Type == job.EventLetterMovedBack && strings.Contains(e.Cause, "directorybolt dlq redrive "+id.String()) {
			return
		}
	}
	t.Errorf("the history of %s tells of no message moved back: %v", id, s.history(id))
}

func TestADrainGivesMessagesBackAtOnce(t *testing.T) {
	s := newSQSStack(t, 10)
	s.useSandbox(newSandbox(t, sandbox.Config{Count: 60, Scale: 1}))
	s.set("SUBMIT_CONCURRENCY", "1")
	s.set("DRAIN_GRACE", "1s")
	s.set("WORKER_CONCURRENCY", "1")
	w := s.start("work")
	id := s.submit(1, "starter")
	s.awaitRunning(id, w)
	s.await("the message is held", w, func() bool { return s.server.Left(s.queues.URL) > 0 })
	w.signal(syscall.SIGTERM)
	<-w.exited
	if w.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("exit status %d\n%s", w.cmd.ProcessState.ExitCode(), tail(w.output()))
	}
	if got := s.server.Attributes(s.queues.URL)["ApproximateNumberOfMessagesNotVisible"]; got != "0" {
		t.Errorf("%s messages are hidden after the worker left", got)
	}
}
