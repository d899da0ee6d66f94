package telemetry_test

import (
	"errors"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// tell calls every method once.
func tell(m *telemetry.Metrics) {
	m.JobsClaimed("order", 3, time.Millisecond)
	for _, verb := range []string{"complete", "fail", "retry", "snooze", "release", "cancel"} {
		m.JobEnded("order", verb, "transient", time.Second)
	}
	m.LeaseLost("order")
	m.WriteFenced("complete")
	m.Beat(time.Millisecond, true)
	m.Beat(time.Millisecond, false)
	m.WorkerRetired(job.RetiredLeaseExpired)
	m.JobRecovered(job.RetiredLeaseExpired, job.Pending)
	m.StalePass(time.Millisecond, nil)
	m.StalePass(time.Millisecond, errors.New("x"))
	m.SubmissionEnded(directory.Submitted)
	m.WorkersLive(2)
	m.JobsStale(3)
	m.ValueAtRisk(job.Risk{Stuck: job.Sum{Count: 1, ValueCents: 14900}, Late: job.Sum{Count: 2, ValueCents: 29800}})
	m.RevenueProtected(job.Sum{Count: 4, ValueCents: 59600})
	m.DeadLetters(job.LetterDepth{Open: 1, Oldest: time.Now().Add(-time.Hour)})
}

func scrape(m *telemetry.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestEachMethodMovesItsMetric(t *testing.T) {
	m := telemetry.NewMetrics()
	tell(m)
	lines := strings.Split(scrape(m), "\n")
	for _, want := range []string{
		`directorybolt_jobs_claimed_total{kind="order"} 3`,
		`directorybolt_jobs_completed_total{kind="order"} 1`,
		`directorybolt_jobs_failed_total{class="transient",kind="order"} 1`,
		`directorybolt_jobs_retried_total{class="transient",kind="order"} 1`,
		`directorybolt_jobs_snoozed_total{kind="order"} 1`,
		`directorybolt_jobs_released_total{kind="order"} 1`,
		`directorybolt_jobs_cancelled_total{kind="order"} 1`,
		`directorybolt_attempt_seconds_count{kind="order"} 6`,
		`directorybolt_leases_lost_total{kind="order"} 1`,
		`directorybolt_fenced_writes_total{verb="complete"} 1`,
		`directorybolt_heartbeat_seconds_count 2`,
		`directorybolt_heartbeats_failed_total 1`,
		`directorybolt_claim_seconds_count 1`,
		`directorybolt_workers_retired_total{cause="lease_expired"} 1`,
		`directorybolt_jobs_recovered_total{cause="lease_expired",state="pending"} 1`,
		`directorybolt_stale_pass_seconds_count 2`,
		`directorybolt_stale_passes_failed_total 1`,
		`directorybolt_submissions_total{outcome="submitted"} 1`,
		`directorybolt_workers_live 2`,
		`directorybolt_jobs_stale 3`,
		`directorybolt_value_at_risk_cents{reason="stuck"} 14900`,
		`directorybolt_orders_at_risk{reason="stuck"} 1`,
		`directorybolt_orders_at_risk{reason="failed"} 0`,
		`directorybolt_orders_at_risk{reason="late"} 2`,
		`directorybolt_revenue_protected_cents 59600`,
		`directorybolt_orders_protected 4`,
		`directorybolt_dlq_depth{canary="false"} 1`,
	} {
		found := false
		for _, line := range lines {
			found = found || line == want
		}
		if !found {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestTheOldestLetterAges(t *testing.T) {
	m := telemetry.NewMetrics()
	for _, c := range []struct {
		oldest      time.Time
		least, most float64
	}{
		{time.Now().Add(-time.Hour), 3600, 3700},
		{time.Now().Add(time.Hour), 0, 0}, // the store's clock is ahead
		{time.Time{}, 0, 0},               // none is open
	} {
		m.DeadLetters(job.LetterDepth{Oldest: c.oldest})
		_, text, _ := strings.Cut(scrape(m), "\ndirectorybolt_dlq_oldest_age_seconds ")
		text, _, _ = strings.Cut(text, "\n")
		if got, err := strconv.ParseFloat(text, 64); err != nil || got < c.least || got > c.most {
			t.Errorf("died at %s: it waits for %q s, want %g to %g", c.oldest, text, c.least, c.most)
		}
	}
}

// Zero workers is an alarm, so who has not counted them must not say zero.
func TestWhatNobodyCountedIsNotZero(t *testing.T) {
	got := scrape(telemetry.NewMetrics())
	for _, name := range []string{"directorybolt_workers_live ", "directorybolt_jobs_stale "} {
		if strings.Contains(got, "\n"+name) {
			t.Errorf("%sis there before it was counted", name)
		}
	}
}

func TestCountersOfKnownWordsAreThereFromTheStart(t *testing.T) {
	got := scrape(telemetry.NewMetrics())
	for _, want := range []string{
		`directorybolt_submissions_total{outcome="uncertain"} 0`,
		`directorybolt_fenced_writes_total{verb="snooze"} 0`,
		`go_goroutines`, `process_resident_memory_bytes`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestNilMetricsDoNothing(*testing.T) { tell(nil) }
