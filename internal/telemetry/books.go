package telemetry

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/prometheus/client_golang/prometheus"
)

// bookMetrics tell whether what was paid for is accounted for.
type bookMetrics struct {
	unbalanced                  prometheus.Gauge
	protected, saved            prometheus.Gauge // their value, their number
	checked, told, checksFailed prometheus.Counter
	checkSeconds                prometheus.Histogram
	atRisk, inDanger            *prometheus.GaugeVec // their value, their number
}

func (m *Metrics) addBooks() {
	m.books = bookMetrics{
		unbalanced:   m.gauge("books_unbalanced_orders", "Orders whose books do not balance, as this process last saw them."),
		told:         m.counters("books_unbalanced_total", "Orders of which people were told that their books do not balance.").WithLabelValues(),
		checked:      m.counters("books_orders_checked_total", "Orders that checks of the books walked over.").WithLabelValues(),
		checksFailed: m.counters("books_checks_failed_total", "Checks of the books that ended in an error.").WithLabelValues(),
		checkSeconds: m.histogram("books_check_seconds", "Duration of a check of the books."),
		atRisk:       m.gauges("value_at_risk_cents", "US cents paid for what is in danger now: stuck, failed and not decided about, or due for long and not taken.", "reason"),
		inDanger:     m.gauges("orders_at_risk", "How many orders that is.", "reason"),
		protected:    m.gauge("revenue_protected_cents", "US cents paid for jobs that recovery or a redrive brought to completion in the last 30 days."),
		saved:        m.gauge("orders_protected", "How many orders that is."),
	}
	for _, reason := range []string{"stuck", "failed", "late"} {
		m.books.atRisk.WithLabelValues(reason)
		m.books.inDanger.WithLabelValues(reason)
	}
}

// BooksChecked tells of a check of the books.
func (m *Metrics) BooksChecked(orders int, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.books.checkSeconds.Observe(took.Seconds())
	m.books.checked.Add(float64(orders))
	if err != nil {
		m.books.checksFailed.Inc()
		return
	}
	m.lastPass.WithLabelValues(job.MonitorBooks).SetToCurrentTime()
}

// BooksUnbalanced tells how many orders' books do not balance now.
func (m *Metrics) BooksUnbalanced(orders int) {
	if m != nil {
		m.books.unbalanced.Set(float64(orders))
	}
}

// BooksTold tells of orders of which people were told.
func (m *Metrics) BooksTold(orders int) {
	if m != nil {
		m.books.told.Add(float64(orders))
	}
}

// ValueAtRisk tells what is in danger now.
func (m *Metrics) ValueAtRisk(r job.Risk) {
	if m == nil {
		return
	}
	for reason, sum := range map[string]job.Sum{"stuck": r.Stuck, "failed": r.Failed, "late": r.Late} {
		m.books.atRisk.WithLabelValues(reason).Set(float64(sum.ValueCents))
		m.books.inDanger.WithLabelValues(reason).Set(float64(sum.Count))
	}
}

// RevenueProtected tells what was saved in the last 30 days.
func (m *Metrics) RevenueProtected(saved job.Sum) {
	if m != nil {
		m.books.protected.Set(float64(saved.ValueCents))
		m.books.saved.Set(float64(saved.Count))
	}
}
