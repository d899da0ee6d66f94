package health_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/health"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/queue"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
)

// facts are what a store would answer.
type facts struct {
	now      time.Time
	load     job.Load
	workers  []job.Worker
	storm    *job.Storm
	orphans  map[string][]job.Finding
	findings []job.Finding
	passes   []job.MonitorPass
	depth    job.LetterDepth
	stale    []job.StaleJob
	risk     job.Risk
	done     []job.Rollup
	backlogs []alert.Backlog

	pending  []string
	queue    error
	limits   ratelimit.Stats
	channels []string
	begun    time.Time
}

func (f *facts) Ping(context.Context) error                    { return nil }
func (f *facts) Now(context.Context) (time.Time, error)        { return f.now, nil }
func (f *facts) Load(context.Context) (job.Load, error)        { return f.load, nil }
func (f *facts) LastStorm(context.Context) (*job.Storm, error) { return f.storm, nil }
func (f *facts) Findings(context.Context) ([]job.Finding, error) {
	return f.findings, nil
}
func (f *facts) Workers(context.Context, time.Duration) ([]job.Worker, error) { return f.workers, nil }
func (f *facts) FindOrphans(_ context.Context, kind string, _ time.Duration, _ int) ([]job.Finding, error) {
	return f.orphans[kind], nil
}
func (f *facts) MonitorPasses(context.Context) ([]job.MonitorPass, error) { return f.passes, nil }
func (f *facts) LetterDepth(context.Context) (job.LetterDepth, error)     { return f.depth, nil }
func (f *facts) Stale(context.Context, time.Duration, int) ([]job.StaleJob, error) {
	return f.stale, nil
}
func (f *facts) AtRisk(context.Context, time.Duration) (job.Risk, error) { return f.risk, nil }
func (f *facts) Rollups(context.Context, string, time.Time, time.Time) ([]job.Rollup, error) {
	return f.done, nil
}
func (f *facts) Backlogs(context.Context) ([]alert.Backlog, error) { return f.backlogs, nil }

func (f *facts) installation() health.Installation {
	return health.Installation{
		Store: f, Pending: func(context.Context) ([]string, error) { return f.pending, nil },
		Queue:   func(context.Context) (queue.Depth, error) { return queue.Depth{Visible: 3}, f.queue },
		Limiter: func() ratelimit.Stats { return f.limits }, Channels: f.channels, StallAfter: 10 * time.Minute, Begun: f.begun,
	}
}

// well is an installation in which nothing is wrong.
func well() *facts {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	pass := func(monitor string, every, ago time.Duration) job.MonitorPass {
		return job.MonitorPass{Monitor: monitor, Process: job.NewID(), Host: "h", PID: 7, At: now.Add(-ago), GoodAt: now.Add(-ago), Every: every}
	}
	return &facts{
		now:      now,
		load:     job.Load{At: now},
		workers:  []job.Worker{{ID: job.NewID(), Capacity: 10, LeaseUntil: now.Add(time.Second)}},
		passes:   []job.MonitorPass{pass(job.MonitorStale, 5*time.Second, 4*time.Second), pass(job.MonitorDLQ, 5*time.Minute, 4*time.Minute), pass(job.MonitorDLQLook, 0, 4*time.Minute), pass(job.MonitorBooks, time.Minute, time.Minute)},
		backlogs: []alert.Backlog{{Channel: alert.Channel{Name: "slack", Target: "x", GoodAt: now}}},
		orphans:  map[string][]job.Finding{},
	}
}

func orphan(kind, subject, cause string, ago time.Duration) func(*facts) {
	return func(f *facts) {
		f.orphans[kind] = append(f.orphans[kind], job.Finding{Kind: kind, Subject: subject, Cause: cause, Since: f.now.Add(-ago), Count: 2, ValueCents: 14900})
	}
}

func TestEachFaultIsNamed(t *testing.T) {
	passed := func(n int, ago time.Duration) func(*facts) {
		return func(f *facts) { f.passes[n].At, f.passes[n].GoodAt = f.now.Add(-ago), f.now.Add(-ago) }
	}
	channel := func(change func(*alert.Backlog, time.Time)) func(*facts) {
		return func(f *facts) { change(&f.backlogs[0], f.now) }
	}
	for _, c := range []struct {
		what    string
		fault   func(*facts)
		service string // that is wrong; empty: none
		status  health.Status
		verdict health.Overall
		says    string
	}{
		{what: "nothing", fault: func(*facts) {}, verdict: health.Healthy},
		{"migrations missing", func(f *facts) { f.pending = []string{"0013_a", "0014_b"} }, health.Migrations, health.Down, health.Unhealthy, "2 migrations are pending: 0013_a, 0014_b"},

		{"SQS away", func(f *facts) { f.queue = errors.New("connection refused") }, health.Queue, health.Degraded, health.Troubled, "SQS does not answer"},
		{"idle workers", orphan(job.OrphanUnclaimed, "order", job.UnclaimedIdle, time.Hour), health.Queue, health.Degraded, health.Troubled, "workers are idle"},
		{"hints that nobody sends", orphan(job.OrphanUnsent, job.MessageHint, "", 2*time.Minute), health.Queue, health.Degraded, health.Troubled, "nobody sends"},

		{"no worker, and work", orphan(job.OrphanUnclaimed, "order", job.UnclaimedNoWorker, time.Hour), health.Workers, health.Down, health.Unhealthy, "no worker is alive"},
		{what: "no worker, and no work", fault: func(f *facts) { f.workers = nil }, verdict: health.Healthy},
		{"nobody performs a kind", orphan(job.OrphanUnclaimed, "order", job.UnclaimedNoHandler, time.Hour), health.Workers, health.Degraded, health.Troubled, "no live worker performs"},
		{"a worker died", func(f *facts) {
			f.workers = append(f.workers, job.Worker{Host: "far", PID: 4, RetiredAt: f.now.Add(-time.Minute), RetiredCause: job.RetiredLockLost})
		}, health.Workers, health.Degraded, health.Troubled, "1 worker died in the last 5 minutes, the last one on far, pid 4"},
		{what: "a drill", fault: func(f *facts) {
			f.workers = append(f.workers, job.Worker{Kinds: []string{job.KindCanary}, RetiredAt: f.now.Add(-time.Minute), RetiredCause: job.RetiredLockLost})
		}, verdict: health.Healthy},
		{what: "a worker left", fault: func(f *facts) {
			f.workers = append(f.workers, job.Worker{RetiredAt: f.now.Add(-time.Minute), RetiredCause: job.RetiredStopped})
		}, verdict: health.Healthy},
		{"a worker is silent", func(f *facts) { f.workers = append(f.workers, job.Worker{LeaseUntil: f.now.Add(-time.Minute)}) }, health.Workers, health.Degraded, health.Troubled, "does not beat any more"},
		{"a storm", func(f *facts) { f.storm = &job.Storm{OpenedAt: f.now, Owners: 9, Dead: 5} }, health.Workers, health.Degraded, health.Troubled, "5 of 9 workers"},
		{what: "a storm that is over", fault: func(f *facts) { f.storm = &job.Storm{OpenedAt: f.now, ClosedAt: f.now} }, verdict: health.Healthy},

		{what: "a pass that is late", fault: passed(0, 12*time.Second), verdict: health.Healthy},
		{"two passes missed", passed(0, 13*time.Second), health.StaleMonitor, health.Degraded, health.Troubled, "no pass of a stale monitor since"},
		{"five passes missed", passed(0, 28*time.Second), health.StaleMonitor, health.Down, health.Troubled, "no pass of a stale monitor since"},
		{"no stale monitor ever", func(f *facts) { f.passes = f.passes[1:] }, health.StaleMonitor, health.Down, health.Troubled, "no stale monitor ever looked"},
		{"passes that fail", func(f *facts) {
			f.passes[0].GoodAt, f.passes[0].Error = f.now.Add(-time.Hour), "no such table"
		}, health.StaleMonitor, health.Down, health.Troubled, "no such table"},
		{"the dead letter monitor was told to go", func(f *facts) { f.passes[1].LeftAt = f.now.Add(-2 * time.Minute) }, health.DLQMonitor, health.Degraded, health.Troubled, "was told to go"},
		{what: "and another has come", fault: func(f *facts) {
			f.passes[1].LeftAt = f.now.Add(-2 * time.Minute)
			f.passes = append(f.passes, job.MonitorPass{Monitor: job.MonitorDLQ, At: f.now.Add(-3 * time.Minute), GoodAt: f.now.Add(-3 * time.Minute), Every: 5 * time.Minute})
		}, verdict: health.Healthy},
		{"dead letter passes missed", passed(1, 26*time.Minute), health.DLQMonitor, health.Down, health.Troubled, "no pass of a dlq monitor"},

		{"dead letters", func(f *facts) { f.depth = job.LetterDepth{Open: 3, ValueCents: 44700, Oldest: f.now} }, health.DLQ, health.Degraded, health.Troubled, "3 dead letters are open, $447.00"},
		{"the queue of dead letters is not seen", func(f *facts) {
			f.passes[2].GoodAt, f.passes[2].Error = f.now.Add(-11*time.Minute), "access denied"
		}, health.DLQ, health.Down, health.Troubled, "access denied"},

		{"no channel", func(f *facts) { f.backlogs = nil }, health.Alerts, health.Degraded, health.Troubled, "no alert channel is set"},
		{what: "a channel that has sent nothing yet", fault: func(f *facts) { f.channels, f.backlogs = []string{"slack"}, nil }, verdict: health.Healthy},
		{"one of two channels fails, the other has sent nothing yet", func(f *facts) {
			f.channels = []string{"slack", "email"}
			f.backlogs[0].Failures, f.backlogs[0].FailingSince, f.backlogs[0].Error = 2, f.now, "status 500"
		}, health.Alerts, health.Degraded, health.Troubled, "slack takes nothing"},
		{what: "one failure", fault: channel(func(b *alert.Backlog, now time.Time) { b.Failures, b.FailingSince = 1, now }), verdict: health.Healthy},
		{"the only channel fails", channel(func(b *alert.Backlog, now time.Time) { b.Failures, b.FailingSince, b.Error = 2, now, "status 500" }), health.Alerts, health.Down, health.Troubled, "status 500"},
		{"one of two channels fails", func(f *facts) {
			f.backlogs = append(f.backlogs, alert.Backlog{Channel: alert.Channel{Name: "email", Target: "y", Failures: 9, FailingSince: f.now, Error: "no route"}})
		}, health.Alerts, health.Degraded, health.Troubled, "email takes nothing"},
		{"a channel that is shut", channel(func(b *alert.Backlog, now time.Time) { b.HeldAt = now }), health.Alerts, health.Down, health.Troubled, "no alert channel works"},
		{"a parked message", channel(func(b *alert.Backlog, now time.Time) { b.Parked = 1 }), health.Alerts, health.Degraded, health.Troubled, "1 message"},
		{"undelivered for long", channel(func(b *alert.Backlog, now time.Time) { b.Waiting, b.OldestDue = 1, now.Add(-6*time.Minute) }), health.Alerts, health.Degraded, health.Troubled, "has not got what is due"},
		{"notices that nobody reads", orphan(job.OrphanUnsent, job.MessageAlert, "", 10*time.Minute), health.Alerts, health.Degraded, health.Troubled, "nobody sends"},
		{what: "a channel of before that is not set", fault: func(f *facts) {
			f.channels = []string{"slack"}
			f.backlogs = append(f.backlogs, alert.Backlog{Channel: alert.Channel{Name: "email", Target: "y", Failures: 9}})
		}, verdict: health.Healthy},

		{"the limiter without its store", func(f *facts) {
			f.limits = ratelimit.Stats{Down: true, Since: f.now, Cause: errors.New("timeout")}
		}, health.RateLimiter, health.Degraded, health.Troubled, "timeout"},
		{"sums that do not add up", func(f *facts) {
			f.findings = []job.Finding{{Kind: job.OrphanUnbalanced, Subject: "a", Cause: "50 ≠ 49"}, {Kind: job.OrphanUnbalanced, Subject: "b"}}
		}, health.Books, health.Down, health.Troubled, "50 ≠ 49, and 1 more"},
		{"books that nobody ever checked", func(f *facts) { f.passes = f.passes[:3] }, health.Books, health.Down, health.Troubled, "nobody has checked the books since the beginning"},
		{"books not checked yet", func(f *facts) { f.passes, f.begun = f.passes[:3], time.Now() }, health.Books, health.Degraded, health.Troubled, "the books are not checked yet"},
		{"books that a process of before checked last", func(f *facts) {
			f.passes[3].GoodAt, f.begun = f.now.Add(-time.Hour), time.Now()
		}, health.Books, health.Degraded, health.Troubled, "the books are not checked yet"},
		{what: "a check that is late", fault: passed(3, 124*time.Second), verdict: health.Healthy},
		{"two checks missed", passed(3, 126*time.Second), health.Books, health.Degraded, health.Troubled, "nobody has checked the books since 2026-11-26 09:57:54Z"},
		{"five checks missed", passed(3, 306*time.Second), health.Books, health.Down, health.Troubled, "nobody has checked the books since"},
		{"checks that fail", func(f *facts) {
			f.passes[3].GoodAt, f.passes[3].Error = f.now.Add(-time.Hour), "no such table"
		}, health.Books, health.Down, health.Troubled, "no such table"},
		{what: "another process checked", fault: func(f *facts) {
			f.passes[3].GoodAt, f.passes[3].Error = f.now.Add(-time.Hour), "no such table"
			f.passes = append(f.passes, job.MonitorPass{Monitor: job.MonitorBooks, At: f.now.Add(-2 * time.Minute), GoodAt: f.now.Add(-2 * time.Minute), Every: time.Minute})
		}, verdict: health.Healthy},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := well()
			c.fault(f)
			m := health.New(health.Config{Checks: health.Checks(f.installation())})
			m.Look(t.Context())
			r := m.Look(t.Context())
			if r.Status != c.verdict || strings.Join(r.Wrong, "+") != c.service {
				t.Errorf("%s, wrong %v: want %s, %s", r.Status, r.Wrong, c.verdict, c.service)
			}
			if c.service == "" {
				return
			}
			s := r.Service(c.service)
			if s.Status != c.status || !strings.Contains(s.Detail, c.says) || s.Remedy == "" {
				t.Errorf("%s is %s: %q, remedy %q; want %s: %q", c.service, s.Status, s.Detail, s.Remedy, c.status, c.says)
			}
		})
	}
}

// A worker that is between two jobs is no idle one.
func TestIdleWorkersAreProvedByTwoLooks(t *testing.T) {
	f := well()
	m := health.New(health.Config{Checks: health.Checks(f.installation())})
	for n, mark := range []string{"a", "b", "b", "c"} {
		f.orphans[job.OrphanUnclaimed] = []job.Finding{{Kind: job.OrphanUnclaimed, Subject: "order", Cause: job.UnclaimedIdle, Mark: mark, Count: 1}}
		want := health.Up
		if n == 2 {
			want = health.Degraded
		}
		if got := m.Look(t.Context()).Service(health.Queue).Status; got != want {
			t.Errorf("look %d: %s, want %s", n+1, got, want)
		}
	}
}

func TestFiguresOfTheWhole(t *testing.T) {
	f := well()
	f.load = job.Load{At: f.now, Pending: 50, InProgress: 4, Due: 40, FailedToday: 2}
	f.done = []job.Rollup{{Labels: job.KindOrder, Value: 5}, {Labels: job.KindCanary, Value: 7}, {Labels: job.KindRecheck, Value: 1}}
	f.stale = []job.StaleJob{{ValueCents: 100}, {ValueCents: 1000, Canary: true}}
	f.depth = job.LetterDepth{Open: 3, ValueCents: 10_000}
	orphan(job.OrphanUnclaimed, "order", job.UnclaimedNoWorker, time.Hour)(f)
	f.risk = job.Risk{Stuck: job.Sum{Count: 1, ValueCents: 100}, Failed: job.Sum{Count: 2, ValueCents: 10_000}, Late: job.Sum{Count: 4, ValueCents: 59_600}}
	f.workers = append(f.workers, job.Worker{Capacity: 6, LeaseUntil: f.now.Add(time.Minute)}, job.Worker{Capacity: 50, LeaseUntil: f.now.Add(-time.Minute)})
	got, err := f.installation().Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := health.Figures{
		Load: f.load, CompletedToday: 6, Stale: 1, DLQDepth: 3, ValueAtRiskCents: 100 + 10_000 + 59_600, WorkersLive: 2, SlotsLive: 16, DuePerSlot: 2.5,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	f.workers = nil
	if got, _ = f.installation().Measure(t.Context()); got.DuePerSlot != 40 || math.IsInf(got.DuePerSlot, 0) {
		t.Errorf("without a slot: %v", got.DuePerSlot)
	}
}
