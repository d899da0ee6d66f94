// Package config is everything that can be set, in one struct: loaded from
// flags, environment, a file and defaults, checked as a whole, and printed
// without secrets.
//
// [Settings] is the one table. Loading, `config print`, docs/configuration.md
// and .env.example all come from it. Only cli reads a Config; each room gets its
// own from there.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// MaxLivenessInterval is how long a pass that looks for dead workers may wait for
// its turn, whatever CHECK_INTERVAL_SECONDS was inherited.
const MaxLivenessInterval = 10 * time.Second

// Config is every setting, parsed. Fields are described in [Settings].
type Config struct {
	DatabaseURL       string // empty: SQLite in DataDir
	DatabaseDirectURL string // empty: none
	DatabasePooling   string // auto, session or transaction
	DataDir           string

	Bind           string
	Port           int            // zero: any free one
	ProbeAddress   string         // of processes without an API; empty: they answer nowhere
	PublicURL      string         // empty: no links
	TrustedProxies []netip.Prefix // empty: nobody's forwarded header counts
	TrustedHops    int            // zero: proxies are not trusted by their number
	ForwardHeader  string         // x-forwarded-for or forwarded
	NetlifySecret  string         // empty: Netlify's signature is not looked at
	DrainDelay     time.Duration  // zero: the port closes at once

	RateLimits        []RateLimit // empty: the policies as they are
	RateLimitSecret   string      // empty: made and kept in the store
	RateLimitCommit   bool        // each decision waits for the disk
	RateLimitPatience time.Duration
	RateLimitIPv6Bits int

	WorkerConcurrency int
	SubmitConcurrency int // directories of one order at once
	Heartbeat         time.Duration
	Lease             time.Duration
	DrainGrace        time.Duration // zero: release at once
	PollInterval      time.Duration
	MaxAttempts       int
	CrashBudget       int
	BackoffBase       time.Duration // before the first retry, at most
	BackoffCap        time.Duration // before any retry, at most
	RetentionDays     int

	Catalog         string          // empty: none
	OutboundAllow   []netip.Prefix  // empty: public addresses only
	ContactURL      string          // empty: none
	RecheckSchedule []time.Duration // after the submission, growing

	StaleThreshold    time.Duration
	CheckInterval     time.Duration // as set; see LivenessInterval
	DLQCheckInterval  time.Duration
	DLQAlertThreshold int
	RedriveCap        int

	SQSQueueURLs       []string // the most urgent first; empty: the database is the queue
	SQSDLQURL          string   // empty: none
	AWSRegion          string   // this and the next four empty: the AWS SDK's own chain
	AWSAccessKeyID     string
	AWSSecretAccessKey string
	AWSSessionToken    string
	AWSEndpointURLSQS  string

	SlackWebhookURL     string // empty: this channel is off, as with the others
	AlertWebhookURL     string
	AlertWebhookSecret  string
	PagerDutyRoutingKey string
	SMTPURL             string
	AlertEmailTo        []string

	LogLevel     slog.Level
	LogFormat    string // auto, text or json
	OTLPEndpoint string // empty: no traces

	sources map[string]string // by name; what is missing is a default
}

// LivenessInterval is the time between two looks for dead workers: the check
// interval, but never more than [MaxLivenessInterval].
func (c Config) LivenessInterval() time.Duration {
	return min(c.CheckInterval, MaxLivenessInterval)
}

// StallAfter is how long a job may go without progress before the monitor takes
// it back: one check interval less than the threshold, so that the job is
// pending again within it.
func (c Config) StallAfter() time.Duration { return c.StaleThreshold - c.CheckInterval }

// Retention is RETENTION_DAYS as a duration.
func (c Config) Retention() time.Duration { return time.Duration(c.RetentionDays) * 24 * time.Hour }

// Printed is one setting as `config print` shows it.
type Printed struct {
	Name   string `json:"name"`
	Value  string `json:"value"`  // redacted if secret; empty: not set
	Source string `json:"source"` // "flag", "environment", "PATH:LINE", a secret's file, or "default"
	Secret bool   `json:"secret,omitempty"`
}

// Print lists every setting in the order of [Settings], secrets redacted.
func (c Config) Print() []Printed {
	printed := make([]Printed, len(Settings))
	for i, s := range Settings {
		printed[i] = Printed{Name: s.Name, Value: s.shown(s.field.get(&c)), Source: c.source(s.Name), Secret: s.Secret}
	}
	return printed
}

func (c Config) source(name string) string {
	if source, ok := c.sources[name]; ok {
		return source
	}
	return "default"
}

// Secrets lists the secret values that are set, so that a logger can keep them
// out of its lines.
func (c Config) Secrets() []string {
	var secrets []string
	for _, s := range Settings {
		if value := s.field.get(&c); s.Secret && value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}
