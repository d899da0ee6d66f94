package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

// fragile is a real store whose beats and completions can be made to fail.
type fragile struct {
	*sqlite.Store
	beatsFail atomic.Bool
	completed atomic.Int64 // calls of Complete
	beats     atomic.Int64 // good ones
}

var errAway = errors.New("store is away")

func (f *fragile) Beat(ctx context.Context, w job.ID, lease time.Duration, held []job.Held) (job.Pulse, error) {
	if f.beatsFail.Load() {
		return job.Pulse{}, errAway
	}
	p, err := f.Store.Beat(ctx, w, lease, held)
	if err == nil {
		f.beats.Add(1)
	}
	return p, err
}

func (f *fragile) Complete(ctx context.Context, leases ...job.Lease) ([]job.Lease, error) {
	f.completed.Add(1)
	return f.Store.Complete(ctx, leases...)
}

func newStore(t *testing.T) *fragile {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jobs.db"), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &fragile{Store: s}
}

var quiet = slog.New(slog.DiscardHandler)

// quick is a pool that notices things fast.
func quick(s Store, handlers map[string]job.Handler) Config {
	return Config{
		Store: s, Handlers: handlers, Log: quiet,
		Concurrency: 4, Heartbeat: 50 * time.Millisecond, Lease: 500 * time.Millisecond,
		Poll: 20 * time.Millisecond, DrainGrace: 5 * time.Second,
	}
}

// start runs a pool until stop is called; stop waits for the drain.
func start(t *testing.T, c Config) (stop func()) {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan struct{})
	go func() {
		defer close(left)
		if err := p.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-left }) }
	t.Cleanup(stop)
	return stop
}

func noop(f job.HandlerFunc) map[string]job.Handler {
	return map[string]job.Handler{job.KindNoop: f}
}

func enqueue(t *testing.T, s job.Enqueuer, spec job.Spec) job.ID {
	t.Helper()
	if spec.Kind == "" {
		spec.Kind = job.KindNoop
	}
	e, err := s.Enqueue(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return e[0].ID
}

// awaitJob polls the store until the job satisfies ok.
func awaitJob(t *testing.T, s job.Reader, id job.ID, what string, ok func(job.Job) bool) job.Job {
	t.Helper()
	var last job.Job
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		j, err := s.Job(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if last = j; ok(j) {
			return j
		}
	}
	t.Fatalf("job never was %s; it is %s, attempt %d, fence %d, cause %q", what, last.State, last.Attempt, last.Fence, last.Cause)
	return last
}

func inState(s job.State) func(job.Job) bool { return func(j job.Job) bool { return j.State == s } }

func TestPoolRunsEachJobOnce(t *testing.T) {
	s := newStore(t)
	const n = 2000
	specs := make([]job.Spec, n)
	for i := range specs {
		specs[i] = job.Spec{Kind: job.KindNoop}
	}
	if _, err := s.Enqueue(t.Context(), specs...); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	runs := map[job.ID]int{}
	all := make(chan struct{})
	stop := start(t, quick(s, noop(func(_ context.Context, a job.Attempt) error {
		mu.Lock()
		defer mu.Unlock()
		if runs[a.Job.ID]++; len(runs) == n && runs[a.Job.ID] == 1 {
			close(all)
		}
		return nil
	})))
	<-all
	stop()
	for id, r := range runs {
		if r != 1 {
			t.Errorf("job %s ran %d times", id, r)
		}
	}
	counts, err := s.Counts(t.Context())
	if err != nil || counts[job.Completed] != n {
		t.Errorf("completed %d of %d, error %v", counts[job.Completed], n, err)
	}
	if calls := s.completed.Load(); calls >= n {
		t.Errorf("%d completions took %d statements, want batches", n, calls)
	}
}

func TestHandlerErrorsChooseTheirArrow(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		panic bool
		state job.State
		check func(job.Job) error
	}{
		{name: "nil completes", state: job.Completed},
		{name: "an ordinary error is retried after a backoff", err: errors.New("no luck"), state: job.Pending, check: func(j job.Job) error {
			if j.Failures != 1 || j.Attempt != 1 || j.Cause != "no luck" || j.Class != job.ClassTransient {
				return fmt.Errorf("failures %d attempt %d cause %q class %q", j.Failures, j.Attempt, j.Cause, j.Class)
			}
			return nil
		}},
		{name: "a permanent error fails at once", err: job.Permanent(errors.New("gone")), state: job.Failed, check: func(j job.Job) error {
			if j.Class != job.ClassPermanent || j.Failures != 1 {
				return fmt.Errorf("class %q failures %d", j.Class, j.Failures)
			}
			return nil
		}},
		{name: "cancel cancels", err: job.Cancel(errors.New("moot")), state: job.Cancelled},
		{name: "snooze is not counted", err: fmt.Errorf("wrapped: %w", job.Snooze(time.Hour, "later")), state: job.Pending, check: func(j job.Job) error {
			if j.Attempt != 0 || j.Failures != 0 || time.Until(j.DueAt) < 50*time.Minute {
				return fmt.Errorf("attempt %d failures %d due %v", j.Attempt, j.Failures, j.DueAt)
			}
			return nil
		}},
		{name: "a panic is a failed attempt", panic: true, state: job.Pending, check: func(j job.Job) error {
			if j.Class != job.ClassPanic || j.Cause != "panic: boom" {
				return fmt.Errorf("class %q cause %q", j.Class, j.Cause)
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			id := enqueue(t, s, job.Spec{})
			cfg := quick(s, noop(func(context.Context, job.Attempt) error {
				if c.panic {
					panic("boom")
				}
				return c.err
			}))
			cfg.Backoff.Jitter = func() float64 { return 1 }
			start(t, cfg)
			j := awaitJob(t, s, id, string(c.state), func(j job.Job) bool { return j.State == c.state && j.Fence > 0 })
			if c.check != nil {
				if err := c.check(j); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestDrainLetsRunningJobsEndAndReleasesTheRest(t *testing.T) {
	s := newStore(t)
	quickOne, stubborn := enqueue(t, s, job.Spec{Priority: 1}), enqueue(t, s, job.Spec{Priority: 2})
	waiting := enqueue(t, s, job.Spec{Priority: 4})
	begun := make(chan struct{}, 2)
	proceed := make(chan struct{})
	cfg := quick(s, noop(func(ctx context.Context, a job.Attempt) error {
		begun <- struct{}{}
		if a.Job.ID == stubborn {
			<-ctx.Done() // does not know how to pause
			return ctx.Err()
		}
		<-proceed
		return nil
	}))
	cfg.Concurrency, cfg.Prefetch, cfg.DrainGrace = 2, -1, 200*time.Millisecond
	stop := start(t, cfg)
	<-begun
	<-begun
	time.AfterFunc(50*time.Millisecond, func() { close(proceed) })
	stop()
	for id, want := range map[job.ID]struct {
		state   job.State
		attempt int
	}{quickOne: {job.Completed, 1}, stubborn: {job.Pending, 0}, waiting: {job.Pending, 0}} {
		j, err := s.Job(t.Context(), id)
		if err != nil || j.State != want.state || j.Attempt != want.attempt || j.Crashes != 0 {
			t.Errorf("after the drain: state %s attempt %d crashes %d error %v, want %s %d 0", j.State, j.Attempt, j.Crashes, err, want.state, want.attempt)
		}
	}
	ws, err := s.Workers(t.Context(), time.Hour)
	if err != nil || len(ws) != 1 || ws[0].RetiredCause != job.RetiredStopped {
		t.Errorf("workers after the drain: %+v, error %v; want one, stopped", ws, err)
	}
}

func TestDrainedHandlerIsReleasedUncounted(t *testing.T) {
	s := newStore(t)
	id := enqueue(t, s, job.Spec{})
	begun := make(chan struct{})
	stop := start(t, quick(s, noop(func(ctx context.Context, a job.Attempt) error {
		close(begun)
		<-a.Drain
		return fmt.Errorf("pausing: %w", job.ErrDrained)
	})))
	<-begun
	stop()
	j, err := s.Job(t.Context(), id)
	if err != nil || j.State != job.Pending || j.Attempt != 0 || j.Failures != 0 {
		t.Errorf("state %s attempt %d failures %d error %v, want pending 0 0", j.State, j.Attempt, j.Failures, err)
	}
}

func TestPoolFencesItselfWhenBeatsFail(t *testing.T) {
	s := newStore(t)
	id := enqueue(t, s, job.Spec{})
	first := make(chan error, 1)
	var runs atomic.Int64
	start(t, quick(s, noop(func(ctx context.Context, a job.Attempt) error {
		if runs.Add(1) > 1 {
			return nil
		}
		s.beatsFail.Store(true)
		<-ctx.Done()
		if left := a.Left(); left > 0 {
			first <- fmt.Errorf("cancelled with %v of the lease left", left)
		} else {
			first <- context.Cause(ctx)
		}
		s.beatsFail.Store(false)
		return ctx.Err()
	})))
	if cause := <-first; !errors.Is(cause, errFenced) {
		t.Fatalf("attempt ended with %v, want %v", cause, errFenced)
	}
	j := awaitJob(t, s, id, "completed by a new tenure", inState(job.Completed))
	if j.Crashes != 0 || j.Attempt != 1 {
		t.Errorf("crashes %d attempt %d, want 0 and 1: the pool gave the job back itself", j.Crashes, j.Attempt)
	}
	ws, err := s.Workers(t.Context(), time.Hour)
	if err != nil || len(ws) != 2 {
		t.Errorf("%d workers known, error %v; want two identities", len(ws), err)
	}
}

func TestRetiredWorkerStopsAndBeginsAnew(t *testing.T) {
	s := newStore(t)
	id := enqueue(t, s, job.Spec{})
	ended := make(chan error, 1)
	begun := make(chan job.ID, 2)
	var runs atomic.Int64
	start(t, quick(s, noop(func(ctx context.Context, a job.Attempt) error {
		begun <- a.Job.WorkerID
		if runs.Add(1) > 1 {
			return nil
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil // a success that must not count: the lease is lost
	})))
	w := <-begun
	if err := s.Retire(t.Context(), w, job.RetiredToldToGo, job.By{Actor: "cli:test", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	if cause := <-ended; !errors.Is(cause, job.ErrRetired) {
		t.Errorf("attempt ended with %v, want %v", cause, job.ErrRetired)
	}
	if _, err := stale.New(stale.Config{Store: s, Log: quiet}).Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	j := awaitJob(t, s, id, "completed by a new tenure", inState(job.Completed))
	if j.Crashes != 1 || j.Fence < 2 {
		t.Errorf("crashes %d fence %d, want 1 and at least 2", j.Crashes, j.Fence)
	}
}

func TestCancelReachesTheHandlerWithTheNextBeat(t *testing.T) {
	s := newStore(t)
	id := enqueue(t, s, job.Spec{})
	begun, ended := make(chan struct{}), make(chan error, 1)
	start(t, quick(s, noop(func(ctx context.Context, _ job.Attempt) error {
		close(begun)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil
	})))
	<-begun
	if err := s.Cancel(t.Context(), id, job.By{Actor: "cli:test", Reason: "changed my mind"}); err != nil {
		t.Fatal(err)
	}
	if cause := <-ended; !errors.Is(cause, errCancelled) {
		t.Errorf("attempt ended with %v, want %v", cause, errCancelled)
	}
	awaitJob(t, s, id, "cancelled", inState(job.Cancelled))
}

func TestClaimsStopWithLessThanHalfOfTheLease(t *testing.T) {
	s := newStore(t)
	started := make(chan struct{}, 10)
	cfg := quick(s, noop(func(context.Context, job.Attempt) error { started <- struct{}{}; return nil }))
	cfg.Heartbeat, cfg.Lease = time.Second, 4*time.Second
	var shift atomic.Int64
	cfg.clock = func() time.Duration { return time.Duration(time.Now().UnixNano() + shift.Load()) }
	start(t, cfg)
	enqueue(t, s, job.Spec{})
	<-started
	s.beatsFail.Store(true)
	shift.Store(int64(2500 * time.Millisecond)) // 1.1 of 4 seconds left
	id := enqueue(t, s, job.Spec{})
	select {
	case <-started:
		t.Error("a job was claimed with less than half of the lease left")
	case <-time.After(200 * time.Millisecond):
	}
	s.beatsFail.Store(false)
	awaitJob(t, s, id, "completed after a good beat", inState(job.Completed))
}

func TestLongJobsAreNotClaimedAhead(t *testing.T) {
	s := newStore(t)
	for range 10 {
		enqueue(t, s, job.Spec{})
	}
	begun, proceed := make(chan struct{}, 10), make(chan struct{})
	cfg := quick(s, noop(func(context.Context, job.Attempt) error {
		begun <- struct{}{}
		<-proceed
		return nil
	}))
	cfg.Concurrency = 2
	start(t, cfg)
	<-begun
	<-begun
	counts, err := s.Counts(t.Context())
	if err != nil || counts[job.InProgress] != 2 || counts[job.Pending] != 8 {
		t.Errorf("in progress %d, pending %d, error %v; want 2 and 8", counts[job.InProgress], counts[job.Pending], err)
	}
	close(proceed)
}

func TestHandlerThatIgnoresCancellationDoesNotStopThePool(t *testing.T) {
	s := newStore(t)
	hung, release := make(chan job.ID, 1), make(chan struct{})
	t.Cleanup(func() { close(release) })
	cfg := quick(s, noop(func(_ context.Context, a job.Attempt) error {
		if a.Job.Priority == 1 {
			hung <- a.Job.WorkerID
			<-release
		}
		return nil
	}))
	cfg.Concurrency = 1
	enqueue(t, s, job.Spec{Priority: 1, CrashBudget: 1})
	start(t, cfg)
	w := <-hung
	if err := s.Retire(t.Context(), w, job.RetiredToldToGo, job.By{Actor: "cli:test", Reason: "hangs"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stale.New(stale.Config{Store: s, Log: quiet}).Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := enqueue(t, s, job.Spec{Priority: 4})
	awaitJob(t, s, id, "completed although the only slot hangs", inState(job.Completed))
}

func TestConfigReportsEveryFault(t *testing.T) {
	_, err := New(Config{Concurrency: -1, Heartbeat: 10 * time.Second, Lease: 15 * time.Second})
	if err == nil {
		t.Fatal("New accepted it")
	}
	for _, want := range []string{"no store", "no handlers", "concurrency -1", "lease 15s is shorter than three heartbeats"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}
