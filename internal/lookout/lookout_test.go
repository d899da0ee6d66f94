package lookout

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

var quiet = slog.New(slog.DiscardHandler)

// ward is a real store whose clock the test turns; the machine's runs with it.
type ward struct {
	*sqlite.Store
	t      *testing.T
	offset atomic.Int64
	away   error // of MonitorPasses
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t}
	var err error
	w.Store, err = sqlite.Open(t.Context(), sqlite.Config{
		Path:  filepath.Join(t.TempDir(), "jobs.db"),
		Clock: func() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if _, err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *ward) MonitorPasses(ctx context.Context) ([]job.MonitorPass, error) {
	if w.away != nil {
		return nil, w.away
	}
	return w.Store.MonitorPasses(ctx)
}

func (w *ward) clock() time.Duration { return time.Hour + time.Duration(w.offset.Load()) }

func (w *ward) lookout() *Lookout {
	return New(Config{Store: w, Log: quiet, clock: w.clock})
}

// monitor is one process of a role.
type monitor struct {
	*ward
	pass job.MonitorPass
}

func (w *ward) monitor(name string, every time.Duration) *monitor {
	return &monitor{w, job.MonitorPass{Monitor: name, Process: job.NewID(), Host: "host-1", PID: 7, Every: every}}
}

func (m *monitor) looks(failed string) {
	m.t.Helper()
	m.pass.Passes++
	m.pass.Error = failed
	if err := m.RecordPass(m.t.Context(), m.pass); err != nil {
		m.t.Fatal(err)
	}
}

func (m *monitor) leaves() {
	m.t.Helper()
	if err := m.LeavePasses(m.t.Context(), m.pass.Monitor, m.pass.Process); err != nil {
		m.t.Fatal(err)
	}
}

// run lets time pass in steps of a lookout's interval, which the monitors share, and
// returns which monitors were told silent, and which looked again.
func (w *ward) run(l *Lookout, d time.Duration, alive ...*monitor) (told, back string) {
	w.t.Helper()
	for begun := w.clock(); ; w.offset.Add(int64(l.Interval)) {
		for _, m := range alive {
			m.looks("")
		}
		n, err := l.Pass(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range n.Told {
			told += f.Subject + " "
		}
		for _, f := range n.Gone {
			back += f.Subject + " "
		}
		if w.clock()-begun >= d {
			return told, back
		}
	}
}

// expect lets time pass and reports other words than these.
func (w *ward) expect(l *Lookout, d time.Duration, told, back string, alive ...*monitor) {
	w.t.Helper()
	if t, b := w.run(l, d, alive...); t != told || b != back {
		w.t.Errorf("told silent %q, looking again %q; want %q and %q", t, b, told, back)
	}
}

func TestAMonitorThatMissesTwoPassesIsToldOfOnce(t *testing.T) {
	w := newWard(t)
	stale, dlq := w.monitor(job.MonitorStale, 5*time.Second), w.monitor(job.MonitorDLQ, 5*time.Minute)
	l, other := w.lookout(), w.lookout()
	dlq.looks("")
	w.expect(l, time.Minute, "", "", stale)
	w.expect(l, 10*time.Second, "", "")
	w.expect(l, 20*time.Second, "stale ", "")
	w.expect(other, time.Minute, "", "")
	w.expect(l, time.Minute, "", "")
	w.expect(l, 5*time.Second, "", "stale ", stale)

	sent, err := w.TakeMessages(t.Context(), job.MessageAlert, 10, time.Minute)
	if err != nil || len(sent) != 2 {
		t.Fatalf("%d notices, error %v; want that it is silent, and that it is over", len(sent), err)
	}
	var n job.Notice
	if err := json.Unmarshal(sent[0].Payload, &n); err != nil || n.Alert != job.AlertMonitorSilent || n.Group != job.MonitorStale || n.Resolved {
		t.Errorf("notice %s, error %v", sent[0].Payload, err)
	}
	if !strings.Contains(n.Text, "the stale monitor does not look any more: no pass since") || !strings.Contains(n.Text, "host-1, pid 7") {
		t.Errorf("text %q", n.Text)
	}
	if !strings.HasSuffix(sent[1].Key, "stale:resolved") {
		t.Errorf("second notice %s", sent[1].Key)
	}
	w.expect(l, 12*time.Minute, "dlq ", "", stale)
}

func TestOneOfManyIsEnough(t *testing.T) {
	w := newWard(t)
	dead, alive := w.monitor(job.MonitorStale, 5*time.Second), w.monitor(job.MonitorStale, 5*time.Second)
	dead.looks("")
	w.expect(w.lookout(), 10*time.Minute, "", "", alive)
}

func TestPassesThatFailAreNoPasses(t *testing.T) {
	w := newWard(t)
	m, l := w.monitor(job.MonitorStale, 5*time.Second), w.lookout()
	told := ""
	for range 8 {
		m.looks("the store refuses")
		n, err := l.Pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range n.Told {
			told += f.Text()
		}
		w.offset.Add(int64(l.Interval))
	}
	if !strings.Contains(told, "no good pass since") || !strings.Contains(told, "the store refuses") {
		t.Errorf("told %q, want that passes fail, and why", told)
	}
}

func TestWhoLeftInOrderIsNotSilent(t *testing.T) {
	w := newWard(t)
	m := w.monitor(job.MonitorStale, 5*time.Second)
	m.looks("")
	m.leaves()
	l := w.lookout()
	w.expect(l, 10*time.Minute, "", "")

	waits := false
	l.Waits = func(_ context.Context, monitor string) (bool, error) {
		return waits && monitor == job.MonitorStale, nil
	}
	w.expect(l, 10*time.Minute, "", "")
	waits = true
	w.expect(l, 10*time.Second, "stale ", "")
	waits = false
	w.expect(l, 0, "", "stale ")
}

func TestADeployIsNoSilence(t *testing.T) {
	w := newWard(t)
	old, fresh := w.monitor(job.MonitorStale, 5*time.Second), w.monitor(job.MonitorStale, 5*time.Second)
	l := w.lookout()
	l.Waits = func(context.Context, string) (bool, error) { return true, nil }
	w.expect(l, time.Minute, "", "", old)
	old.leaves()
	w.expect(l, 50*time.Second, "", "")
	w.expect(l, time.Minute, "", "", fresh)
}

func TestNobodyIsMissedForATimeInWhichNobodyCouldBeSeen(t *testing.T) {
	w := newWard(t)
	m := w.monitor(job.MonitorStale, 5*time.Second)
	m.looks("")
	l := w.lookout()
	w.expect(l, 5*time.Second, "", "", m)
	w.offset.Add(int64(time.Hour)) // the machine sleeps
	w.expect(l, 10*time.Second, "", "")
	w.expect(l, time.Minute, "", "", m)

	w.away = errors.New("store is away")
	for range 10 {
		w.offset.Add(int64(l.Interval))
		if _, err := l.Pass(t.Context()); !errors.Is(err, w.away) {
			t.Fatalf("error %v, want %v", err, w.away)
		}
	}
	w.away = nil
	w.expect(l, 10*time.Second, "", "")
	w.expect(l, 30*time.Second, "stale ", "")

	// One that begins sees at first what was before it.
	late := w.monitor(job.MonitorDLQ, time.Minute)
	late.looks("")
	w.offset.Add(int64(time.Hour))
	w.expect(w.lookout(), 2*time.Minute, "", "", m)
	w.expect(l, 4*time.Minute, "dlq ", "stale ", m)
}

type ages map[string]time.Duration

func (a ages) MonitorSeen(monitor string, age time.Duration) { a[monitor] = age }

func TestTheAgeOfThePassesIsHeard(t *testing.T) {
	w := newWard(t)
	heard := ages{}
	l := w.lookout()
	l.Metrics = heard
	w.monitor(job.MonitorStale, 5*time.Second).looks("")
	w.offset.Add(int64(time.Minute))
	w.run(l, 0)
	if age := heard[job.MonitorStale]; age < time.Minute || age > time.Hour {
		t.Errorf("age %s, want a minute", age)
	}
}
