package worker

import (
	"context"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	completeBatch    = 1000 // leases in one statement
	completeInFlight = 2    // statements at once
)

// completeBatches records successes. There is no timer: what ends while a batch
// is being committed is the next batch.
func (t *tenure) completeBatches() {
	var flights sync.WaitGroup
	for range completeInFlight {
		flights.Go(func() {
			for {
				batch := t.nextBatch()
				if batch == nil {
					return
				}
				t.complete(batch)
			}
		})
	}
	flights.Wait()
}

// nextBatch waits for at least one success; nil means that no more will come.
func (t *tenure) nextBatch() []*attempt {
	var batch []*attempt
	select {
	case a := <-t.ended:
		batch = append(batch, a)
	case <-t.closed:
	}
	for len(batch) < completeBatch {
		select {
		case a := <-t.ended:
			batch = append(batch, a)
		default:
			return batch
		}
	}
	return batch
}

// complete records one batch, again and again while the store is away and the
// lease holds.
func (t *tenure) complete(batch []*attempt) {
	leases := make([]job.Lease, len(batch))
	for i, a := range batch {
		leases[i] = a.job.Lease()
	}
	for n := 1; ; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		lost, err := t.Store.Complete(ctx, leases...)
		cancel()
		if err == nil {
			t.completed(batch, lost)
			return
		}
		if !t.again(n) {
			t.Log.Warn("completions not recorded, recovery will take the jobs", "count", len(batch), "error", err.Error())
			return
		}
	}
}

func (t *tenure) completed(batch []*attempt, lost []job.Lease) {
	gone := make(map[job.ID]bool, len(lost))
	for _, l := range lost {
		gone[l.JobID] = true
	}
	done := make([]*attempt, 0, len(batch))
	for _, a := range batch {
		if gone[a.job.ID] {
			t.Metrics.LeaseLost(a.job.Kind)
			continue
		}
		done = append(done, a)
		t.Metrics.JobEnded(a.job.Kind, "complete", "", time.Since(a.begun))
	}
	t.countCompleted(done)
	if len(lost) > 0 {
		t.Log.Info("completions refused, their leases were lost", "count", len(lost), "job_id", lost[0].JobID, "fence", lost[0].Fence)
	}
	t.drop(batch...)
}
