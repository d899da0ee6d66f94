package stale

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/worker"
)

const (
	// stallAfter is turned on the store's clock, so that no slow machine decides.
	stallAfter = 10 * time.Minute
	patience   = time.Minute
)

// crew is a real store with real workers.
type crew struct {
	*ward
	t *testing.T
}

func newCrew(t *testing.T) *crew { return &crew{ward: newWard(t), t: t} }

// watch is one pass of a monitor that watches for stalled jobs; it must take so many.
func (c *crew) watch(taken int) {
	c.t.Helper()
	c.expect(c.pass(New(Config{Store: c, StallAfter: stallAfter, Log: quiet})), 0, taken)
}

// pool runs a worker with so many slots until the test ends. Its lease outlasts every
// turn of the clock.
func (c *crew) pool(slots int, h job.HandlerFunc) {
	c.t.Helper()
	p, err := worker.New(worker.Config{
		Store: c, Handlers: map[string]job.Handler{job.KindNoop: h}, Concurrency: slots, Prefetch: -1, Log: quiet,
		Heartbeat: 20 * time.Millisecond, Lease: 10 * time.Hour, Poll: 20 * time.Millisecond, DrainGrace: time.Second,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.until(p.Run)
}

func (c *crew) until(run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	c.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			c.t.Error(err)
		}
	})
}

func (c *crew) place() job.ID {
	c.t.Helper()
	answers, err := c.Enqueue(c.t.Context(), job.Spec{Kind: job.KindNoop})
	if err != nil {
		c.t.Fatal(err)
	}
	return answers[0].ID
}

func (c *crew) row(id job.ID) job.Job {
	c.t.Helper()
	j, err := c.Job(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return j
}

// arrives waits for a value that a handler sends.
func arrives[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("%s: not within %s", what, patience)
	}
	return v
}

func (c *crew) eventually(what string, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func TestAHangingHandlerLosesItsJobToAnotherWorker(t *testing.T) {
	c := newCrew(t)
	id := c.place()
	began, again, told := make(chan job.Attempt, 1), make(chan job.Attempt, 1), make(chan error, 1)
	taken := make(chan struct{}) // until then its slot is not free to take the job once more
	free := sync.OnceFunc(func() { close(taken) })
	defer free()
	c.pool(1, func(ctx context.Context, a job.Attempt) error {
		began <- a
		<-ctx.Done()
		told <- context.Cause(ctx)
		<-taken
		return ctx.Err()
	})
	first := arrives(t, "the first attempt", began)
	c.pool(1, func(_ context.Context, a job.Attempt) error {
		again <- a
		return nil
	})
	c.advance(stallAfter - time.Minute)
	c.watch(0)
	c.advance(2 * time.Minute)
	c.watch(1)

	second := arrives(t, "the second attempt", again)
	free()
	if second.Job.Fence != first.Job.Fence+1 || second.Job.Crashes != 1 {
		t.Errorf("fence %d and %d crashes, want one more than %d and 1", second.Job.Fence, second.Job.Crashes, first.Job.Fence)
	}
	if cause := arrives(t, "the end of the hanging attempt's context", told); !errors.Is(cause, job.ErrLeaseLost) {
		t.Errorf("its cause is %v, want %v", cause, job.ErrLeaseLost)
	}
	c.eventually("completion", func() bool { return c.row(id).State == job.Completed })
	c.takenOnce(id, first.Job)
}

// takenOnce checks the event of the one recovery there was: why, and when.
func (c *crew) takenOnce(id job.ID, first job.Job) {
	c.t.Helper()
	events, err := c.History(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	found := 0
	for _, e := range events {
		if e.Type != job.EventJobRecovered {
			continue
		}
		found++
		if e.Cause != job.NoProgress || e.WorkerID != first.WorkerID {
			c.t.Errorf("recovered because of %q from %s, want %q from %s", e.Cause, e.WorkerID, job.NoProgress, first.WorkerID)
		}
		if age := e.At.Sub(first.ProgressAt); age < stallAfter {
			c.t.Errorf("taken %s after the last progress, before the threshold of %s", age, stallAfter)
		}
	}
	if found != 1 {
		c.t.Errorf("%d recoveries told, want 1", found)
	}
	workers, err := c.Workers(c.t.Context(), time.Hour)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, w := range workers {
		if w.RetiredCause != "" {
			c.t.Errorf("worker %s was retired because of %q; only its job was to be taken", w.ID, w.RetiredCause)
		}
	}
}

// TestAHandlerThatIgnoresCancellationCannotKeepItsJob hangs for good: the job is done
// elsewhere meanwhile, and what the sleeper says at last is refused.
func TestAHandlerThatIgnoresCancellationCannotKeepItsJob(t *testing.T) {
	c := newCrew(t)
	id := c.place()
	began, wake := make(chan job.Attempt, 1), make(chan struct{})
	c.pool(1, func(_ context.Context, a job.Attempt) error {
		began <- a
		<-wake
		return nil
	})
	first := arrives(t, "the first attempt", began)
	c.pool(1, func(context.Context, job.Attempt) error { return nil })
	c.advance(stallAfter + time.Second)
	c.watch(1)
	c.eventually("completion by the other worker", func() bool { return c.row(id).State == job.Completed })
	done := c.row(id)
	close(wake)
	if lost, err := c.Complete(t.Context(), first.Job.Lease()); err != nil || len(lost) != 1 {
		t.Errorf("the sleeper's completion: lost %v, error %v; want it refused", lost, err)
	}
	if now := c.row(id); now.Fence != done.Fence || now.FinishedAt != done.FinishedAt || now.WorkerID == first.Job.WorkerID {
		t.Errorf("the sleeper changed the job: %+v, was %+v", now, done)
	}
}

func TestAHandlerThatGetsFurtherKeepsItsJobForAsLongAsItTakes(t *testing.T) {
	c := newCrew(t)
	id := c.place()
	began, steps := make(chan job.Attempt, 2), make(chan struct{})
	c.pool(2, func(_ context.Context, a job.Attempt) error {
		began <- a
		for range steps {
			a.Progress()
		}
		return nil
	})
	arrives(t, "the attempt", began)
	for range 3 {
		c.advance(stallAfter - time.Second)
		before := c.row(id).ProgressAt
		steps <- struct{}{}
		c.eventually("progress in the store", func() bool { return c.row(id).ProgressAt.After(before) })
		c.watch(0)
	}
	close(steps)
	c.eventually("completion", func() bool { return c.row(id).State == job.Completed })
	if j := c.row(id); j.Crashes != 0 || j.Fence != 1 {
		t.Errorf("%d crashes, fence %d; want none and 1", j.Crashes, j.Fence)
	}
}

func TestPassTakesStalledJobsOnlyWhenToldAfterWhat(t *testing.T) {
	w := newWard(t)
	id, jobs := w.worker(2)
	w.advance(lease - time.Second)
	w.beat(id)
	w.expect(w.pass(w.monitor()), 0, 0)
	m := New(Config{Store: w, Lease: lease, StallAfter: lease, Log: quiet, clock: w.clock})
	w.expect(w.pass(m), 0, 0)
	w.advance(2 * time.Second)
	heard := &heard{}
	m.Metrics = heard
	r := w.pass(m)
	w.expect(r, 0, 2)
	if r.Recovered[0].Cause != job.NoProgress || heard.causes[job.NoProgress] != 2 {
		t.Errorf("cause %q, heard %v; want %d jobs because of %q", r.Recovered[0].Cause, heard.causes, len(jobs), job.NoProgress)
	}
}

type heard struct {
	noMetrics
	causes map[string]int
}

func (h *heard) JobRecovered(cause string, _ job.State) {
	if h.causes == nil {
		h.causes = map[string]int{}
	}
	h.causes[cause]++
}

// TestNobodyStallsForATimeWithoutAStore: who could not tell of progress is spared.
func TestNobodyStallsForATimeWithoutAStore(t *testing.T) {
	w := newWard(t)
	id, _ := w.worker(1)
	m := New(Config{Store: w, Lease: lease, StallAfter: lease, Log: quiet, clock: w.clock})
	w.expect(w.pass(m), 0, 0)
	w.advance(lease - time.Second) // and no pass meanwhile
	w.beat(id)
	w.advance(2 * time.Second)
	w.expect(w.pass(m), 0, 0)
	for range 3 {
		w.advance(5 * time.Second)
		w.beat(id)
		w.expect(w.pass(m), 0, 0)
	}
	w.advance(5 * time.Second)
	w.expect(w.pass(m), 0, 1)
}

func TestTheThresholdIsNoShorterThanALease(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: 0, time.Second: lease, time.Minute: time.Minute} {
		if got := New(Config{Lease: lease, StallAfter: given}).StallAfter; got != want {
			t.Errorf("threshold %s became %s, want %s", given, got, want)
		}
	}
}
