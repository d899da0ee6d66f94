package stale

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The server that all tests share ends with this process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/directorybolt/directorybolt/internal/dbtest.(*Cluster).Start.func1"))
}

var errAway = errors.New("store is away")

var quiet = slog.New(slog.DiscardHandler)

const lease = 20 * time.Second

// ward is a real store whose clock the test turns.
type ward struct {
	*sqlite.Store
	t       *testing.T
	path    string
	offset  atomic.Int64
	jump    atomic.Int64 // of the store's clock alone
	retire  error        // of Judge, in place of the store's answer
	recover error        // of Recover
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t, path: filepath.Join(t.TempDir(), "jobs.db")}
	var err error
	w.Store, err = sqlite.Open(t.Context(), sqlite.Config{
		Path:  w.path,
		Clock: func() time.Time { return time.Now().Add(time.Duration(w.offset.Load() + w.jump.Load())) },
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

func (w *ward) Judge(ctx context.Context, lease time.Duration) (job.Judgement, error) {
	if w.retire != nil {
		return job.Judgement{}, w.retire
	}
	return w.Store.Judge(ctx, lease)
}

func (w *ward) Recover(ctx context.Context, limit int) (job.Recovered, error) {
	if w.recover != nil {
		return job.Recovered{}, w.recover
	}
	return w.Store.Recover(ctx, limit)
}

func (w *ward) advance(d time.Duration) { w.offset.Add(int64(d)) }

// clock runs with the store's.
func (w *ward) clock() time.Duration { return time.Hour + time.Duration(w.offset.Load()) }

func (w *ward) monitor() *Monitor {
	return New(Config{Store: w, Now: w.Now, Lease: lease, Log: quiet, clock: w.clock})
}

// worker registers a worker that runs n jobs.
func (w *ward) worker(n int) (job.ID, []job.Job) {
	w.t.Helper()
	return w.workerOn(job.Spec{Kind: job.KindNoop}, n)
}

// workerOn is a worker of its own kind that has n such jobs.
func (w *ward) workerOn(spec job.Spec, n int) (job.ID, []job.Job) {
	w.t.Helper()
	id, kinds := job.NewID(), []string{spec.Kind}
	if err := w.Register(w.t.Context(), job.Worker{ID: id, Host: id.String(), Kinds: kinds, Capacity: n}, lease); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Enqueue(w.t.Context(), slices.Repeat([]job.Spec{spec}, n)...); err != nil {
		w.t.Fatal(err)
	}
	jobs, err := w.Claim(w.t.Context(), job.ClaimRequest{Worker: id, Limit: n, Kinds: kinds})
	if err != nil || len(jobs) != n {
		w.t.Fatalf("claimed %d of %d jobs, error %v", len(jobs), n, err)
	}
	return id, jobs
}

func (w *ward) beat(id job.ID) {
	w.t.Helper()
	if _, err := w.Beat(w.t.Context(), id, lease, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) pass(m *Monitor) Result {
	w.t.Helper()
	r, err := m.Pass(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *ward) expect(r Result, retired, recovered int) {
	w.t.Helper()
	if len(r.Retired) != retired || len(r.Recovered) != recovered {
		w.t.Errorf("retired %d workers and recovered %d jobs, want %d and %d", len(r.Retired), len(r.Recovered), retired, recovered)
	}
}

func TestPassRetiresTheDeadAndLeavesTheLivingAlone(t *testing.T) {
	w := newWard(t)
	dead, jobs := w.worker(3)
	alive, _ := w.worker(2)
	m := w.monitor()
	w.expect(w.pass(m), 0, 0)
	w.advance(lease / 2)
	w.beat(alive)
	w.expect(w.pass(m), 0, 0)
	w.advance(lease/2 + time.Second)
	r := w.pass(m)
	w.expect(r, 1, 3)
	if r.Retired[0].ID != dead || r.Retired[0].RetiredCause != job.RetiredLeaseExpired {
		t.Errorf("retired %s because of %q, want %s because of %q", r.Retired[0].ID, r.Retired[0].RetiredCause, dead, job.RetiredLeaseExpired)
	}
	for _, before := range jobs {
		j, err := w.Job(t.Context(), before.ID)
		if err != nil || j.State != job.Pending || j.Crashes != 1 || j.DueAt.After(j.CreatedAt.Add(2*lease)) {
			t.Errorf("state %s crashes %d due %v error %v, want it pending and due after one crash", j.State, j.Crashes, j.DueAt, err)
		}
	}
	w.expect(w.pass(m), 0, 0)
}

func TestPassMovesAFloodOfJobsOnceEach(t *testing.T) {
	w := newWard(t)
	const flood = 2*recoverBatch + 7 // a full batch, then several side by side
	w.worker(flood)
	w.advance(lease + time.Second)
	moved := map[job.ID]bool{}
	for _, j := range w.pass(w.monitor()).Recovered {
		if moved[j.ID] {
			t.Errorf("job %s is told twice", j.ID)
		}
		moved[j.ID] = true
	}
	if len(moved) != flood {
		t.Errorf("moved %d jobs, want %d", len(moved), flood)
	}
}

func TestTwoMonitorsAtOnceDoTheWorkOnce(t *testing.T) {
	w := newWard(t)
	for range 3 {
		w.worker(200)
	}
	w.advance(lease + time.Second)
	results := make([]Result, 4)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			var err error
			if results[i], err = w.monitor().Pass(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	workers, jobs := map[job.ID]int{}, map[job.ID]int{}
	for _, r := range results {
		for _, x := range r.Retired {
			workers[x.ID]++
		}
		for _, j := range r.Recovered {
			jobs[j.ID]++
		}
	}
	if len(workers) != 3 || len(jobs) != 600 {
		t.Errorf("%d workers retired and %d jobs recovered, want 3 and 600", len(workers), len(jobs))
	}
	for id, n := range workers {
		if n != 1 {
			t.Errorf("worker %s was retired %d times", id, n)
		}
	}
	for id, n := range jobs {
		if j, err := w.Job(t.Context(), id); err != nil || n != 1 || j.Crashes != 1 {
			t.Fatalf("job %s was recovered %d times, crashes %d, error %v", id, n, j.Crashes, err)
		}
	}
}

func TestJobsOfWorkersRetiredBySomebodyElseAreMoved(t *testing.T) {
	w := newWard(t)
	id, _ := w.worker(2)
	if err := w.Retire(t.Context(), id, job.RetiredToldToGo, job.By{Actor: "cli:test", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	w.expect(w.pass(w.monitor()), 0, 2)

	id, _ = w.worker(2)
	if err := w.Retire(t.Context(), id, job.RetiredToldToGo, job.By{Actor: "cli:test", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	w.retire = errAway
	r, err := w.monitor().Pass(t.Context())
	if !errors.Is(err, w.retire) {
		t.Errorf("error %v, want %v", err, w.retire)
	}
	w.expect(r, 0, 2)
}

func TestFailedPassIsAnErrorAndTellsWhatItDid(t *testing.T) {
	w := newWard(t)
	w.worker(2)
	w.advance(lease + time.Second)
	w.recover = errAway
	heard := &passes{}
	m := w.monitor()
	m.Metrics = heard
	r, err := m.Pass(t.Context())
	if !errors.Is(err, w.recover) || heard.failed != 1 {
		t.Errorf("error %v, %d failed passes heard; want %v and 1", err, heard.failed, w.recover)
	}
	w.expect(r, 1, 0)
	w.recover = nil
	w.expect(w.pass(m), 0, 2)
}

type passes struct {
	noMetrics
	failed int
}

func (p *passes) StalePass(_ time.Duration, err error) {
	if err != nil {
		p.failed++
	}
}

// TestNobodyIsJudgedForATimeWithoutAStore keeps the store away for longer than a
// lease: the workers that come back in time keep their jobs, the dead do not.
func TestNobodyIsJudgedForATimeWithoutAStore(t *testing.T) {
	w := newWard(t)
	alive, _ := w.worker(2)
	w.worker(3)
	m := w.monitor()
	w.expect(w.pass(m), 0, 0)
	w.retire, w.recover = errAway, errAway
	for range 6 {
		w.advance(5 * time.Second)
		if _, err := m.Pass(t.Context()); err == nil {
			t.Fatal("a pass without a store is no error")
		}
	}
	w.retire, w.recover = nil, nil
	w.expect(w.pass(m), 0, 0)
	w.advance(5 * time.Second)
	w.beat(alive)
	w.expect(w.pass(m), 0, 0)
	for range 3 {
		w.advance(5 * time.Second)
		w.beat(alive)
		w.pass(m)
	}
	w.advance(time.Second)
	r := w.pass(m)
	if ws, err := w.Workers(t.Context(), time.Hour); err != nil || len(ws) != 2 {
		t.Fatal(ws, err)
	} else {
		for _, x := range ws {
			if (x.ID == alive) != x.RetiredAt.IsZero() {
				t.Errorf("worker %s, retired at %v, cause %q; only the dead one should be, last pass %+v", x.ID, x.RetiredAt, x.RetiredCause, r)
			}
		}
	}
	if c, err := w.Counts(t.Context()); err != nil || c[job.InProgress] != 2 || c[job.Pending] != 3 {
		t.Errorf("in progress %d, pending %d, error %v; want 2 of the living and 3 of the dead", c[job.InProgress], c[job.Pending], err)
	}
}

func TestOneFailedPassDelaysNothing(t *testing.T) {
	w := newWard(t)
	w.worker(1)
	m := w.monitor()
	w.pass(m)
	w.advance(lease - 4*time.Second)
	w.looksGood(m)
	w.advance(5 * time.Second)
	w.retire = errors.New("busy")
	if _, err := m.Pass(t.Context()); err == nil {
		t.Fatal("no error")
	}
	w.retire = nil
	w.advance(5 * time.Second)
	w.expect(w.pass(m), 1, 1)
}

// looksGood makes the pass before this moment a recent one.
func (w *ward) looksGood(m *Monitor) { m.looked = w.clock() }

func TestIntervalHasACeiling(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		0: 5 * time.Second, -1: 5 * time.Second, time.Second: time.Second, 10 * time.Minute: MaxInterval,
	} {
		if got := New(Config{Interval: given}).Interval; got != want {
			t.Errorf("interval %s became %s, want %s", given, got, want)
		}
	}
}

// silent is a store that never answers.
type silent struct{ calls atomic.Int64 }

func (s *silent) Judge(ctx context.Context, _ time.Duration) (job.Judgement, error) {
	s.calls.Add(1)
	<-ctx.Done()
	return job.Judgement{}, context.Cause(ctx)
}

func (s *silent) RetireExpired(context.Context) ([]job.Worker, error) {
	return nil, errors.ErrUnsupported // a person's act
}

func (s *silent) LastStorm(context.Context) (*job.Storm, error) { return nil, errors.ErrUnsupported }

func (s *silent) Recover(ctx context.Context, _ int) (job.Recovered, error) {
	s.calls.Add(1)
	<-ctx.Done()
	return job.Recovered{}, context.Cause(ctx)
}

func (s *silent) RecoverStalled(ctx context.Context, _ time.Duration, _ int) (job.Recovered, error) {
	return s.Recover(ctx, 0)
}

func (s *silent) RecoverJob(context.Context, job.ID, time.Duration, job.By) (job.RecoveredJob, error) {
	return job.RecoveredJob{}, errors.ErrUnsupported // a person's act
}

// TestMonitorOutlivesAStoreThatNeverAnswers meets a connection that nobody answers
// for an hour: passes fail and are repeated, and the log stays readable.
func TestMonitorOutlivesAStoreThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		s := &silent{}
		begun := time.Now()
		m := New(Config{Store: s, Log: slog.New(slog.NewTextHandler(&said, nil)), clock: func() time.Duration { return time.Hour + time.Since(begun) }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := m.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := s.calls.Load(); n < 100 {
			t.Errorf("%d calls in an hour, want the passes to go on", n)
		}
		if lines := strings.Count(said.String(), "\n"); lines < 2 || lines > 61 {
			t.Errorf("%d lines in an hour, want about one a minute", lines)
		}
	})
}
