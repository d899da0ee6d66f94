package config

import (
	"strings"
)

// earlier is a setting of the backend before this one that no longer has an
// effect. Those that mean the same kept their names and stand in Settings.
type earlier struct {
	name      string
	now       string // the setting that took its place; empty: see instead
	instead   string // what to do, where no setting took its place
	elsewhere bool   // set for other programs too; in the environment it says nothing about us
}

const (
	noNeed     = "no longer needed"
	createKeys = "use `directorybolt keys create`"
)

// earlierSettings holds every name of the earlier backend without an effect here.
var earlierSettings = []earlier{
	{name: "SUPABASE_URL", now: "DATABASE_URL"},
	{name: "SUPABASE_SERVICE_ROLE_KEY", now: "DATABASE_URL"},
	{name: "SUPABASE_SERVICE_KEY", now: "DATABASE_URL"},
	{name: "NEXT_PUBLIC_SUPABASE_URL", now: "DATABASE_URL", elsewhere: true},
	{name: "NEXT_PUBLIC_SUPABASE_ANON_KEY", instead: noNeed, elsewhere: true},
	{name: "QUEUE_PROVIDER", now: "SQS_QUEUE_URL"},
	{name: "AWS_DEFAULT_REGION", now: "AWS_REGION"},
	{name: "AWS_DEFAULT_ACCESS_KEY_ID", now: "AWS_ACCESS_KEY_ID"},
	{name: "AWS_DEFAULT_SECRET_ACCESS_KEY", now: "AWS_SECRET_ACCESS_KEY"},
	{name: "SQS_VISIBILITY_TIMEOUT", now: "LEASE"},
	{name: "SQS_MAX_MESSAGES", now: "WORKER_CONCURRENCY"},
	{name: "SQS_WAIT_TIME_SECONDS", now: "POLL_INTERVAL"},
	{name: "SQS_RETRY_THRESHOLD", now: "MAX_ATTEMPTS"},
	{name: "SQS_MAX_CONSECUTIVE_ERRORS", instead: noNeed},
	{name: "PREFECT_API_URL", instead: noNeed},
	{name: "PREFECT_API_KEY", instead: noNeed},
	{name: "PREFECT_WORK_POOL", instead: noNeed},
	{name: "ENABLE_PREFECT_WORKER", instead: noNeed},
	{name: "CREWAI_URL", instead: noNeed},
	{name: "BACKEND_ENQUEUE_TOKEN", instead: createKeys},
	{name: "BACKEND_ENQUEUE_URL", now: "PUBLIC_URL"},
	{name: "BACKEND_API_URL", now: "PUBLIC_URL"},
	{name: "NEXT_PUBLIC_BACKEND_ENQUEUE_URL", now: "PUBLIC_URL", elsewhere: true},
	{name: "STAFF_API_KEY", instead: createKeys},
	{name: "ADMIN_API_KEY", instead: createKeys},
	{name: "AUTOBOLT_API_KEY", instead: createKeys},
	{name: "WORKER_AUTH_TOKEN", instead: createKeys},
	{name: "CRON_SECRET", instead: noNeed},
	{name: "STAFF_USERNAME", instead: createKeys},
	{name: "STAFF_PASSWORD", instead: createKeys},
	{name: "STAFF_SESSION_TOKEN", instead: createKeys},
	{name: "STAFF_DASHBOARD_PASSWORD", instead: createKeys},
	{name: "ADMIN_USERNAME", instead: createKeys},
	{name: "ADMIN_PASSWORD", instead: createKeys},
	{name: "ADMIN_SESSION_TOKEN", instead: createKeys},
	{name: "TEST_MODE", instead: noNeed},
	{name: "STRIPE_SECRET_KEY", instead: noNeed, elsewhere: true},
	{name: "STRIPE_WEBHOOK_SECRET", instead: noNeed, elsewhere: true},
	{name: "PLAYWRIGHT_HEADLESS", instead: noNeed},
	{name: "ENABLE_AI_FEATURES", instead: noNeed},
	{name: "ENABLE_FORM_MAPPING", instead: noNeed},
	{name: "ENABLE_CONTENT_CUSTOMIZATION", instead: noNeed},
	{name: "ENABLE_AB_TESTING", instead: noNeed},
	{name: "ENABLE_RETRY_ANALYSIS", instead: noNeed},
	{name: "ENABLE_SUCCESS_PREDICTION", instead: noNeed},
	{name: "ENABLE_TIMING_OPTIMIZATION", instead: noNeed},
	{name: "ENABLE_NEW_QUEUE", instead: noNeed},
	{name: "SHADOW_MODE_PERCENTAGE", instead: noNeed},
	{name: "ANTHROPIC_API_KEY", instead: noNeed, elsewhere: true},
	{name: "GEMINI_API_KEY", instead: noNeed, elsewhere: true},
	{name: "GEMINI_ROUTING_THRESHOLD", instead: noNeed},
	{name: "TWO_CAPTCHA_API_KEY", instead: "captchas are left to people"},
	{name: "WORKER_ID", instead: "a worker names itself"},
	{name: "TUNE_MIN_DELAY_MS", instead: "see pacing in the catalog"},
	{name: "TUNE_MAX_DELAY_MS", instead: "see pacing in the catalog"},
	{name: "DIR_MAX_RETRIES", now: "MAX_ATTEMPTS"},
	{name: "PROXY_ROTATE_PER_DIRECTORY", instead: noNeed},
	{name: "USER_AGENT_ROTATE_PER_DIRECTORY", instead: noNeed},
	{name: "MIN_WORKERS", now: "WORKER_CONCURRENCY"},
	{name: "MAX_WORKERS", now: "WORKER_CONCURRENCY"},
	{name: "SCALER_INTERVAL_MS", instead: noNeed},
}

// earlierNamed finds a name of the earlier backend. Prices had a name each.
func earlierNamed(name string) (earlier, bool) {
	if strings.HasPrefix(name, "STRIPE_") && strings.HasSuffix(name, "_PRICE_ID") {
		return earlier{name: name, instead: noNeed, elsewhere: true}, true
	}
	for _, e := range earlierSettings {
		if e.name == name {
			return e, true
		}
	}
	return earlier{}, false
}

func (e earlier) String() string {
	if e.now != "" {
		return e.name + " (now " + e.now + ")"
	}
	return e.name + " (" + e.instead + ")"
}
