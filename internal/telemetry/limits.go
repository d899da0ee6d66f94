package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits is what a rate limiter tells of itself when it is asked.
type Limits struct {
	Degraded  bool // its storage failed
	Keys      int  // in memory
	Evicted   uint64
	Decisions []Decisions
}

// Decisions is how many requests were decided in one way, since the start.
type Decisions struct {
	Policy, Outcome, Source string
	Count                   uint64
}

// limitMetrics are those of the rate limiter. Decisions are counted by it, and read
// when somebody looks: counting must not cost more than deciding.
type limitMetrics struct {
	read                                 atomic.Pointer[func() Limits]
	decisions, degraded, keys, evictions *prometheus.Desc

	storeSeconds, batchKeys prometheus.Histogram
	storeErrors             *prometheus.CounterVec
	addressless             prometheus.Counter
}

func (m *Metrics) addLimits() {
	desc := func(kind, name, help string, labels ...string) *prometheus.Desc {
		m.families = append(m.families, Family{Name: namespace + name, Type: kind, Labels: labels, Help: help})
		return prometheus.NewDesc(namespace+name, help, labels, nil)
	}
	l := &m.limits
	l.decisions = desc("counter", "ratelimit_decisions_total", "Requests decided by the rate limiter: allow, deny or unavailable; by its memory, by the store, or locally while the store is away.", "policy", "outcome", "source")
	l.degraded = desc("gauge", "ratelimit_degraded", "1 while the rate limiter works without its store.")
	l.keys = desc("gauge", "ratelimit_keys", "Keys in the rate limiter's memory.")
	l.evictions = desc("counter", "ratelimit_evictions_total", "Keys that its memory forgot for want of room.")
	m.registry.MustRegister(l)

	l.storeSeconds = m.histogram("ratelimit_store_seconds", "Duration of a statement of the rate limiter.")
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: namespace + "ratelimit_store_batch_keys", Help: "Keys asked for by one statement.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256},
	})
	m.add(h, "histogram", "ratelimit_store_batch_keys", "Keys asked for by one statement.", nil)
	l.batchKeys = h
	l.storeErrors = m.counters("ratelimit_store_errors_total", "Statements of the rate limiter that failed: after timeout what they asked may have been counted, after error it was not.", "reason")
	l.addressless = m.counters("ratelimit_addressless_total", "Requests without a client's address, which all share one limit.").WithLabelValues()
	for _, reason := range []string{"timeout", "error"} {
		l.storeErrors.WithLabelValues(reason)
	}
}

// Describe implements prometheus.Collector.
func (l *limitMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.decisions, l.degraded, l.keys, l.evictions} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A process without a limiter has none of
// these.
func (l *limitMetrics) Collect(ch chan<- prometheus.Metric) {
	read := l.read.Load()
	if read == nil {
		return
	}
	now := (*read)()
	degraded := 0.0
	if now.Degraded {
		degraded = 1
	}
	ch <- prometheus.MustNewConstMetric(l.degraded, prometheus.GaugeValue, degraded)
	ch <- prometheus.MustNewConstMetric(l.keys, prometheus.GaugeValue, float64(now.Keys))
	ch <- prometheus.MustNewConstMetric(l.evictions, prometheus.CounterValue, float64(now.Evicted))
	for _, d := range now.Decisions {
		ch <- prometheus.MustNewConstMetric(l.decisions, prometheus.CounterValue, float64(d.Count), d.Policy, d.Outcome, d.Source)
	}
}

// WatchLimits reads the rate limiter's own counts whenever somebody looks.
func (m *Metrics) WatchLimits(read func() Limits) {
	if m != nil {
		m.limits.read.Store(&read)
	}
}

// LimitsAsked tells of a statement of the rate limiter. reason is empty when it went
// well, else timeout or error.
func (m *Metrics) LimitsAsked(keys int, took time.Duration, reason string) {
	if m == nil {
		return
	}
	m.limits.storeSeconds.Observe(took.Seconds())
	m.limits.batchKeys.Observe(float64(keys))
	if reason != "" {
		m.limits.storeErrors.WithLabelValues(reason).Inc()
	}
}

// NoAddress tells of a request without a client's address.
func (m *Metrics) NoAddress() {
	if m != nil {
		m.limits.addressless.Inc()
	}
}
