package worker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// tied is a real store whose lifelines the test cuts.
type tied struct {
	*fragile
	lines chan *line
}

// line is a lifeline that the test sees: held, cut, let go.
type line struct {
	worker   job.ID
	cut      chan struct{}
	released sync.Once
	gone     chan struct{}
}

func (l *line) Cut() <-chan struct{} { return l.cut }
func (l *line) Release()             { l.released.Do(func() { close(l.gone) }) }

func newTied(t *testing.T) *tied { return &tied{newStore(t), make(chan *line, 100)} }

func (s *tied) Lifeline(_ context.Context, worker job.ID) (job.Lifeline, error) {
	l := &line{worker: worker, cut: make(chan struct{}), gone: make(chan struct{})}
	s.lines <- l
	return l, nil
}

// slow is a pool that beats when it is asked to and hardly ever by itself.
func slow(s Store, h job.HandlerFunc) Config {
	c := quick(s, noop(h))
	c.Heartbeat, c.Lease = 10*time.Minute, time.Hour
	return c
}

func TestCutLifelineOfALivingWorkerCostsNoAttempt(t *testing.T) {
	s := newTied(t)
	begun, end := make(chan struct{}), make(chan struct{})
	start(t, slow(s, func(ctx context.Context, _ job.Attempt) error {
		close(begun)
		select {
		case <-end:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}))
	id := enqueue(t, s, job.Spec{})
	first := <-s.lines
	<-begun
	close(first.cut)
	again := <-s.lines
	if again.worker != first.worker {
		t.Errorf("the lifeline of worker %s was cut, and that of %s taken", first.worker, again.worker)
	}
	awaitTrue(t, "two beats", func() bool { return s.beats.Load() >= 2 })
	close(end)
	j := awaitJob(t, s, id, "completed", func(j job.Job) bool { return j.State == job.Completed })
	if j.Fence != 1 || j.Crashes != 0 {
		t.Errorf("fence %d, crashes %d; want 1 and 0", j.Fence, j.Crashes)
	}
}

// TestWorkerTakenForDeadBeginsAnewAtOnce retires a worker, as a watch does when its
// lifeline is cut: it does not wait for its next beat to notice.
func TestWorkerTakenForDeadBeginsAnewAtOnce(t *testing.T) {
	s := newTied(t)
	stopped := make(chan error, 10)
	start(t, slow(s, func(ctx context.Context, a job.Attempt) error {
		if a.Job.Attempt > 1 {
			return nil
		}
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return context.Cause(ctx)
	}))
	id := enqueue(t, s, job.Spec{})
	first := <-s.lines
	awaitJob(t, s, id, "running", func(j job.Job) bool { return j.State == job.InProgress })
	if err := s.Retire(t.Context(), first.worker, job.RetiredLockLost, job.By{}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Recover(t.Context(), 10); err != nil || len(r.Jobs) != 1 {
		t.Fatalf("recovered %v, error %v", r, err)
	}
	close(first.cut)
	if err := <-stopped; !errors.Is(err, job.ErrRetired) {
		t.Errorf("the attempt was stopped because %v, want %v", err, job.ErrRetired)
	}
	next := <-s.lines
	for next.worker == first.worker { // taken again before the beat was answered
		next = <-s.lines
	}
	j := awaitJob(t, s, id, "completed", func(j job.Job) bool { return j.State == job.Completed })
	if j.WorkerID != next.worker || j.Crashes != 1 {
		t.Errorf("completed by %s after %d crashes, want the new identity %s and 1", j.WorkerID, j.Crashes, next.worker)
	}
}

// TestLifelineIsLetGoAfterTheGoodbye: whoever watches must find that the worker left.
func TestLifelineIsLetGoAfterTheGoodbye(t *testing.T) {
	s := newTied(t)
	stop := start(t, slow(s, func(context.Context, job.Attempt) error { return nil }))
	l := <-s.lines
	seen := make(chan string)
	go func() {
		<-l.gone
		ws, err := s.Workers(context.Background(), time.Hour)
		if err != nil || len(ws) != 1 {
			seen <- "unknown"
			return
		}
		seen <- ws[0].RetiredCause
	}()
	stop()
	if cause := <-seen; cause != job.RetiredStopped {
		t.Errorf("when the lifeline was let go the worker was retired because of %q, want %q", cause, job.RetiredStopped)
	}
}
