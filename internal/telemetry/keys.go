package telemetry

// Keys of log attributes. One idea has one key, so that a search finds every
// line about it.
const (
	KeyAlert      = "alert"
	KeyAttempt    = "attempt"
	KeyCause      = "cause"
	KeyChannel    = "channel"
	KeyClass      = "class"
	KeyCount      = "count"
	KeyCustomer   = "customer_id"
	KeyDelay      = "delay"
	KeyDetector   = "detector"
	KeyDirectory  = "directory"
	KeyError      = "error"
	KeyFence      = "fence"
	KeyHost       = "host"
	KeyJob        = "job_id"
	KeyKind       = "kind"
	KeyOrder      = "order_id"
	KeyRequest    = "request_id"
	KeyState      = "state"
	KeySubmission = "submission_id"
	KeyTook       = "took"
	KeyTrace      = "trace_id"
	KeyVerb       = "verb"
	KeyWorker     = "worker_id"
)

// Key is a key and what stands under it.
type Key struct{ Name, Meaning string }

// Keys describes every key, for docs/telemetry.md.
var Keys = []Key{
	{KeyAlert, "kind of alert"},
	{KeyAttempt, "run of the job, counted from 1"},
	{KeyCause, "why it happened, in words"},
	{KeyChannel, "alert channel: slack, webhook, pagerduty or email"},
	{KeyClass, "class of a failure"},
	{KeyCount, "how many the line is about"},
	{KeyCustomer, "customer"},
	{KeyDelay, "time until it is tried again"},
	{KeyDetector, "what found a stale job: liveness, progress, death_watch, orphan"},
	{KeyDirectory, "slug of the directory"},
	{KeyError, "the chain of errors, secrets taken out"},
	{KeyFence, "number of the claim"},
	{KeyHost, "machine a worker runs on, or host of a directory"},
	{KeyJob, "job"},
	{KeyKind, "kind of job"},
	{KeyOrder, "order, the id of its job"},
	{KeyRequest, "HTTP request, as answered in X-Request-Id"},
	{KeyState, "state after the line's act"},
	{KeySubmission, "one directory of one order"},
	{KeyTook, "duration of the act"},
	{KeyTrace, "trace of the client that asked, or of the order's placing, by W3C Trace Context"},
	{KeyVerb, "arrow that was drawn or refused: complete, fail, …"},
	{KeyWorker, "worker, random per boot"},
}
