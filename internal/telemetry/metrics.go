package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "directorybolt_"

// Metrics counts what happens. Its methods never block, may be called
// concurrently, and do nothing on a nil *Metrics. Label values come from fixed
// lists: kinds that have a handler, classes, causes, verbs and states.
type Metrics struct {
	registry *prometheus.Registry
	families []Family

	claimed, completed, failed, retried    *prometheus.CounterVec
	snoozed, released, cancelled           *prometheus.CounterVec
	recovered, retired                     *prometheus.CounterVec
	leasesLost, fencedWrites               *prometheus.CounterVec
	submissions, handlersStuck             *prometheus.CounterVec
	beatsFailed, passesFailed, storms      prometheus.Counter
	beatSeconds, claimSeconds, passSeconds prometheus.Histogram
	attemptSeconds                         *prometheus.HistogramVec
	lifelines, stormOpen, slotsLost        prometheus.Gauge
	workersLive, lastPass                  *prometheus.GaugeVec
	alerts                                 alertMetrics

	orphanMetrics

	letters                                *prometheus.GaugeVec
	lettersValue, lettersAge, queueLetters prometheus.Gauge
	dlqPassesFailed                        prometheus.Counter
	dlqPassSeconds                         prometheus.Histogram
	requestSeconds                         *prometheus.HistogramVec
	hintsRelayed, hintsEnded, queueFailed  *prometheus.CounterVec
	hintsHeld                              prometheus.Gauge

	limits limitMetrics
	health healthMetrics
	books  bookMetrics
}

// Family describes one metric, for docs/telemetry.md.
type Family struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// Buckets in seconds: fast is for a round trip to the store, slow for an attempt.
var (
	fast = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	slow = []float64{.001, .01, .1, .5, 1, 5, 15, 60, 300, 900, 3600}
)

// NewMetrics returns metrics in a registry of their own, with those of the Go
// runtime and the process beside them.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.claimed = m.counters("jobs_claimed_total", "Jobs claimed.", "kind")
	m.completed = m.counters("jobs_completed_total", "Jobs completed.", "kind")
	m.failed = m.counters("jobs_failed_total", "Jobs failed for good by a worker: dead letters.", "kind", "class")
	m.retried = m.counters("jobs_retried_total", "Attempts that failed and will be repeated after a backoff.", "kind", "class")
	m.snoozed = m.counters("jobs_snoozed_total", "Jobs given back until a moment, uncounted.", "kind")
	m.released = m.counters("jobs_released_total", "Jobs given back at shutdown, uncounted.", "kind")
	m.cancelled = m.counters("jobs_cancelled_total", "Running jobs cancelled.", "kind")
	m.recovered = m.counters("jobs_recovered_total", "Jobs taken back from a worker that was retired, by the cause of its end, or that lives, by no_progress; and the state they are in since.", "cause", "state")
	m.retired = m.counters("workers_retired_total", "Workers whose lease was declared over.", "cause")
	m.leasesLost = m.counters("leases_lost_total", "Leases that a worker found gone while it still held the job.", "kind")
	m.fencedWrites = m.counters("fenced_writes_total", "Writes refused because their lease was no longer the latest.", "verb")
	m.submissions = m.counters("submissions_total", "Tries at a directory, by the state they left the submission in.", "outcome")
	m.handlersStuck = m.counters("handlers_stuck_total", "Handlers that went on for long after their attempt was over, and lost their slot.", "kind")
	m.beatsFailed = m.counters("heartbeats_failed_total", "Heartbeats that did not renew the lease.").WithLabelValues()
	m.passesFailed = m.counters("stale_passes_failed_total", "Passes of the stale monitor that ended in an error.").WithLabelValues()
	m.storms = m.counters("storms_total", "Storms that this process opened: so many workers seemed dead at once that recovery was held.").WithLabelValues()
	m.beatSeconds = m.histogram("heartbeat_seconds", "Duration of a heartbeat.")
	m.claimSeconds = m.histogram("claim_seconds", "Duration of a claim that found work.")
	m.passSeconds = m.histogram("stale_pass_seconds", "Duration of a pass of the stale monitor.")
	m.attemptSeconds = m.histograms("attempt_seconds", "Duration of an attempt, from claim to its recorded end.", slow, "kind")
	m.workersLive = m.gauges("workers_live", "Workers with a lease, those of drills left out, as last counted; only a process that counts them says so.")
	m.lifelines = m.gauge("lifelines_held", "Lifelines that this process holds: 1 for a worker whose death others see at once, 0 where only its lease tells.")
	m.slotsLost = m.gauge("slots_lost", "Handlers of this process that still go on so. Each has a slot in its place; at WORKER_CONCURRENCY of them there are no more.")
	m.stormOpen = m.gauge("storm_open", "1 while the storm breaker holds recovery, as the last pass of this process saw it.")
	m.lastPass = m.gauges("monitor_last_pass_timestamp_seconds", "When the monitor of this process last ended a pass without an error, as Unix time.", "monitor")
	m.requestSeconds = m.histograms("http_request_seconds", "Duration of an HTTP request, by route, never by path.", fast, "route", "method", "status")
	m.orphanMetrics = m.aboutOrphans()

	m.letters = m.gauges("dlq_depth", "Dead letters that nobody has decided about, canaries apart, as last counted.", "canary")
	m.lettersValue = m.gauge("dlq_value_cents", "US cents paid for the jobs of these letters, canaries excluded.")
	m.lettersAge = m.gauge("dlq_oldest_age_seconds", "How long the oldest of these waits for a decision, canaries excluded.")
	m.queueLetters = m.gauge("sqs_dlq_messages", "Messages in the dead letter queue of SQS, received ones included, as it estimates them.")
	m.dlqPassesFailed = m.counters("dlq_passes_failed_total", "Passes of the dead letter monitor that ended in an error.").WithLabelValues()
	m.dlqPassSeconds = m.histogram("dlq_pass_seconds", "Duration of a pass of the dead letter monitor.")
	m.hintsRelayed = m.counters("hints_relayed_total", "Hints taken from the outbox: sent to the queue, unneeded since their job has ended, or refused and to be tried again.", "outcome")
	m.hintsEnded = m.counters("hints_ended_total", "Messages received from the queue, by how they ended. Settled is the usual end; poison is counted each time it comes.", "outcome")
	m.hintsHeld = m.gauge("hints_held", "Messages held until their job is settled.")
	m.queueFailed = m.counters("queue_failures_total", "Calls that the queue did not answer or refused, beyond what was tried again at once.", "verb")

	m.addLimits()
	m.addAlerts()
	m.addHealth()
	m.addBooks()

	// A counter that is there from the start shows its first increase.
	for _, s := range directory.SubmissionStates {
		m.submissions.WithLabelValues(string(s))
	}
	for _, a := range job.Arrows {
		if a.From == job.InProgress {
			m.fencedWrites.WithLabelValues(a.Verb)
		}
	}
	return m
}

// Handler answers with the metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Families describes the metrics of this project, in the order of the document.
func (m *Metrics) Families() []Family { return m.families }

// JobsClaimed tells of a claim that took n jobs of a kind.
func (m *Metrics) JobsClaimed(kind string, n int, took time.Duration) {
	if m != nil {
		m.claimed.WithLabelValues(kind).Add(float64(n))
		m.claimSeconds.Observe(took.Seconds())
	}
}

// JobEnded tells how an attempt ended: by the verb of its arrow, or "retry" for a
// failure after which the job is pending again. Other verbs only count as
// attempts.
func (m *Metrics) JobEnded(kind, verb, class string, took time.Duration) {
	if m == nil {
		return
	}
	m.attemptSeconds.WithLabelValues(kind).Observe(took.Seconds())
	switch verb {
	case "complete":
		m.completed.WithLabelValues(kind).Inc()
	case "fail":
		m.failed.WithLabelValues(kind, class).Inc()
	case "retry":
		m.retried.WithLabelValues(kind, class).Inc()
	case "snooze":
		m.snoozed.WithLabelValues(kind).Inc()
	case "release":
		m.released.WithLabelValues(kind).Inc()
	case "cancel":
		m.cancelled.WithLabelValues(kind).Inc()
	}
}

// LeaseLost tells that a worker found the lease of a job it held gone.
func (m *Metrics) LeaseLost(kind string) {
	if m != nil {
		m.leasesLost.WithLabelValues(kind).Inc()
	}
}

// WriteFenced tells that a write was refused.
func (m *Metrics) WriteFenced(verb string) {
	if m != nil {
		m.fencedWrites.WithLabelValues(verb).Inc()
	}
}

// Beat tells of a heartbeat.
func (m *Metrics) Beat(took time.Duration, ok bool) {
	if m == nil {
		return
	}
	m.beatSeconds.Observe(took.Seconds())
	if !ok {
		m.beatsFailed.Inc()
	}
}

// SlotLost tells that a handler hangs and lost its slot.
func (m *Metrics) SlotLost(kind string) {
	if m != nil {
		m.handlersStuck.WithLabelValues(kind).Inc()
		m.slotsLost.Inc()
	}
}

// SlotFound tells that such a handler returned.
func (m *Metrics) SlotFound(string) {
	if m != nil {
		m.slotsLost.Dec()
	}
}

// LifelineHeld tells that a worker's lifeline was taken, or lost or let go.
func (m *Metrics) LifelineHeld(held bool) {
	if m == nil {
		return
	}
	if held {
		m.lifelines.Inc()
		return
	}
	m.lifelines.Dec()
}

// WorkerRetired tells that a worker's lease was declared over.
func (m *Metrics) WorkerRetired(cause string) {
	if m != nil {
		m.retired.WithLabelValues(cause).Inc()
	}
}

// JobRecovered tells that a job was taken back from its worker.
func (m *Metrics) JobRecovered(cause string, state job.State) {
	if m != nil {
		m.recovered.WithLabelValues(cause, string(state)).Inc()
	}
}

// StalePass tells of a pass of the stale monitor.
func (m *Metrics) StalePass(took time.Duration, err error) {
	if m == nil {
		return
	}
	m.passSeconds.Observe(took.Seconds())
	if err != nil {
		m.passesFailed.Inc()
		return
	}
	m.lastPass.WithLabelValues(job.MonitorStale).SetToCurrentTime()
}

// DeadLetters tells how many letters are open.
func (m *Metrics) DeadLetters(d job.LetterDepth) {
	if m == nil {
		return
	}
	m.letters.WithLabelValues("false").Set(float64(d.Open))
	m.letters.WithLabelValues("true").Set(float64(d.Canaries))
	m.lettersValue.Set(float64(d.ValueCents))
	age := time.Duration(0)
	if !d.Oldest.IsZero() {
		age = max(0, time.Since(d.Oldest))
	}
	m.lettersAge.Set(age.Seconds())
}

// QueuedDeadLetters tells how many messages the dead letter queue of SQS has.
func (m *Metrics) QueuedDeadLetters(n int64) {
	if m != nil {
		m.queueLetters.Set(float64(n))
	}
}

// DLQPass tells of a pass of the dead letter monitor.
func (m *Metrics) DLQPass(took time.Duration, err error) {
	if m == nil {
		return
	}
	m.dlqPassSeconds.Observe(took.Seconds())
	if err != nil {
		m.dlqPassesFailed.Inc()
		return
	}
	m.lastPass.WithLabelValues(job.MonitorDLQ).SetToCurrentTime()
}

// HintsRelayed tells of n hints taken from the outbox.
func (m *Metrics) HintsRelayed(outcome string, n int) {
	if m != nil {
		m.hintsRelayed.WithLabelValues(outcome).Add(float64(n))
	}
}

// HintEnded tells how a message of the queue ended.
func (m *Metrics) HintEnded(outcome string) {
	if m != nil {
		m.hintsEnded.WithLabelValues(outcome).Inc()
	}
}

// HintsHeld tells how many messages are held.
func (m *Metrics) HintsHeld(n int) {
	if m != nil {
		m.hintsHeld.Set(float64(n))
	}
}

// QueueFailed tells of a call that the queue did not perform.
func (m *Metrics) QueueFailed(verb string) {
	if m != nil {
		m.queueFailed.WithLabelValues(verb).Inc()
	}
}

// StormOpened tells that a storm was opened.
func (m *Metrics) StormOpened() {
	if m != nil {
		m.storms.Inc()
	}
}

// StormOpen tells whether a storm is open.
func (m *Metrics) StormOpen(open bool) {
	if m == nil {
		return
	}
	m.stormOpen.Set(0)
	if open {
		m.stormOpen.Set(1)
	}
}

// SubmissionEnded tells in which state a try left its submission.
func (m *Metrics) SubmissionEnded(state directory.SubmissionState) {
	if m != nil {
		m.submissions.WithLabelValues(string(state)).Inc()
	}
}

// Request tells of an HTTP request. A method that is none of HTTP's counts as OTHER.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	if m == nil {
		return
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch, http.MethodOptions:
	default:
		method = "OTHER"
	}
	m.requestSeconds.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// WorkersLive tells how many workers have a lease.
func (m *Metrics) WorkersLive(n int) {
	if m != nil {
		m.workersLive.WithLabelValues().Set(float64(n))
	}
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: namespace + name, Help: help}, labels)
	m.add(v, "counter", name, help, labels)
	return v
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	v := prometheus.NewGauge(prometheus.GaugeOpts{Name: namespace + name, Help: help})
	m.add(v, "gauge", name, help, nil)
	return v
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: namespace + name, Help: help}, labels)
	m.add(v, "gauge", name, help, labels)
	return v
}

func (m *Metrics) histogram(name, help string) prometheus.Histogram {
	v := prometheus.NewHistogram(prometheus.HistogramOpts{Name: namespace + name, Help: help, Buckets: fast})
	m.add(v, "histogram", name, help, nil)
	return v
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: namespace + name, Help: help, Buckets: buckets}, labels)
	m.add(v, "histogram", name, help, labels)
	return v
}

func (m *Metrics) add(c prometheus.Collector, kind, name, help string, labels []string) {
	m.registry.MustRegister(c)
	m.families = append(m.families, Family{Name: namespace + name, Type: kind, Labels: labels, Help: help})
}
