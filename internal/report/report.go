package report

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Period is the time that a report is about: [From, To).
type Period struct {
	Name string    `json:"name"` // daily, weekly or monthly
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Kinds of report.
const (
	Daily   = "daily"
	Weekly  = "weekly"
	Monthly = "monthly"
)

// PeriodOf is the period of a kind of report that ends at to, or with the second that is
// not over then: what happened in it until now belongs to it.
func PeriodOf(name string, to time.Time) (Period, error) {
	days, known := map[string]int{Daily: 1, Weekly: 7, Monthly: 30}[name]
	if !known {
		return Period{}, fmt.Errorf("there is no %s report", name)
	}
	to = to.UTC().Add(time.Second - 1).Truncate(time.Second)
	return Period{Name: name, From: to.AddDate(0, 0, -days), To: to}, nil
}

// Store is what a report asks.
type Store interface {
	job.Figures
	job.Books
	AlertsDelivered(ctx context.Context, from, to time.Time, late time.Duration) (alert.Punctuality, error)
	Rollups(ctx context.Context, name string, from, to time.Time) ([]job.Rollup, error)
	Findings(ctx context.Context) ([]job.Finding, error)
	LetterDepth(ctx context.Context) (job.LetterDepth, error)
	LetterGroups(ctx context.Context, f job.LetterFilter) ([]job.LetterGroup, error)
	Stale(ctx context.Context, threshold time.Duration, limit int) ([]job.StaleJob, error)
	Now(ctx context.Context) (time.Time, error)
}

// Config describes how a report is made.
type Config struct {
	Stall time.Duration            // without progress for so long is stuck, due for so long is late
	Every map[string]time.Duration // how often each monitor looks
}

// Report is what is to be told. A share of which nothing is known is nil.
type Report struct {
	Period Period    `json:"period"`
	At     time.Time `json:"at"` // when it was made: "now" in it

	Score Score `json:"score"`

	Stale   Stale   `json:"stale"`
	Letters Letters `json:"dead_letters"`
	Limits  Limits  `json:"limits"`
	Health  Health  `json:"health"`
	Alerts  Alerts  `json:"alerts"`
	Jobs    Jobs    `json:"jobs"`
	Uptime  Uptime  `json:"uptime"`
	Books   Books   `json:"books"`
	Orders  Orders  `json:"orders"`
	Money   Money   `json:"money"`
}

// Stale is what was stuck.
type Stale struct {
	Recovered map[string]int64 `json:"recovered"` // jobs taken back, by cause; a drain is none
	Total     int64            `json:"total"`
	Retired   int64            `json:"workers_lost"`
	Storms    int64            `json:"storms"`
	Stuck     int              `json:"stuck_now"` // should be 0
}

// Letters are the dead letters.
type Letters struct {
	Arrived  int64     `json:"arrived"`
	Undone   int64     `json:"undecided"` // of these, nobody has decided about
	Open     int64     `json:"open_now"`  // should be 0
	Oldest   time.Time `json:"oldest,omitzero"`
	Redriven int64     `json:"redriven"`
	Purged   int64     `json:"purged"`
}

// Limits are what the rate limiter decided.
type Limits struct {
	Decisions int64    `json:"decisions"`
	Refused   int64    `json:"refused"` // 429
	Share     *float64 `json:"share"`
}

// Health is for how long the installation was how well, by its own checks.
type Health struct {
	Seconds map[string]int64 `json:"seconds"` // by verdict
	Share   *float64         `json:"healthy_share"`
	Changes int64            `json:"changes"`
	Days    []Day            `json:"days"`
}

// Day is a day of the health's timeline.
type Day struct {
	Day   string   `json:"day"`
	Share *float64 `json:"healthy_share"`
}

// Alerts are what people were told.
type Alerts struct {
	alert.Punctuality
	Share *float64 `json:"on_time_share"`
}

// Jobs are orders and what follows from them; canaries and benchmarks are none.
type Jobs struct {
	Completed int64    `json:"completed"`
	Failed    int64    `json:"failed"` // for good
	Share     *float64 `json:"share"`
}

// Uptime is for which share of the time somebody worked, and each monitor looked.
type Uptime struct {
	Workers  *float64            `json:"workers"`
	Monitors map[string]*float64 `json:"monitors"`
}

// Books is whether what was paid for is accounted for.
type Books struct {
	Told       int64 `json:"told"`       // orders found unbalanced
	Unbalanced int   `json:"unbalanced"` // now; should be 0
}

// Orders are what customers bought and got.
type Orders struct {
	Placed    job.Sum       `json:"placed"`
	Completed job.Sum       `json:"completed"`
	Median    time.Duration `json:"median_ns"` // from placing to completion; 0: none was completed
	P95       time.Duration `json:"p95_ns"`
	Shortfall int64         `json:"short"` // orders that the catalog could not fill
}

// Money is what was saved and what is in danger.
type Money struct {
	Protected job.Protection `json:"protected"`
	Promised  int64          `json:"promised_cents,omitempty"` // a month; in the monthly report
	AtRisk    job.Risk       `json:"at_risk_now"`
}

// PromisedMonthly is the revenue that recovery was promised to protect in a month, in US cents.
const PromisedMonthly = 250_000

// late is after how long a message to people was late.
const late = 5 * time.Minute

// Make makes a report.
func Make(ctx context.Context, s Store, c Config, p Period) (Report, error) {
	r := Report{Period: p}
	var err error
	if r.At, err = s.Now(ctx); err != nil {
		return r, err
	}
	m := maker{ctx, s, c, &r}
	for _, part := range []func() error{m.stale, m.letters, m.limits, m.health, m.alerts, m.jobs, m.uptime, m.books, m.orders, m.money} {
		if err := part(); err != nil {
			return r, fmt.Errorf("make the %s report: %w", p.Name, err)
		}
	}
	r.Score = score(&r)
	return r, nil
}

// share is n of all; nil when there were none.
func share(n, all int64) *float64 {
	if all <= 0 {
		return nil
	}
	s := float64(n) / float64(all)
	return &s
}
