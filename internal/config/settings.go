package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Setting is one thing that can be set, and all there is to know about it.
type Setting struct {
	Name    string // in the environment and in a file
	Group   string // heading under which it is listed
	Default string // as it could be set; empty: not set
	Secret  bool   // never printed; may be given as NAME_FILE, the path of a file that holds it
	Meaning string // one or more sentences
	Where   string // where to get the value; empty: it is for you to choose

	field field
}

// Flag is the setting's name on the command line, without dashes in front.
func (s Setting) Flag() string { return strings.ReplaceAll(strings.ToLower(s.Name), "_", "-") }

// Allowed says in words what the setting takes.
func (s Setting) Allowed() string { return s.field.want }

// shown is a value as it may be printed.
func (s Setting) shown(value string) string {
	if s.Secret && value != "" {
		return redacted(value)
	}
	return value
}

// Settings is every setting, in the order in which they are printed.
var Settings = []Setting{
	{
		Name: "DATABASE_URL", Group: "Store", Secret: true,
		Meaning: "The Postgres that holds the jobs. Not set: a SQLite file in DATA_DIR.",
		Where:   "Supabase: Connect, connection string, session pooler. Elsewhere: postgres://USER:PASSWORD@HOST:5432/DATABASE.",
		field:   postgres(func(c *Config) *string { return &c.DatabaseURL }),
	},
	{
		Name: "DATABASE_DIRECT_URL", Group: "Store", Secret: true,
		Meaning: "The same database without a transaction pooler between. Given beside a pooled DATABASE_URL it brings back LISTEN, session locks and migrations.",
		Where:   "Supabase: Connect, connection string, direct connection or session pooler (port 5432).",
		field:   postgres(func(c *Config) *string { return &c.DatabaseDirectURL }),
	},
	{
		Name: "DATABASE_POOLING", Group: "Store", Default: "auto",
		Meaning: "How DATABASE_URL is pooled. auto finds out: two open connections that show the same backend prove transaction pooling.",
		field:   oneOf(func(c *Config) *string { return &c.DatabasePooling }, "auto", "session", "transaction"),
	},
	{
		Name: "DATA_DIR", Group: "Store", Default: "./data",
		Meaning: "The directory for the SQLite file and for evidence. It is made when missing.",
		field:   text("a path", func(c *Config) *string { return &c.DataDir }),
	},
	{
		Name: "BIND", Group: "HTTP", Default: "127.0.0.1",
		Meaning: "The address to listen on. 0.0.0.0 is every address of the machine, as a container wants it.",
		field:   address(func(c *Config) *string { return &c.Bind }),
	},
	{
		Name: "PORT", Group: "HTTP", Default: "8080",
		Meaning: "The port to listen on; 0 picks a free one.",
		field:   whole(func(c *Config) *int { return &c.Port }, 0, 65535),
	},
	{
		Name: "PROBE_ADDRESS", Group: "HTTP",
		Meaning: "Where a process without an API (work, stale-monitor, dlq-monitor) answers /livez, /readyz and /metrics, and where health asks it. Not set: nowhere. api and all answer at PORT.",
		field:   listening(func(c *Config) *string { return &c.ProbeAddress }),
	},
	{
		Name: "PUBLIC_URL", Group: "HTTP",
		Meaning: "Where people reach this installation. Links in alerts appear only when it is set.",
		field:   link(func(c *Config) *string { return &c.PublicURL }, "https", "http"),
	},
	{
		Name: "TRUSTED_PROXIES", Group: "HTTP",
		Meaning: "The proxies whose forwarded client address is believed. Not set: nobody's.",
		field:   prefixes(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }),
	},
	{
		Name: "TRUSTED_HOPS", Group: "HTTP", Default: "0",
		Meaning: "How many proxies stand before this process, where they have no fixed addresses. Nobody may reach it past them, or he can say to be anyone. Not together with TRUSTED_PROXIES.",
		field:   whole(func(c *Config) *int { return &c.TrustedHops }, 0, 16),
	},
	{
		Name: "FORWARDED_HEADER", Group: "HTTP", Default: "x-forwarded-for",
		Meaning: "The one header in which those proxies name the client. The other is never read: a client could write it.",
		field:   oneOf(func(c *Config) *string { return &c.ForwardHeader }, "x-forwarded-for", "forwarded"),
	},
	{
		Name: "NETLIFY_SIGNING_SECRET", Group: "HTTP", Secret: true,
		Meaning: "The secret with which Netlify signs what it passes on. A request with its signature is believed to be of the client that Netlify names, for Netlify has no fixed addresses.",
		Where:   "Netlify: an environment variable that the redirect to this API names under signed.",
		field:   text("a secret", func(c *Config) *string { return &c.NetlifySecret }),
	},
	{
		Name: "DRAIN_DELAY", Group: "HTTP", Default: "5s",
		Meaning: "How long requests are still taken after SIGTERM while /readyz says no, so that whoever balances the load by it looks elsewhere first. Where nobody asked /readyz, nobody is waited for.",
		field:   span(func(c *Config) *time.Duration { return &c.DrainDelay }, 0, 5*time.Minute),
	},
	{
		Name: "RATE_LIMITS", Group: "Rate limits",
		Meaning: "Changes of the rate policies: NAME=REQUESTS/WINDOW, and /local, /open or /closed for what happens while the store is away. " +
			"By default public=100/1m/local, auth=5/15m/closed, staff=300/1m/local, staff_write=30/1m/local, admin=10/1m/closed, key_hour=1000/1h/local, worker=600/1m/local.",
		field: rates(func(c *Config) *[]RateLimit { return &c.RateLimits }),
	},
	{
		Name: "RATE_LIMIT_SECRET", Group: "Rate limits", Secret: true,
		Meaning: "The secret under which clients are counted, at least 16 characters, the same in all processes. Not set: one is made at the first start and kept in the store. " +
			"Set it when whoever reads the database must not be able to find out addresses by trying.",
		field: longText("a secret of at least 16 characters", 16, func(c *Config) *string { return &c.RateLimitSecret }),
	},
	{
		Name: "RATE_LIMIT_COMMIT", Group: "Rate limits", Default: "off",
		Meaning: "on waits for the disk before a request passes. off may forget the last half second when the database's machine crashes; auth waits in either case.",
		field:   flag(func(c *Config) *bool { return &c.RateLimitCommit }),
	},
	{
		Name: "RATE_LIMIT_TIMEOUT", Group: "Rate limits", Default: "50ms",
		Meaning: "How long one question to the store may take before the policies go on without it.",
		field:   span(func(c *Config) *time.Duration { return &c.RateLimitPatience }, time.Millisecond, 10*time.Second),
	},
	{
		Name: "RATE_LIMIT_IPV6_PREFIX", Group: "Rate limits", Default: "64",
		Meaning: "How many bits of an IPv6 address are one client.",
		field:   whole(func(c *Config) *int { return &c.RateLimitIPv6Bits }, 48, 128),
	},
	{
		Name: "WORKER_CONCURRENCY", Group: "Work", Default: "10",
		Meaning: "Jobs that one worker runs at once.",
		field:   whole(func(c *Config) *int { return &c.WorkerConcurrency }, 1, 1000),
	},
	{
		Name: "SUBMIT_CONCURRENCY", Group: "Work", Default: "8",
		Meaning: "Directories of one order that are submitted to at once.",
		field:   whole(func(c *Config) *int { return &c.SubmitConcurrency }, 1, 100),
	},
	{
		Name: "HEARTBEAT", Group: "Work", Default: "5s",
		Meaning: "Time between two heartbeats of a worker. At most a third of LEASE.",
		field:   span(func(c *Config) *time.Duration { return &c.Heartbeat }, 50*time.Millisecond, 5*time.Minute),
	},
	{
		Name: "LEASE", Group: "Work", Default: "20s",
		Meaning: "How long a worker owns its jobs after a heartbeat. When it dies, another takes over this much later at most, plus one look of the stale monitor. Less than 2s is for tests: a worker that is kept waiting so long loses its jobs.",
		field:   span(func(c *Config) *time.Duration { return &c.Lease }, 500*time.Millisecond, time.Hour),
	},
	{
		Name: "DRAIN_GRACE", Group: "Work", Default: "25s",
		Meaning: "How long running jobs may go on after SIGTERM before they are given back. Less than what the supervisor waits before it kills.",
		field:   span(func(c *Config) *time.Duration { return &c.DrainGrace }, 0, time.Hour),
	},
	{
		Name: "POLL_INTERVAL", Group: "Work", Default: "1s",
		Meaning: "How often an idle worker looks for work by itself, in case no wake-up came.",
		field:   span(func(c *Config) *time.Duration { return &c.PollInterval }, 10*time.Millisecond, time.Minute),
	},
	{
		Name: "MAX_ATTEMPTS", Group: "Work", Default: "5",
		Meaning: "Failures a job may have before it is a dead letter. Holds for jobs enqueued from then on.",
		field:   whole(func(c *Config) *int { return &c.MaxAttempts }, 1, 1000),
	},
	{
		Name: "CRASH_BUDGET", Group: "Work", Default: "3",
		Meaning: "Times a job's process may die under it before the job is a dead letter. Holds for jobs enqueued from then on.",
		field:   whole(func(c *Config) *int { return &c.CrashBudget }, 1, 1000),
	},
	{
		Name: "BACKOFF_BASE", Group: "Work", Default: "30s",
		Meaning: "Longest delay before the first retry of a job or a directory, and how long a host that fails is left alone; it doubles with each further one, and a random share of it is taken.",
		field:   span(func(c *Config) *time.Duration { return &c.BackoffBase }, time.Millisecond, time.Hour),
	},
	{
		Name: "BACKOFF_CAP", Group: "Work", Default: "15m",
		Meaning: "Longest delay between two tries, however many there were.",
		field:   span(func(c *Config) *time.Duration { return &c.BackoffCap }, time.Millisecond, 24*time.Hour),
	},
	{
		Name: "RETENTION_DAYS", Group: "Work", Default: "90",
		Meaning: "Days that completed and cancelled jobs are kept. Failed ones are kept until a person decides.",
		field:   whole(func(c *Config) *int { return &c.RetentionDays }, 1, 3650),
	},
	{
		Name: "CATALOG", Group: "Submitting",
		Meaning: "The catalog of directories: a YAML file, or a folder of them.",
		Where:   "`directorybolt directories lint` checks one.",
		field:   text("a path", func(c *Config) *string { return &c.Catalog }),
	},
	{
		Name: "OUTBOUND_ALLOW", Group: "Submitting",
		Meaning: "Addresses that directories may have besides public ones. For a sandbox or an intranet; leave it empty in production.",
		field:   prefixes(func(c *Config) *[]netip.Prefix { return &c.OutboundAllow }),
	},
	{
		Name: "CONTACT_URL", Group: "Submitting",
		Meaning: "Where the owner of a directory reaches you. It stands in the User-Agent of every request.",
		field:   contact(func(c *Config) *string { return &c.ContactURL }),
	},
	{
		Name: "RECHECK_SCHEDULE", Group: "Submitting", Default: "1h,24h,72h,168h,720h",
		Meaning: "How long after a submission to look whether the listing is live.",
		field:   spans(func(c *Config) *[]time.Duration { return &c.RecheckSchedule }),
	},
	{
		Name: "STALE_THRESHOLD_MINUTES", Group: "Monitors", Default: "10",
		Meaning: "Minutes within which a job that makes no progress is pending again. At least twice CHECK_INTERVAL_SECONDS.",
		field:   count(time.Minute, func(c *Config) *time.Duration { return &c.StaleThreshold }, 0.1, 1440),
	},
	{
		Name: "CHECK_INTERVAL_SECONDS", Group: "Monitors", Default: "5",
		Meaning: "Seconds between two looks of the stale monitor. Dead workers are looked for every 10 seconds at least, whatever this says.",
		field:   count(time.Second, func(c *Config) *time.Duration { return &c.CheckInterval }, 0.1, 3600),
	},
	{
		Name: "DLQ_CHECK_INTERVAL_SECONDS", Group: "Monitors", Default: "300",
		Meaning: "Seconds between two looks of the dead letter monitor; a new dead letter wakes it at once.",
		field:   count(time.Second, func(c *Config) *time.Duration { return &c.DLQCheckInterval }, 1, 3600),
	},
	{
		Name: "DLQ_ALERT_THRESHOLD", Group: "Monitors", Default: "1",
		Meaning: "Unresolved dead letters from which on people are told.",
		field:   whole(func(c *Config) *int { return &c.DLQAlertThreshold }, 1, 1_000_000),
	},
	{
		Name: "REDRIVE_CAP", Group: "Monitors", Default: "5",
		Meaning: "Redrives after which a job that keeps failing is redriven no more, unless with --force.",
		field:   whole(func(c *Config) *int { return &c.RedriveCap }, 1, 1000),
	},
	{
		Name: "SQS_QUEUE_URL", Group: "Queue",
		Meaning: "The SQS queue that carries wake-ups to the workers. Several, the most urgent first, are a queue for each priority; the last takes those below it. Not set: the database does.",
		Where:   "`directorybolt queue create`, or AWS console, SQS, the queue's details.",
		field:   links(func(c *Config) *[]string { return &c.SQSQueueURLs }, 4, "https", "http"),
	},
	{
		Name: "SQS_DLQ_URL", Group: "Queue",
		Meaning: "The dead letter queue that belongs to SQS_QUEUE_URL.",
		Where:   "`directorybolt queue create`, or AWS console, SQS, the queue's details.",
		field:   link(func(c *Config) *string { return &c.SQSDLQURL }, "https", "http"),
	},
	{
		Name: "AWS_REGION", Group: "Queue",
		Meaning: "The region of the queues. Not set: what the AWS SDK finds, as for the four below.",
		field:   text("a region, such as us-east-1", func(c *Config) *string { return &c.AWSRegion }),
	},
	{
		Name: "AWS_ACCESS_KEY_ID", Group: "Queue",
		Meaning: "The id of an access key. A role of the machine needs none.",
		Where:   "AWS console, IAM, security credentials.",
		field:   text("an access key's id", func(c *Config) *string { return &c.AWSAccessKeyID }),
	},
	{
		Name: "AWS_SECRET_ACCESS_KEY", Group: "Queue", Secret: true,
		Meaning: "The access key itself.",
		Where:   "AWS console, IAM, security credentials; shown once.",
		field:   text("an access key", func(c *Config) *string { return &c.AWSSecretAccessKey }),
	},
	{
		Name: "AWS_SESSION_TOKEN", Group: "Queue", Secret: true,
		Meaning: "The token that comes with temporary credentials.",
		field:   text("a session token", func(c *Config) *string { return &c.AWSSessionToken }),
	},
	{
		Name: "AWS_ENDPOINT_URL_SQS", Group: "Queue",
		Meaning: "Another SQS than that of AWS, such as an emulator.",
		field:   link(func(c *Config) *string { return &c.AWSEndpointURLSQS }, "https", "http"),
	},
	{
		Name: "SLACK_WEBHOOK_URL", Group: "Alerts", Secret: true,
		Meaning: "The Slack channel for alerts.",
		Where:   "Slack: your app, Incoming Webhooks, Add New Webhook.",
		field:   webhook(func(c *Config) *string { return &c.SlackWebhookURL }),
	},
	{
		Name: "ALERT_WEBHOOK_URL", Group: "Alerts", Secret: true,
		Meaning: "An address that takes alerts as signed JSON (Standard Webhooks).",
		field:   webhook(func(c *Config) *string { return &c.AlertWebhookURL }),
	},
	{
		Name: "ALERT_WEBHOOK_SECRET", Group: "Alerts", Secret: true,
		Meaning: "The secret that signs what goes to ALERT_WEBHOOK_URL; both ends know it.",
		Where:   "Make one: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\".",
		field:   signing(func(c *Config) *string { return &c.AlertWebhookSecret }),
	},
	{
		Name: "PAGERDUTY_ROUTING_KEY", Group: "Alerts", Secret: true,
		Meaning: "The PagerDuty service for alerts that page; one incident stands for one group of them.",
		Where:   "PagerDuty: Service, Integrations, Events API v2, Integration Key.",
		field:   text("an integration key", func(c *Config) *string { return &c.PagerDutyRoutingKey }),
	},
	{
		Name: "SMTP_URL", Group: "Alerts", Secret: true,
		Meaning: "The mail server for alerts: smtp://USER:PASSWORD@HOST:587, or smtps:// for TLS from the start. With ?from=ADDRESS it names the sender. Without TLS it must be this machine.",
		field:   link(func(c *Config) *string { return &c.SMTPURL }, "smtp", "smtps"),
	},
	{
		Name: "ALERT_EMAIL_TO", Group: "Alerts",
		Meaning: "Who gets alerts by mail.",
		field:   addresses(func(c *Config) *[]string { return &c.AlertEmailTo }),
	},
	{
		Name: "LOG_LEVEL", Group: "Logs", Default: "info",
		Meaning: "The least that is logged.",
		field:   level(func(c *Config) *slog.Level { return &c.LogLevel }),
	},
	{
		Name: "LOG_FORMAT", Group: "Logs", Default: "auto",
		Meaning: "auto is text on a terminal and JSON otherwise.",
		field:   oneOf(func(c *Config) *string { return &c.LogFormat }, "auto", "text", "json"),
	},
	{
		Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Group: "Logs",
		Meaning: "Where traces go, by OTLP over HTTP. Not set: no traces.",
		field:   link(func(c *Config) *string { return &c.OTLPEndpoint }, "https", "http"),
	},
}

// Named returns the setting of that name.
func Named(name string) (Setting, bool) {
	for _, s := range Settings {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}
