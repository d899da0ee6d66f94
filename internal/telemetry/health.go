package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// healthMetrics are about the installation as this process sees it.
type healthMetrics struct {
	status, seconds   *prometheus.GaugeVec
	failed            *prometheus.CounterVec
	due, slots, share prometheus.Gauge
	stale             *prometheus.GaugeVec
}

func (m *Metrics) addHealth() {
	m.health = healthMetrics{
		status:  m.gauges("service_up", "How a service is, as this process last saw it: 1 up, 0.5 degraded, 0 down or not known. The services are those of /api/health.", "service"),
		seconds: m.gauges("service_check_seconds", "Duration of the last look at it.", "service"),
		failed:  m.counters("service_checks_failed_total", "Looks that got no answer.", "service"),
		due:     m.gauge("jobs_due", "Pending jobs whose time has come and that are not paused, as last counted."),
		slots:   m.gauge("worker_slots_live", "Jobs that the live workers run at once."),
		share:   m.gauge("due_jobs_per_live_slot", "The one by the other, for autoscalers; without any slot, for one."),
		stale:   m.gauges("jobs_stale", "Running jobs that recovery takes, or is about to, canaries excluded, as last counted; only a process that counts them says so."),
	}
}

// ServiceChecked tells what a look at a service came to: 1 is up, 0.5 degraded, 0 down.
func (m *Metrics) ServiceChecked(service string, up float64, took time.Duration, failed bool) {
	if m == nil {
		return
	}
	m.health.status.WithLabelValues(service).Set(up)
	m.health.seconds.WithLabelValues(service).Set(took.Seconds())
	if n := m.health.failed.WithLabelValues(service); failed {
		n.Inc()
	}
}

// LoadMeasured tells how much work is due, and for how many hands.
func (m *Metrics) LoadMeasured(due, slots int64, duePerSlot float64) {
	if m == nil {
		return
	}
	m.health.due.Set(float64(due))
	m.health.slots.Set(float64(slots))
	m.health.share.Set(duePerSlot)
}

// JobsStale tells how many running jobs recovery takes, or is about to.
func (m *Metrics) JobsStale(n int64) {
	if m != nil {
		m.health.stale.WithLabelValues().Set(float64(n))
	}
}
