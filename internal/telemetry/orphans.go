package telemetry

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/prometheus/client_golang/prometheus"
)

// orphanMetrics are about what the stale monitor finds that nobody would come to, and
// about the monitors themselves.
type orphanMetrics struct {
	passAge, orphansOpen        *prometheus.GaugeVec
	orphansFound, orphansMended *prometheus.CounterVec
}

func (m *Metrics) aboutOrphans() orphanMetrics {
	o := orphanMetrics{
		passAge:       m.gauges("monitor_pass_age_seconds", "Time since a monitor last ended a pass without an error, in whichever process, as this process last saw it in the store.", "monitor"),
		orphansOpen:   m.gauges("orphans", "Orphans of a kind, as this process last saw them.", "kind"),
		orphansFound:  m.counters("orphans_found_total", "Findings told of: work that nobody would ever have come to.", "kind"),
		orphansMended: m.counters("orphans_mended_total", "Orphans that the stale monitor could mend by itself.", "kind"),
	}
	for _, kind := range job.OrphanKinds {
		if kind == job.OrphanUnbalanced {
			continue // told of by the monitor of the books, with metrics of its own
		}
		o.orphansFound.WithLabelValues(kind)
		o.orphansMended.WithLabelValues(kind)
	}
	return o
}

// OrphansSeen tells how many orphans of a kind a look saw.
func (m *Metrics) OrphansSeen(kind string, n int) {
	if m != nil {
		m.orphansOpen.WithLabelValues(kind).Set(float64(n))
	}
}

// OrphansFound tells of orphans that people were told of.
func (m *Metrics) OrphansFound(kind string, n int) {
	if m != nil {
		m.orphansFound.WithLabelValues(kind).Add(float64(n))
	}
}

// OrphansMended tells of orphans that were mended.
func (m *Metrics) OrphansMended(kind string, n int) {
	if m != nil {
		m.orphansMended.WithLabelValues(kind).Add(float64(n))
	}
}

// MonitorSeen tells how long ago a monitor last ended a good pass.
func (m *Metrics) MonitorSeen(monitor string, age time.Duration) {
	if m != nil {
		m.passAge.WithLabelValues(monitor).Set(age.Seconds())
	}
}
