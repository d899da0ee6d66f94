package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faulty is a real store whose answers a test may replace. A nil field is the
// store itself.
type faulty struct {
	*fragile
	claim    func(ctx context.Context, r job.ClaimRequest) ([]job.Job, error)
	complete func(ctx context.Context, leases ...job.Lease) ([]job.Lease, error)
	release  func(ctx context.Context, cause string, leases ...job.Lease) ([]job.Lease, error)
	retire   func(ctx context.Context, w job.ID, cause string, by job.By) error
	fail     func(ctx context.Context, l job.Lease, f job.Failure) (job.State, error)
}

func (f *faulty) Claim(ctx context.Context, r job.ClaimRequest) ([]job.Job, error) {
	if f.claim != nil {
		return f.claim(ctx, r)
	}
	return f.fragile.Claim(ctx, r)
}

func (f *faulty) Complete(ctx context.Context, leases ...job.Lease) ([]job.Lease, error) {
	if f.complete != nil {
		return f.complete(ctx, leases...)
	}
	return f.fragile.Complete(ctx, leases...)
}

func (f *faulty) Release(ctx context.Context, cause string, leases ...job.Lease) ([]job.Lease, error) {
	if f.release != nil {
		return f.release(ctx, cause, leases...)
	}
	return f.fragile.Release(ctx, cause, leases...)
}

func (f *faulty) Retire(ctx context.Context, w job.ID, cause string, by job.By) error {
	if f.retire != nil {
		return f.retire(ctx, w, cause, by)
	}
	return f.fragile.Retire(ctx, w, cause, by)
}

func (f *faulty) Fail(ctx context.Context, l job.Lease, failure job.Failure) (job.State, error) {
	if f.fail != nil {
		return f.fail(ctx, l, failure)
	}
	return f.fragile.Fail(ctx, l, failure)
}

func newFaulty(t *testing.T) *faulty { return &faulty{fragile: newStore(t)} }

// TestClaimWhoseAnswerIsLostIsGivenBack loses the answer of a claim that the store
// has committed: nobody knows of the job, and its owner lives.
func TestClaimWhoseAnswerIsLostIsGivenBack(t *testing.T) {
	s := newFaulty(t)
	var lost atomic.Bool
	s.claim = func(ctx context.Context, r job.ClaimRequest) ([]job.Job, error) {
		jobs, err := s.fragile.Claim(ctx, r)
		if len(jobs) > 0 && !lost.Swap(true) {
			return nil, errAway
		}
		return jobs, err
	}
	id := enqueue(t, s, job.Spec{})
	start(t, quick(s, noop(func(context.Context, job.Attempt) error { return nil })))
	j := awaitJob(t, s, id, "completed", inState(job.Completed))
	if j.Attempt != 1 || j.Crashes != 0 {
		t.Errorf("attempt %d crashes %d, want 1 and 0", j.Attempt, j.Crashes)
	}
}

// TestEndsAreRecordedWhenTheLastBeatSucceeds lets the store refuse the end of an
// attempt at a moment at which nothing seems left of the lease; the next beat is good.
func TestEndsAreRecordedWhenTheLastBeatSucceeds(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want job.State
	}{
		"success": {nil, job.Completed},
		"failure": {job.Permanent(errors.New("no luck")), job.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFaulty(t)
			var shift atomic.Int64
			var away atomic.Bool
			loseTime := func() error {
				if away.Swap(true) {
					return nil
				}
				shift.Add(int64(9 * time.Second)) // of ten
				return errAway
			}
			s.complete = func(ctx context.Context, leases ...job.Lease) ([]job.Lease, error) {
				if err := loseTime(); err != nil {
					return nil, err
				}
				return s.fragile.Complete(ctx, leases...)
			}
			s.fail = func(ctx context.Context, l job.Lease, f job.Failure) (job.State, error) {
				if err := loseTime(); err != nil {
					return "", err
				}
				return s.fragile.Fail(ctx, l, f)
			}
			cfg := quick(s, noop(func(context.Context, job.Attempt) error { return c.err }))
			cfg.Lease = 10 * time.Second
			cfg.clock = func() time.Duration { return time.Duration(time.Now().UnixNano() + shift.Load()) }
			// The beat at the very end has a millisecond; the store's clock is not the worker's.
			id := enqueue(t, s, job.Spec{})
			start(t, cfg)
			awaitJob(t, s, id, "ended", inState(c.want))
		})
	}
}

// TestTheEndOfTheGraceIsNoFailure ends the grace while a handler runs that returns
// the cause of its context, as handlers should.
func TestTheEndOfTheGraceIsNoFailure(t *testing.T) {
	for name, answer := range map[string]func(ctx context.Context) error{
		"cause":         func(ctx context.Context) error { return fmt.Errorf("visit: %w", context.Cause(ctx)) },
		"ctx error":     func(ctx context.Context) error { return ctx.Err() },
		"broken by it":  func(context.Context) error { return errors.New("read tcp: use of closed connection") },
		"said so first": func(context.Context) error { return job.ErrDrained },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			id := enqueue(t, s, job.Spec{})
			begun := make(chan struct{})
			cfg := quick(s, noop(func(ctx context.Context, _ job.Attempt) error {
				close(begun)
				<-ctx.Done()
				return answer(ctx)
			}))
			cfg.DrainGrace = 50 * time.Millisecond
			stop := start(t, cfg)
			<-begun
			stop()
			j, err := s.Job(t.Context(), id)
			if err != nil || j.State != job.Pending || j.Attempt != 0 || j.Failures != 0 {
				t.Errorf("state %s attempt %d failures %d error %v, want pending 0 0", j.State, j.Attempt, j.Failures, err)
			}
		})
	}
}

// TestJobCancelledBeforeItBeganDoesNotRun cancels a job that waits claimed behind
// a long one.
func TestJobCancelledBeforeItBeganDoesNotRun(t *testing.T) {
	s := newFaulty(t)
	first, second := enqueue(t, s, job.Spec{Priority: 1}), enqueue(t, s, job.Spec{Priority: 2})
	s.claim = func(ctx context.Context, r job.ClaimRequest) ([]job.Job, error) {
		r.Limit = 2 // as if the jobs had been short
		return s.fragile.Claim(ctx, r)
	}
	begun, proceed := make(chan struct{}), make(chan struct{})
	var ran atomic.Bool
	cfg := quick(s, noop(func(_ context.Context, a job.Attempt) error {
		if a.Job.ID == second {
			ran.Store(true)
			return nil
		}
		close(begun)
		<-proceed
		return nil
	}))
	cfg.Concurrency, cfg.Prefetch = 1, 1
	stop := start(t, cfg)
	<-begun
	if err := s.Cancel(t.Context(), second, job.By{Actor: "cli:test", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	beats := s.beats.Load()
	awaitTrue(t, "two beats", func() bool { return s.beats.Load() >= beats+2 })
	close(proceed)
	awaitJob(t, s, first, "completed", inState(job.Completed))
	stop()
	if ran.Load() {
		t.Error("the handler ran although a beat had said that the job was cancelled")
	}
}

func awaitTrue(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited for %s in vain", what)
}

// TestStoreOutageCostsNoCrash keeps the store away for longer than a lease. The
// worker that fenced itself gives its jobs back when the store answers again,
// before anybody has judged it.
func TestStoreOutageCostsNoCrash(t *testing.T) {
	s := newFaulty(t)
	var away atomic.Bool
	s.claim = func(ctx context.Context, r job.ClaimRequest) ([]job.Job, error) {
		if away.Load() {
			return nil, errAway
		}
		return s.fragile.Claim(ctx, r)
	}
	s.release = func(ctx context.Context, cause string, leases ...job.Lease) ([]job.Lease, error) {
		if away.Load() {
			return nil, errAway
		}
		return s.fragile.Release(ctx, cause, leases...)
	}
	left := make(chan struct{}, 8)
	s.retire = func(ctx context.Context, w job.ID, cause string, by job.By) error {
		if away.Load() {
			left <- struct{}{}
			return errAway
		}
		return s.fragile.Retire(ctx, w, cause, by)
	}
	id := enqueue(t, s, job.Spec{})
	var runs atomic.Int64
	start(t, quick(s, noop(func(ctx context.Context, _ job.Attempt) error {
		if runs.Add(1) > 1 {
			return nil
		}
		away.Store(true)
		s.beatsFail.Store(true)
		<-ctx.Done()
		return ctx.Err()
	})))
	<-left // it tried to say goodbye
	away.Store(false)
	s.beatsFail.Store(false)
	j := awaitJob(t, s, id, "completed by a new tenure", inState(job.Completed))
	if j.Crashes != 0 || j.Attempt != 1 {
		t.Errorf("crashes %d attempt %d, want 0 and 1", j.Crashes, j.Attempt)
	}
	ws, err := s.Workers(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ws {
		if !w.RetiredAt.IsZero() && w.RetiredCause != job.RetiredStopped {
			t.Errorf("a worker is retired as %s, want it to have left in order", w.RetiredCause)
		}
	}
}

// TestDrainEndsAlthoughTheStoreTakesNoCompletion drains on a store that answers
// beats and nothing else.
func TestDrainEndsAlthoughTheStoreTakesNoCompletion(t *testing.T) {
	s := newFaulty(t)
	refused := make(chan struct{}, 1)
	s.complete = func(context.Context, ...job.Lease) ([]job.Lease, error) {
		select {
		case refused <- struct{}{}:
		default:
		}
		return nil, job.ErrFull
	}
	id := enqueue(t, s, job.Spec{})
	stop := start(t, quick(s, noop(func(context.Context, job.Attempt) error { return nil })))
	<-refused
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		s.beatsFail.Store(true) // lets the test end
		<-ended
		t.Fatal("the drain did not end")
	}
	if _, err := stale.New(stale.Config{Store: s, Log: quiet}).Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if j, err := s.Job(t.Context(), id); err != nil || j.State != job.Pending || j.Crashes != 0 {
		t.Errorf("state %s crashes %d error %v, want it pending again, without a crash", j.State, j.Crashes, err)
	}
}

// TestOldPaceIsForgotten holds that a burst of short jobs does not let the pool
// claim ahead a long time after.
func TestOldPaceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		done := int64(0)
		for range 100 {
			p.ahead(done)
			time.Sleep(10 * time.Millisecond)
			done += 100
		}
		if n := p.ahead(done); n < 400 {
			t.Fatalf("at 10 000 jobs a second %d are claimed ahead, want about 500", n)
		}
		time.Sleep(time.Minute)
		if n := p.ahead(done); n > 0 {
			t.Errorf("after an idle minute %d jobs would be claimed ahead, want none", n)
		}
	})
}

// deaf is a store whose calls hang until their contexts end, or fail at once.
type deaf struct {
	Store
	hang       bool
	registered atomic.Int64
	claims     atomic.Int64
}

func (d *deaf) answer(ctx context.Context) error {
	if d.hang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return errAway
}

func (d *deaf) Register(ctx context.Context, _ job.Worker, _ time.Duration) error {
	d.registered.Add(1)
	return d.answer(ctx)
}

// TestRegistrationThatHangsIsRepeated meets a connection that nobody answers.
func TestRegistrationThatHangsIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{hang: true}
		stop := start(t, Config{Store: d, Handlers: noop(nil), Log: quiet})
		time.Sleep(time.Minute)
		stop()
		if n := d.registered.Load(); n < 3 {
			t.Errorf("registered %d times in a minute, want it tried again", n)
		}
	})
}

// idle is a store that knows no jobs and refuses claims.
type idle struct{ deaf }

func (i *idle) Register(context.Context, job.Worker, time.Duration) error { return nil }
func (i *idle) Wake(context.Context) <-chan struct{}                      { return nil }
func (i *idle) Beat(context.Context, job.ID, time.Duration, []job.Held) (job.Pulse, error) {
	return job.Pulse{}, nil
}

func (i *idle) HasQuarantined(ctx context.Context, _ []string) (bool, error) {
	return false, i.answer(ctx)
}

func (i *idle) Claim(context.Context, job.ClaimRequest) ([]job.Job, error) {
	i.claims.Add(1)
	return nil, errAway
}

func (i *idle) Lifeline(context.Context, job.ID) (job.Lifeline, error) {
	return nil, job.ErrNoSession
}
func (i *idle) Retire(context.Context, job.ID, string, job.By) error { return nil }

// TestLookForQuarantinedJobsThatHangsDoesNotStopClaims meets a look that nobody answers.
func TestLookForQuarantinedJobsThatHangsDoesNotStopClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &idle{deaf{hang: true}}
		stop := start(t, Config{Store: s, Handlers: noop(nil), Log: quiet, clock: sinceStart()})
		time.Sleep(time.Minute)
		before := s.claims.Load()
		time.Sleep(5 * time.Minute)
		stop()
		if n := s.claims.Load() - before; n < 5 {
			t.Errorf("%d claims in five minutes, want them to go on", n)
		}
	})
}

// TestStoreThatIsAwayFillsNoLog counts what an hour without a store says.
func TestStoreThatIsAwayFillsNoLog(t *testing.T) {
	for name, s := range map[string]Store{"not registered": &deaf{}, "no claims": &idle{}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				stop := start(t, Config{Store: s, Handlers: noop(nil), Log: slog.New(slog.NewTextHandler(&said, nil)), clock: sinceStart()})
				time.Sleep(time.Hour)
				stop()
				if lines := strings.Count(said.String(), "will try again"); lines < 2 || lines > 61 {
					t.Errorf("%d lines in an hour, want about one a minute", lines)
				}
			})
		})
	}
}

// sinceStart is a clock of the bubble that it is called in.
func sinceStart() func() time.Duration {
	begun := time.Now()
	return func() time.Duration { return time.Since(begun) }
}

// TestHangingHandlerIsCancelledWhenItsOwnPoolRunsTheJobAgain: the one worker there
// is loses a job for want of progress and claims it again before its next beat.
func TestHangingHandlerIsCancelledWhenItsOwnPoolRunsTheJobAgain(t *testing.T) {
	s := newStore(t)
	hanging, told := make(chan struct{}), make(chan error, 1)
	var runs atomic.Int64
	cfg := quick(s, noop(func(ctx context.Context, _ job.Attempt) error {
		if runs.Add(1) > 1 {
			return nil
		}
		close(hanging)
		<-ctx.Done()
		told <- context.Cause(ctx)
		return nil
	}))
	cfg.Heartbeat, cfg.Lease = time.Minute, 3*time.Minute // no beat tells of it
	id := enqueue(t, s, job.Spec{})
	start(t, cfg)
	<-hanging
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r, err := s.RecoverStalled(t.Context(), time.Millisecond, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Jobs) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the job never counted as stalled")
		}
	}
	if cause := <-told; !errors.Is(cause, job.ErrLeaseLost) {
		t.Errorf("the hanging handler's context ended with %v, want %v", cause, job.ErrLeaseLost)
	}
	awaitJob(t, s, id, "completed by the second run", inState(job.Completed))
}
