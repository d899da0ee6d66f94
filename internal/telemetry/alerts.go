package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// alertMetrics tell whether people hear of what goes wrong.
type alertMetrics struct {
	raised, sent         *prometheus.CounterVec
	waiting, age, parked *prometheus.GaugeVec
	passesFailed         prometheus.Counter
	passSeconds          prometheus.Histogram
}

func (m *Metrics) addAlerts() {
	m.alerts = alertMetrics{
		raised:       m.counters("alerts_raised_total", "Alerts that were new, by kind.", "alert"),
		sent:         m.counters("alert_messages_total", "Tries at a message to an alert channel, by what came of it: delivered, retry, refused or closed.", "channel", "outcome"),
		waiting:      m.gauges("alert_messages_undelivered", "Messages that their alert channel has not accepted yet, as last counted.", "channel"),
		age:          m.gauges("alert_messages_undelivered_age_seconds", "How long the oldest of these is due.", "channel"),
		parked:       m.gauges("alert_messages_parked", "Of the undelivered ones, those that the channel refuses for what they are.", "channel"),
		passesFailed: m.counters("alert_passes_failed_total", "Passes of the gate that ended in an error: alerts may be late.").WithLabelValues(),
		passSeconds:  m.histogram("alert_pass_seconds", "Duration of a pass of the gate that had something to do."),
	}
}

// AlertsRaised tells of n new alerts.
func (m *Metrics) AlertsRaised(kind string, n int) {
	if m != nil {
		m.alerts.raised.WithLabelValues(kind).Add(float64(n))
	}
}

// GatePass tells of a pass that had something to do.
func (m *Metrics) GatePass(took time.Duration, err error) {
	if m == nil {
		return
	}
	m.alerts.passSeconds.Observe(took.Seconds())
	if err != nil {
		m.alerts.passesFailed.Inc()
	}
}

// AlertSent tells what came of a try.
func (m *Metrics) AlertSent(channel, outcome string) {
	if m != nil {
		m.alerts.sent.WithLabelValues(channel, outcome).Inc()
	}
}

// AlertBacklog tells what waits for a channel.
func (m *Metrics) AlertBacklog(channel string, waiting int64, age time.Duration, parked int64) {
	if m == nil {
		return
	}
	m.alerts.waiting.WithLabelValues(channel).Set(float64(waiting))
	m.alerts.age.WithLabelValues(channel).Set(age.Seconds())
	m.alerts.parked.WithLabelValues(channel).Set(float64(parked))
}
