package cli

import (
	"context"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/api"
	"github.com/directorybolt/directorybolt/internal/health"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// health looks at the whole installation, for a process that answers for it. limits is
// nil where there are none to look at.
func (h house) health(ctx context.Context, s backend, limits *limits) (*health.Monitor, error) {
	i := health.Installation{
		Store: s, StallAfter: h.config.StallAfter(),
		Pending: func(ctx context.Context) (names []string, err error) {
			pending, err := pendingMigrations(ctx, s)
			for _, m := range pending {
				names = append(names, m.String())
			}
			return names, err
		},
	}
	if limits != nil {
		i.Limiter, i.Begun = limits.limiter.Stats, time.Now() // who has limits serves
	}
	channels, err := h.notifiers()
	if err != nil {
		return nil, err
	}
	for _, n := range channels {
		i.Channels = append(i.Channels, n.Channel())
	}
	if i.Queue, err = h.queueDepth(ctx); err != nil {
		return nil, err
	}
	return health.New(health.Config{
		Checks: health.Checks(i), Measure: i.Measure, Rollups: s, News: &healthNews{findings: s}, Log: h.log, Metrics: h.metrics,
	}), nil
}

// queueDepth asks the queues of the settings how full they are; nil where there are none.
func (h house) queueDepth(ctx context.Context) (func(ctx context.Context) (queue.Depth, error), error) {
	if !h.hints() {
		return nil, nil
	}
	client, err := h.sqs(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (all queue.Depth, err error) {
		for _, url := range h.config.SQSQueueURLs {
			d, err := client.Queue(url).Depth(ctx)
			if err != nil {
				return all, err
			}
			all.Visible += d.Visible
			all.InFlight += d.InFlight
			all.Delayed += d.Delayed
		}
		return all, nil
	}, nil
}

// healthOf is a verdict as the API tells it. Causes come from drivers, which may repeat
// what they were given.
func (h house) healthOf(r health.Report) api.Health {
	scrub := telemetry.NewScrubber(h.config.Secrets()).Scrub
	all := api.Health{
		Status: string(r.Status), Timestamp: r.At, Uptime: r.Uptime.Round(time.Millisecond).Seconds(), Version: thisBuild().Version,
		Wrong: r.Wrong, Services: make(map[string]api.ServiceHealth, len(r.Services)),
	}
	for _, s := range r.Services {
		v := api.ServiceHealth{
			Status: string(s.Status), Detail: scrub(s.Detail), Remedy: s.Remedy, Blames: s.Blames, Since: s.Since.UTC(), Figures: s.Figures,
		}
		if !s.Checked.IsZero() {
			ms := float64(s.Latency.Microseconds()) / 1000
			v.CheckedAt, v.LatencyMS = s.Checked.UTC(), &ms
		}
		all.Services[s.Name] = v
	}
	if f := r.Figures; f != nil {
		all.Metrics = &api.HealthMetrics{
			JobsPending: f.Pending, JobsInProgress: f.InProgress, JobsCompletedToday: f.CompletedToday, JobsFailedToday: f.FailedToday,
			JobsStale: f.Stale, DLQDepth: f.DLQDepth, ValueAtRiskCents: f.ValueAtRiskCents, JobsDue: f.Due,
			SlotsLive: f.SlotsLive, DueJobsPerLiveSlot: f.DuePerSlot,
		}
		if !f.OldestDue.IsZero() {
			all.Metrics.OldestDueSeconds = max(0, f.At.Sub(f.OldestDue)).Seconds()
		}
	}
	return all
}

// healthNews has people told of what is wrong and has no alert of its own: whichever
// processes look, once.
type healthNews struct {
	findings job.Findings
	said     time.Time // when the store last heard; zero: never
	wrong    bool      // that something was wrong
}

const (
	// confirmHealth is how long a service must be so before people are told.
	confirmHealth = 30 * time.Second
	// repeatHealth is how often that nothing is wrong is said all the same: another
	// process may have died that had said otherwise.
	repeatHealth = time.Minute
)

// Tell notes what is wrong.
func (n *healthNews) Tell(ctx context.Context, wrong []health.Service, unknown bool) error {
	if len(wrong) == 0 && !n.wrong && time.Since(n.said) < repeatHealth {
		return nil
	}
	look := job.Look{Kind: job.ServiceNotUp, Partial: unknown, Confirm: confirmHealth, Event: job.EventHealth, Alert: job.AlertHealth, Each: true}
	for _, s := range wrong {
		cause := s.Detail
		if s.Remedy != "" {
			cause += "; " + s.Remedy
		}
		look.Found = append(look.Found, job.Finding{Kind: look.Kind, Subject: s.Name, Cause: strings.TrimSpace(cause), Since: s.Since.UTC(), Count: 1})
		if s.Status == health.Down {
			look.Severity = "page"
		}
	}
	if _, err := n.findings.NoteFindings(ctx, look); err != nil {
		return err
	}
	n.said, n.wrong = time.Now(), len(wrong) > 0
	return nil
}
