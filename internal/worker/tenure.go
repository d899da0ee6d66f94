package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Causes with which an attempt's context ends.
var (
	errFenced    = errors.New("the worker's lease is over on its own clock")
	errGraceOver = errors.New("the drain's grace is over")
	errCancelled = errors.New("the job was cancelled")
)

// writeTimeout bounds one try to record how an attempt ended. Such writes are not
// cancelled with the attempt: they are how it ends.
const writeTimeout = 5 * time.Second

// stragglerGrace is how long handlers get to return once their context is cancelled.
const stragglerGrace = 2 * time.Second

// tenure is a pool under one identity, from registration to retirement.
type tenure struct {
	*Pool
	id       job.ID
	deadline atomic.Int64  // when the lease is over, on the pool's clock
	counted  time.Duration // up to when the lease is counted as uptime, on the pool's clock; the heart's

	attempts context.Context // parent of every attempt's context
	abort    context.CancelCauseFunc
	drain    chan struct{} // closed when the pool wants to stop
	over     chan struct{} // closed when the lease is gone
	closed   chan struct{} // closed when no more successes will come
	gone     chan struct{} // closed when nothing more is to be recorded

	mu   sync.Mutex
	held map[job.ID]*attempt // claimed and not yet ended in the store

	slots    sync.WaitGroup // those that are not lost
	todo     chan *attempt  // claimed, not begun
	ended    chan *attempt  // succeeded, to be completed
	freed    chan struct{}  // a hint that an attempt left its slot
	kick     chan struct{}  // makes the heart beat now
	unbegun  atomic.Int64   // claimed and not yet through their handler
	finished atomic.Int64   // handlers that returned, ever

	errands   sync.WaitGroup // what the heart does not wait for
	signedOff bool           // the store knows that the tenure is over; after serve

	cut   bool   // the lifeline was, at least once; keepLifeline's
	letGo func() // of the lifeline; when the store knows that the tenure is over
}

// attempt is a claimed job in this process.
type attempt struct {
	job        job.Job
	ctx        context.Context // ends, with a cause, when the attempt shall
	cancel     context.CancelCauseFunc
	claimed    time.Time
	begun      time.Time
	progressed atomic.Bool
	phase      atomic.Int32
}

// Phases of an attempt.
const (
	waiting  int32 = iota // for a slot
	running               // in its handler
	returned              // from its handler
	lost                  // in its handler, but without a slot: it ignores that it is over
	unwanted              // given back before it began
)

// inHandler reports whether the handler has begun and not returned.
func (a *attempt) inHandler() bool {
	p := a.phase.Load()
	return p == running || p == lost
}

func newTenure(p *Pool) *tenure {
	t := &tenure{
		Pool:   p,
		id:     job.NewID(),
		drain:  make(chan struct{}),
		over:   make(chan struct{}),
		closed: make(chan struct{}),
		gone:   make(chan struct{}),
		held:   make(map[job.ID]*attempt),
		todo:   make(chan *attempt, p.Concurrency+max(p.Prefetch, 0)),
		ended:  make(chan *attempt, 4096),
		freed:  make(chan struct{}, 1),
		kick:   make(chan struct{}, 1),
	}
	t.letGo = func() {}
	t.attempts, t.abort = context.WithCancelCause(context.Background())
	return t
}

// extend moves the deadline after a good beat that was sent at the given time.
func (t *tenure) extend(sent time.Duration) {
	t.deadline.Store(int64(sent + t.Lease - t.Lease/10))
}

// left is the time until the deadline.
func (t *tenure) left() time.Duration { return time.Duration(t.deadline.Load()) - t.clock() }

// serve runs the tenure. It returns nil after a drain, else why the lease ended.
func (t *tenure) serve(ctx context.Context) error {
	beating, stopHeart := context.WithCancel(context.Background())
	beats := async(func() {
		if err := t.heart(beating); err != nil {
			t.abort(err)
			close(t.over)
		}
	})

	t.tieLifeline()
	t.serving.Store(t)
	defer t.serving.CompareAndSwap(t, nil)
	fetching, stopFetch := context.WithCancel(ctx)
	fetched := async(func() { t.fetch(fetching) })
	ran := async(t.runSlots)
	completed := async(t.completeBatches)

	select {
	case <-ctx.Done():
	case <-t.over:
	}
	stopFetch()
	<-fetched
	close(t.drain)
	close(t.todo)
	returned := async(t.giveUnbegun)
	t.awaitSlots(ran)
	<-returned
	close(t.closed)
	select {
	case <-completed:
	case <-time.After(writeTimeout): // a store that takes no completion must not stop a drain
	}
	close(t.gone)
	<-completed
	if t.signedOff = t.leave(); t.signedOff {
		t.letGo()
	}
	stopHeart()
	<-beats
	t.errands.Wait()
	t.handOver()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(t.attempts)
}

// awaitSlots waits for running attempts: the grace in a drain, then a moment more
// with their contexts cancelled. Handlers that ignore even that are reported and
// left behind; their writes carry a lost fence.
func (t *tenure) awaitSlots(ran <-chan struct{}) {
	select {
	case <-ran:
		return
	case <-t.over:
	case <-time.After(t.DrainGrace):
		t.abort(errGraceOver)
	}
	select {
	case <-ran:
	case <-time.After(stragglerGrace):
		for _, a := range t.holding() {
			if a.phase.CompareAndSwap(running, lost) {
				t.tellLost(a)
				t.slots.Done()
			}
		}
	}
}

// giveUnbegun gives back what was claimed and has not begun: nobody shall wait for the
// running attempts to end. What it cannot give back, leave tries again.
func (t *tenure) giveUnbegun() {
	var unbegun []*attempt
	var leases []job.Lease
	for _, a := range t.holding() {
		if a.phase.CompareAndSwap(waiting, unwanted) {
			unbegun, leases = append(unbegun, a), append(leases, a.job.Lease())
		}
	}
	if len(leases) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if _, err := t.Store.Release(ctx, t.why(), leases...); err == nil {
		t.drop(unbegun...)
	}
}

// leave gives back what is still held and retires the identity in order. It
// reports whether the store took that; where it did not, a later try or recovery
// does it. A worker that the store has retired has nothing to give back; a job
// whose handler still runs is not given to another as long as recovery does not do so.
func (t *tenure) leave() (left bool) {
	if errors.Is(context.Cause(t.attempts), job.ErrRetired) {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	var leases []job.Lease
	for _, a := range t.holding() {
		if !a.inHandler() {
			leases = append(leases, a.job.Lease())
		}
	}
	why := t.why()
	if len(leases) > 0 {
		if _, err := t.Store.Release(ctx, why, leases...); err != nil {
			t.Log.Warn("jobs not released, recovery will take them", "count", len(leases), "error", err.Error())
		}
	}
	err := t.Store.Retire(ctx, t.id, job.RetiredStopped, job.By{Actor: job.ActorWorker(t.id), Reason: why})
	if err != nil && !errors.Is(err, job.ErrState) {
		t.Log.Warn("worker not signed off, its lease will run out", "worker_id", t.id, "error", err.Error())
		return false
	}
	t.Log.Info("worker left", "worker_id", t.id, "released", len(leases))
	return true
}

// why says for what reason the tenure ends.
func (t *tenure) why() string {
	if errors.Is(context.Cause(t.attempts), errFenced) {
		return errFenced.Error()
	}
	return "drain"
}

// hold enters a claimed job.
func (t *tenure) hold(j job.Job) *attempt {
	a := &attempt{job: j, claimed: time.Now()}
	a.ctx, a.cancel = context.WithCancelCause(t.attempts)
	t.mu.Lock()
	earlier := t.held[j.ID]
	t.held[j.ID] = a
	t.mu.Unlock()
	if earlier != nil { // taken from a handler that hangs here, and handed to us again before a beat told
		t.stop(earlier, job.ErrLeaseLost)
	}
	t.unbegun.Add(1)
	return a
}

// drop forgets an attempt whose end is recorded or no longer ours to record.
func (t *tenure) drop(as ...*attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range as {
		if t.held[a.job.ID] == a {
			delete(t.held, a.job.ID)
		}
	}
}

func (t *tenure) holding() []*attempt {
	t.mu.Lock()
	defer t.mu.Unlock()
	as := make([]*attempt, 0, len(t.held))
	for _, a := range t.held {
		as = append(as, a)
	}
	return as
}

// async runs f and returns a channel that is closed when f has returned.
func async(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}
