package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/directorybolt/directorybolt/internal/tally"
)

// decisionFacts carries what the limiter decided into the store's sums, for reports.
type decisionFacts struct {
	read    func() ratelimit.Stats
	rollups job.Rollups
	log     *slog.Logger
	tally   tally.Tally
	before  map[string]uint64 // by label
}

const (
	countDecisions  = 15 * time.Second
	handOverTimeout = 5 * time.Second
)

// run counts until ctx ends, and hands over what is left then.
func (f *decisionFacts) run(ctx context.Context) {
	tick := time.NewTicker(countDecisions)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			f.count()
			f.handOver(context.WithoutCancel(ctx)) // the end has come; what was counted is still to be told
			return
		case <-tick.C:
			f.count()
			if f.tally.Due() {
				f.handOver(ctx)
			}
		}
	}
}

// count adds what was decided since the last time.
func (f *decisionFacts) count() {
	if f.before == nil {
		f.before = map[string]uint64{}
	}
	for _, t := range f.read().Tallies {
		label := t.Policy + "/" + t.Outcome.String() + "/" + t.Source.String()
		f.tally.Count(job.FactDecisions, label, int64(t.Count-f.before[label]))
		f.before[label] = t.Count
	}
}

func (f *decisionFacts) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	if err := f.tally.HandOver(ctx, f.rollups.AddFacts); err != nil {
		f.log.DebugContext(ctx, "decisions not handed over, kept for the next time", "error", err.Error())
	}
}
