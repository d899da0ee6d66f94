package deadletter

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/queue/sqs"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

var quiet = slog.New(slog.DiscardHandler)

var staff = job.By{Actor: "cli:ann", Reason: "fix deployed"}

const interval = 5 * time.Minute

// ward is a real store whose clock the test turns, with one worker.
type ward struct {
	*sqlite.Store
	t      *testing.T
	offset atomic.Int64
	worker job.ID
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t, worker: job.NewID()}
	var err error
	w.Store, err = sqlite.Open(t.Context(), sqlite.Config{
		Path:  filepath.Join(t.TempDir(), "jobs.db"),
		Clock: func() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) },
	})
	w.must(err)
	t.Cleanup(func() { _ = w.Close() })
	_, err = w.Migrate(t.Context())
	w.must(err)
	w.must(w.Register(t.Context(), job.Worker{ID: w.worker, Host: "host-1", PID: 1, Version: "test", Kinds: []string{job.KindNoop}, Capacity: 10}, 24*365*time.Hour))
	return w
}

func (w *ward) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) advance(d time.Duration) { w.offset.Add(int64(d)) }

// die kills n fresh jobs for the cause.
func (w *ward) die(n int, cause string) []job.ID {
	w.t.Helper()
	answers, err := w.Enqueue(w.t.Context(), slices.Repeat([]job.Spec{{Kind: job.KindNoop, ValueCents: 100, MaxAttempts: 1}}, n)...)
	w.must(err)
	w.work(func(job.Job) string { return cause })
	ids := make([]job.ID, n)
	for i, a := range answers {
		ids[i] = a.ID
	}
	return ids
}

// work runs every due job; fault says why one fails, nothing completes it.
func (w *ward) work(fault func(job.Job) string) {
	w.t.Helper()
	for {
		jobs, err := w.Claim(w.t.Context(), job.ClaimRequest{Worker: w.worker, Limit: 100, Kinds: []string{job.KindNoop}})
		w.must(err)
		if len(jobs) == 0 {
			return
		}
		for _, j := range jobs {
			cause := fault(j)
			if cause == "" {
				_, err = w.Complete(w.t.Context(), j.Lease())
			} else {
				_, err = w.Fail(w.t.Context(), j.Lease(), job.Failure{Cause: cause, Class: job.ClassTransient, Delay: time.Hour})
			}
			w.must(err)
		}
	}
}

func (w *ward) fine() { w.work(func(job.Job) string { return "" }) }

func (w *ward) letter(id job.ID) job.Letter {
	w.t.Helper()
	l, err := w.Letter(w.t.Context(), id)
	w.must(err)
	return l
}

func (w *ward) redrive(ids ...job.ID) {
	w.t.Helper()
	for _, id := range ids {
		w.must(w.Redrive(w.t.Context(), id, staff))
	}
}

// notices takes what people are to be told, and marks it sent.
func (w *ward) notices() []job.Notice {
	w.t.Helper()
	taken, err := w.TakeMessages(w.t.Context(), job.MessageAlert, 10_000, time.Minute)
	w.must(err)
	all := make([]job.Notice, len(taken))
	for i, m := range taken {
		w.must(json.Unmarshal(m.Payload, &all[i]))
		w.must(w.MarkSent(w.t.Context(), m.ID))
	}
	return all
}

// only is the one notice there must be.
func (w *ward) only() job.Notice {
	w.t.Helper()
	n := w.notices()
	if len(n) != 1 {
		w.t.Fatalf("%d notices, want 1: %+v", len(n), n)
	}
	return n[0]
}

// none reports notices that nobody should get.
func (w *ward) none(when string) {
	w.t.Helper()
	if n := w.notices(); len(n) != 0 {
		w.t.Errorf("%s: %d notices, want none: %+v", when, len(n), n)
	}
}

func (w *ward) monitor(q queue.DeadLetters) *Monitor {
	return New(Config{Store: w, Queue: q, Interval: interval, Log: quiet})
}

func (w *ward) check(m *Monitor) Result {
	w.t.Helper()
	r, err := m.Check(w.t.Context())
	w.must(err)
	return r
}

// emulator is a dead letter queue of SQS.
func emulator(t *testing.T) (*sqstest.Server, sqstest.Queues, *sqs.DeadLetters) {
	t.Helper()
	s := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].Start(t)
	q := s.Pair(100)
	return s, q, letters(t, s.Endpoint, q.DLQ)
}

func letters(t *testing.T, endpoint, dlq string) *sqs.DeadLetters {
	t.Helper()
	return client(t, endpoint).DeadLetters(dlq)
}

func client(t *testing.T, endpoint string) *sqs.Client {
	t.Helper()
	c, err := sqs.Open(t.Context(), sqs.Config{Region: "us-east-1", AccessKeyID: "test", SecretAccessKey: "test", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
