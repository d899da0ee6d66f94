package worker

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// slots counts what a pool tells of lost slots.
type slots struct {
	noMetrics
	lost, found atomic.Int64
}

func (s *slots) SlotLost(string)  { s.lost.Add(1) }
func (s *slots) SlotFound(string) { s.found.Add(1) }

// hanging is a pool whose handler ignores that its attempt is over, for jobs of the
// highest priority and until the test lets them go.
type hanging struct {
	*fragile
	t       *testing.T
	metrics slots
	begun   chan job.ID
	letGo   chan struct{}
	inside  atomic.Int64 // ordinary handlers at once
	peak    atomic.Int64
	wait    chan struct{} // ordinary handlers wait for it
	stop    func()
	grace   time.Duration
}

func newHanging(t *testing.T, concurrency int) *hanging {
	t.Helper()
	h := &hanging{fragile: newStore(t), t: t, begun: make(chan job.ID, 100), letGo: make(chan struct{}), wait: make(chan struct{})}
	c := quick(h, noop(h.work))
	c.Concurrency, c.Prefetch, c.StuckAfter, c.Metrics = concurrency, -1, 50*time.Millisecond, &h.metrics
	c.DrainGrace = time.Minute
	h.stop, h.grace = start(t, c), c.DrainGrace
	t.Cleanup(h.freeAll)
	return h
}

func (h *hanging) freeAll() {
	select {
	case <-h.letGo:
	default:
		close(h.letGo)
	}
}

func (h *hanging) work(_ context.Context, a job.Attempt) error {
	if a.Job.Priority == job.PriorityUrgent {
		h.begun <- a.Job.ID
		<-h.letGo
		return nil
	}
	n := h.inside.Add(1)
	defer h.inside.Add(-1)
	for old := h.peak.Load(); n > old && !h.peak.CompareAndSwap(old, n); old = h.peak.Load() {
	}
	<-h.wait
	return nil
}

// hang runs a job that hangs, and cancels it.
func (h *hanging) hang() job.ID {
	h.t.Helper()
	id := enqueue(h.t, h, job.Spec{Priority: job.PriorityUrgent})
	<-h.begun
	if err := h.Cancel(h.t.Context(), id, job.By{Actor: "cli:test", Reason: "hangs"}); err != nil {
		h.t.Fatal(err)
	}
	return id
}

func TestHandlerThatHangsLosesItsSlotToAnother(t *testing.T) {
	h := newHanging(t, 2)
	id := h.hang()
	awaitTrue(t, "a lost slot", func() bool { return h.metrics.lost.Load() == 1 })
	ids := make([]job.ID, 6)
	for i := range ids {
		ids[i] = enqueue(t, h, job.Spec{})
	}
	awaitTrue(t, "two handlers at once", func() bool { return h.inside.Load() == 2 })

	h.freeAll()
	awaitTrue(t, "the hanging handler's return", func() bool { return h.metrics.found.Load() == 1 })
	close(h.wait)
	for _, id := range ids {
		awaitJob(t, h, id, "completed", inState(job.Completed))
	}
	if peak := h.peak.Load(); peak != 2 {
		t.Errorf("%d handlers ran at once, want 2 before and after", peak)
	}
	awaitTrue(t, "the history to tell", func() bool {
		events, err := h.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Type == job.EventHandlerStuck {
				return e.Fence == 1 && e.Cause == errCancelled.Error()
			}
		}
		return false
	})
}

func TestLostSlotsAreBounded(t *testing.T) {
	h := newHanging(t, 1)
	h.hang()
	awaitTrue(t, "a lost slot", func() bool { return h.metrics.lost.Load() == 1 })
	h.hang() // in the second slot; there is no third
	close(h.wait)
	last := enqueue(t, h, job.Spec{})
	beats := h.beats.Load()
	awaitTrue(t, "some beats", func() bool { return h.beats.Load() > beats+5 })
	if j, err := h.Job(t.Context(), last); err != nil || j.State != job.Pending || h.metrics.lost.Load() != 1 {
		t.Errorf("job is %s, %d slots lost, error %v; want it to wait, and 1", j.State, h.metrics.lost.Load(), err)
	}
	h.freeAll()
	awaitJob(t, h, last, "completed", inState(job.Completed))
}

func TestDrainDoesNotWaitForALostSlot(t *testing.T) {
	h := newHanging(t, 1)
	h.hang()
	awaitTrue(t, "a lost slot", func() bool { return h.metrics.lost.Load() == 1 })
	begun := time.Now()
	h.stop()
	if took := time.Since(begun); took > h.grace {
		t.Errorf("the drain took %s, longer than its grace", took)
	}
}

// TestJobsBehindAHangingHandlerAreGivenBack claims jobs ahead of a handler that hangs;
// another worker gets them, and it costs them nothing.
func TestJobsBehindAHangingHandlerAreGivenBack(t *testing.T) {
	s := newStore(t)
	const jobs = 3000
	specs := make([]job.Spec, jobs)
	for i := range specs {
		specs[i].Kind = job.KindNoop
	}
	if _, err := s.Enqueue(t.Context(), specs...); err != nil {
		t.Fatal(err)
	}
	hung, letGo := make(chan struct{}), make(chan struct{})
	var runs atomic.Int64
	first := quick(s, noop(func(context.Context, job.Attempt) error {
		if runs.Add(1) == jobs/2 {
			close(hung)
			<-letGo
		}
		return nil
	}))
	first.Concurrency, first.StuckAfter = 1, time.Hour
	first.Lease = time.Minute // no slow machine may lose it
	start(t, first)
	t.Cleanup(func() { close(letGo) })
	<-hung
	second := quick(s, noop(func(context.Context, job.Attempt) error { return nil }))
	second.Lease = time.Minute
	start(t, second)
	awaitTrue(t, "all but one to be completed", func() bool {
		counts, err := s.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return counts[job.Completed] == jobs-1
	})
	list, err := s.Jobs(t.Context(), job.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range list {
		if j.Crashes != 0 || j.Attempt > 1 {
			t.Fatalf("job %s: %d crashes, attempt %d; want it unharmed", j.ID, j.Crashes, j.Attempt)
		}
	}
}
