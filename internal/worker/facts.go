package worker

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// handOverTimeout bounds the write of a minute's counts.
const handOverTimeout = 2 * time.Second

// countBeat counts a beat for the reports. A good one that was sent at the given time
// proves that the worker had its lease since the one before it: that is uptime. Time
// that ended in the loss of the lease never becomes any.
func (t *tenure) countBeat(sent time.Duration, err error) {
	if err != nil {
		t.tally.Count(job.FactBeatsFailed, "", 1)
		return
	}
	up := (sent - t.counted).Truncate(time.Second)
	t.counted += up
	t.tally.Count(job.FactBeats, "", 1)
	t.tally.Count(job.FactUptime, "", int64(up/time.Second))
	if t.Rollups != nil && t.tally.Due() {
		t.errands.Go(t.handOver) // the heart waits for nobody
	}
}

// handOver adds what was counted to the store's sums. What it does not take is kept for
// the next time.
func (t *tenure) handOver() {
	if t.Rollups == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
	defer cancel()
	if err := t.tally.HandOver(ctx, t.Rollups.AddFacts); err != nil {
		t.Log.Debug("counts not handed over, kept for the next time", "error", err.Error())
	}
}

// countCompleted counts jobs that the store took as completed.
func (t *tenure) countCompleted(done []*attempt) {
	jobs, cents := map[string]int64{}, map[string]int64{}
	for _, a := range done {
		jobs[a.job.Kind]++
		if !a.job.Canary {
			cents[a.job.Kind] += a.job.ValueCents
		}
	}
	for kind, n := range jobs {
		t.tally.Count(job.FactCompleted, kind, n)
		t.tally.Count(job.FactCompletedWorth, kind, cents[kind])
	}
}
