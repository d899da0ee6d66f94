package worker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// stop ends an attempt whose lease is gone. When its handler ignores that, it loses
// its slot to another.
func (t *tenure) stop(a *attempt, cause error) {
	a.cancel(cause)
	if a.phase.Load() != running {
		return
	}
	t.errands.Go(func() {
		select {
		case <-time.After(t.StuckAfter):
			t.loseSlot(a)
		case <-t.gone: // the end of a tenure deals with all of them
		}
	})
}

// loseSlot opens a slot in place of the one that a hanging handler keeps. The pool
// bounds how many: handlers that always hang must not fill the process.
func (t *tenure) loseSlot(a *attempt) {
	if t.lostSlots.Load() >= int64(t.Concurrency) {
		if a.phase.Load() == running {
			t.Log.Error("handler ignores its cancelled context, and so many do that its slot is not replaced", "job_id", a.job.ID, "kind", a.job.Kind, "worker_id", t.id, "count", t.lostSlots.Load())
		}
		return
	}
	if !a.phase.CompareAndSwap(running, lost) {
		return
	}
	go t.slot() // counted as the one that is lost
	t.leaveSlot()
	t.tellLost(a)
}

// tellLost reports a handler that lost its slot.
func (t *tenure) tellLost(a *attempt) {
	n := t.lostSlots.Add(1)
	t.Metrics.SlotLost(a.job.Kind)
	ran := time.Since(a.begun).Round(time.Millisecond)
	t.Log.Error("handler ignores its cancelled context, its slot is replaced", "job_id", a.job.ID, "kind", a.job.Kind, "worker_id", t.id, "fence", a.job.Fence, "took", ran, "count", n)
	t.errands.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		defer cancel()
		detail, _ := json.Marshal(map[string]string{"ran": ran.String()})
		err := t.Store.Tell(ctx, job.Event{
			Type: job.EventHandlerStuck, JobID: a.job.ID, CustomerID: a.job.CustomerID, WorkerID: t.id, Fence: a.job.Fence,
			Actor: job.ActorWorker(t.id), Cause: context.Cause(a.ctx).Error(), Detail: detail,
		}, nil)
		if err != nil {
			t.Log.Warn("history does not tell of the hanging handler", "job_id", a.job.ID, "error", err.Error())
		}
	})
}

// foundAgain counts a handler that returned at last. Its slot was replaced long ago.
func (t *tenure) foundAgain(a *attempt) {
	t.lostSlots.Add(-1)
	t.Metrics.SlotFound(a.job.Kind)
	t.Log.Info("hanging handler returned", "job_id", a.job.ID, "kind", a.job.Kind, "worker_id", t.id, "fence", a.job.Fence, "took", time.Since(a.begun))
}
