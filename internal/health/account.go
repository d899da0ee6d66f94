package health

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	measureEvery  = 5 * time.Second
	measureWithin = 10 * time.Second
	// restFor is how often its own duration counting rests at least, up to mostRest: where
	// there is much to count, counting must not be what keeps the store busy.
	restFor  = 20
	mostRest = time.Minute

	accountEvery    = 5 * time.Second
	handOverTimeout = 5 * time.Second

	overall = "overall"
	unknown = "unknown"
)

// measure counts, and returns how long to rest.
func (m *Monitor) measure(ctx context.Context) time.Duration {
	begun := time.Now()
	asking, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	f, err := m.Measure(asking)
	if ctx.Err() != nil {
		return 0
	}
	m.mu.Lock()
	m.figures, m.measured = f, time.Now()
	if err != nil {
		m.measured = time.Time{}
	}
	m.mu.Unlock()
	if err != nil {
		m.Log.DebugContext(ctx, "figures not measured, will try again", "error", err.Error())
		return measureEvery
	}
	m.Metrics.LoadMeasured(f.Due, f.SlotsLive, f.DuePerSlot)
	m.Metrics.WorkersLive(f.WorkersLive)
	m.Metrics.JobsStale(f.Stale)
	return min(max(measureEvery, restFor*time.Since(begun)), mostRest)
}

// account counts for how long which service was how, and has people told, until ctx
// ends; what was counted by then is handed over.
func (m *Monitor) account(ctx context.Context) {
	tick := time.NewTicker(accountEvery)
	defer tick.Stop()
	var counted time.Duration // of this process's life
	for {
		select {
		case <-ctx.Done():
			m.count(&counted)
			m.handOver(context.WithoutCancel(ctx)) // the end has come; what was counted is still to be told
			return
		case <-tick.C:
			r := m.count(&counted)
			if m.tally.Due() {
				m.handOver(ctx)
			}
			m.news(ctx, r)
		}
	}
}

// count adds the seconds since the last time.
func (m *Monitor) count(counted *time.Duration) Report {
	r := m.Report()
	past := (r.Uptime - *counted).Truncate(time.Second)
	*counted += past
	m.tally.Count(job.FactHealth, overall+"/"+string(r.Status), int64(past/time.Second))
	for _, s := range r.Services {
		m.tally.Count(job.FactHealth, s.Name+"/"+s.word(), int64(past/time.Second))
	}
	return r
}

// word is the status as it is counted: of whom nothing is known nothing is said.
func (s Service) word() string {
	if s.Blames != "" {
		return unknown
	}
	return string(s.Status)
}

func (m *Monitor) handOver(ctx context.Context) {
	if m.Rollups == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	if err := m.tally.HandOver(ctx, m.Rollups.AddFacts); err != nil {
		m.Log.DebugContext(ctx, "health not handed over, kept for the next time", "error", err.Error())
	}
}

// news has people told of what is wrong by itself and has no alert of its own.
func (m *Monitor) news(ctx context.Context, r Report) {
	if m.News == nil {
		return
	}
	var wrong []Service
	blind := false
	for _, s := range r.Services {
		switch {
		case s.Blames != "":
			blind = true
		case s.Status != Up && s.Untold:
			wrong = append(wrong, s)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	if err := m.News.Tell(ctx, wrong, blind); err != nil && ctx.Err() == nil {
		m.Log.DebugContext(ctx, "people not told of the health, will try again", "error", err.Error())
	}
}
