package config_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/go-cmp/cmp"
)

// files is a file system for Load.
type files map[string]string

func (f files) read(path string) ([]byte, error) {
	text, ok := f[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func load(t *testing.T, s config.Sources, f files) config.Config {
	t.Helper()
	s.ReadFile = f.read
	c, _, err := config.Load(s)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return c
}

func faults(t *testing.T, s config.Sources, f files) []string {
	t.Helper()
	s.ReadFile = f.read
	_, _, err := config.Load(s)
	var found config.Faults
	if !errors.As(err, &found) {
		t.Fatalf("load: got error %v, want Faults", err)
	}
	lines := make([]string, len(found))
	for i, fault := range found {
		lines[i] = fault.String()
	}
	return lines
}

func printed(c config.Config, name string) config.Printed {
	for _, p := range c.Print() {
		if p.Name == name {
			return p
		}
	}
	return config.Printed{}
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	c := load(t, config.Sources{}, nil)
	got := map[string]any{
		"data": c.DataDir, "pooling": c.DatabasePooling, "bind": c.Bind, "port": c.Port,
		"concurrency": c.WorkerConcurrency, "directories": c.SubmitConcurrency,
		"heartbeat": c.Heartbeat, "lease": c.Lease, "grace": c.DrainGrace, "poll": c.PollInterval,
		"attempts": c.MaxAttempts, "crashes": c.CrashBudget, "retention": c.Retention(),
		"stall": c.StaleThreshold, "check": c.CheckInterval, "dlq": c.DLQCheckInterval, "depth": c.DLQAlertThreshold,
		"level": c.LogLevel, "format": c.LogFormat, "database": c.DatabaseURL, "recheck": len(c.RecheckSchedule),
		"hops": c.TrustedHops, "header": c.ForwardHeader, "limits": len(c.RateLimits), "commit": c.RateLimitCommit,
		"patience": c.RateLimitPatience, "bits": c.RateLimitIPv6Bits,
	}
	want := map[string]any{
		"data": "./data", "pooling": "auto", "bind": "127.0.0.1", "port": 8080,
		"concurrency": 10, "directories": 8,
		"heartbeat": 5 * time.Second, "lease": 20 * time.Second, "grace": 25 * time.Second, "poll": time.Second,
		"attempts": job.DefaultMaxAttempts, "crashes": job.DefaultCrashBudget, "retention": 90 * 24 * time.Hour,
		"stall": 10 * time.Minute, "check": 5 * time.Second, "dlq": 5 * time.Minute, "depth": 1,
		"level": slog.LevelInfo, "format": "auto", "database": "", "recheck": 5,
		"hops": 0, "header": "x-forwarded-for", "limits": 0, "commit": false, "patience": 50 * time.Millisecond, "bits": 64,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestEveryPrintedValueLoadsAsItself(t *testing.T) {
	args := map[string]string{
		"BIND": "::1", "PORT": "0", "TRUSTED_PROXIES": "10.0.0.0/8, ::1", "DRAIN_GRACE": "1m30s",
		"RATE_LIMITS": "public=200/90s, auth=10/15m/open", "RATE_LIMIT_COMMIT": "ON", "FORWARDED_HEADER": "Forwarded",
		"RECHECK_SCHEDULE": "90m, 24h", "STALE_THRESHOLD_MINUTES": "3", "ALERT_EMAIL_TO": "a@example.com, B <b@example.com>",
		"SMTP_URL": "smtps://mail.example.com", "LOG_LEVEL": "WARNING", "LOG_FORMAT": "JSON",
	}
	first := load(t, config.Sources{Args: args}, nil)
	again := map[string]string{}
	for _, p := range first.Print() {
		if !p.Secret {
			again[p.Name] = p.Value
		}
	}
	again["SMTP_URL"] = args["SMTP_URL"]
	second := load(t, config.Sources{Args: again}, nil)
	for i, p := range second.Print() {
		if want := first.Print()[i].Value; p.Value != want {
			t.Errorf("%s: got %q, want %q", p.Name, p.Value, want)
		}
	}
	if got := printed(first, "TRUSTED_PROXIES").Value; got != "10.0.0.0/8,::1/128" {
		t.Errorf("proxies: got %q", got)
	}
	if got := first.TrustedProxies[1]; got != netip.MustParsePrefix("::1/128") {
		t.Errorf("second proxy: got %v", got)
	}
}

func TestAFlagBeatsTheEnvironmentBeatsTheFileBeatsTheDefault(t *testing.T) {
	f := files{"my.env": "PORT=1003\nLEASE=33s\n# a comment\nDATA_DIR='/srv/a b'\n"}
	c := load(t, config.Sources{
		Args: map[string]string{"port": "1001"},
		Env:  []string{"PORT=1002", "LEASE=32s", "POLL_INTERVAL="},
		File: "my.env",
	}, f)
	for name, want := range map[string]config.Printed{
		"PORT":          {Name: "PORT", Value: "1001", Source: "flag"},
		"LEASE":         {Name: "LEASE", Value: "32s", Source: "environment"},
		"DATA_DIR":      {Name: "DATA_DIR", Value: "/srv/a b", Source: "my.env:4"},
		"POLL_INTERVAL": {Name: "POLL_INTERVAL", Value: "1s", Source: "default"},
	} {
		if got := printed(c, name); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestTheFileIsTheNamedOneOrDotEnvIfThere(t *testing.T) {
	f := files{".env": "PORT=1", "named": "PORT=2", "flagged": "PORT=3"}
	for _, tt := range []struct {
		what string
		s    config.Sources
		f    files
		want int
	}{
		{"nothing there", config.Sources{}, nil, 8080},
		{".env", config.Sources{}, f, 1},
		{"CONFIG_FILE", config.Sources{Env: []string{"CONFIG_FILE=named"}}, f, 2},
		{"a flag", config.Sources{Env: []string{"CONFIG_FILE=named"}, File: "flagged"}, f, 3},
	} {
		if got := load(t, tt.s, tt.f).Port; got != tt.want {
			t.Errorf("%s: got port %d, want %d", tt.what, got, tt.want)
		}
	}
	got := faults(t, config.Sources{File: "gone.env"}, f)
	want := []string{"gone.env: the settings file cannot be read: file does not exist"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a named file that is not there (-want +got):\n%s", diff)
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	got := faults(t, config.Sources{
		Args: map[string]string{"prot": "1", "heartbeat": "10s"},
		Env:  []string{"PORT=eighty", "DATABASE_URL=mysql://root:hunter2@db/x", "LEASE=20", "POLL_INTERVAL=5000"},
		File: "my.env",
	}, files{"my.env": "WORKER_CONCURENCY=4\nnonsense\nLOG_LEVEL=loud\nLOG_LEVEL=info\nDATA_DIR=\"x\nMAX_ATTEMPTS=0\n" +
		"DATABASE_DIRECT_URL=postgres://db/x\nALERT_EMAIL_TO=ops@example.com\n"})
	want := []string{
		"prot (flag): there is no such setting; did you mean PORT?",
		"my.env:2: want a line KEY=VALUE",
		"my.env:4: LOG_LEVEL stands on line 3 already",
		"my.env:5: DATA_DIR: the quote is not closed on this line",
		"WORKER_CONCURENCY (my.env:1): there is no such setting; did you mean WORKER_CONCURRENCY?",
		`DATABASE_URL="mysql://db/[redacted]" (environment): want a URL that begins with postgres:// or postgresql://`,
		`PORT="eighty" (environment): want a whole number from 0 to 65535`,
		`LEASE="20" (environment): want a duration with its unit, from 500ms to 1h`,
		`POLL_INTERVAL="5000" (environment): want a duration with its unit, from 10ms to 1m`,
		`MAX_ATTEMPTS="0" (my.env:6): want a whole number from 1 to 1000`,
		`LOG_LEVEL="loud" (my.env:3): want one of debug, info, warn, error`,
		`ALERT_EMAIL_TO="ops@example.com" (my.env:8): it goes with SMTP_URL, which is not set`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestSettingsThatContradictEachOtherAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string // the setting that is named
		env  []string
	}{
		{"HEARTBEAT", []string{"HEARTBEAT=10s"}},
		{"HEARTBEAT", []string{"LEASE=10s"}},
		{"STALE_THRESHOLD_MINUTES", []string{"STALE_THRESHOLD_MINUTES=1", "CHECK_INTERVAL_SECONDS=31"}},
		{"DATABASE_DIRECT_URL", []string{"DATABASE_DIRECT_URL=postgres://db/x"}},
		{"SQS_DLQ_URL", []string{"SQS_DLQ_URL=https://sqs/1/dlq"}},
		{"SQS_DLQ_URL", []string{"SQS_DLQ_URL=https://sqs/1/q", "SQS_QUEUE_URL=https://sqs/1/q"}},
		{"AWS_ACCESS_KEY_ID", []string{"AWS_ACCESS_KEY_ID=a"}},
		{"AWS_SECRET_ACCESS_KEY", []string{"AWS_SECRET_ACCESS_KEY=a"}},
		{"TRUSTED_HOPS", []string{"TRUSTED_HOPS=1", "TRUSTED_PROXIES=10.0.0.0/8"}},
		{"RATE_LIMIT_SECRET", []string{"RATE_LIMIT_SECRET=short"}},
		{"ALERT_WEBHOOK_URL", []string{"ALERT_WEBHOOK_URL=https://example.com/hook"}},
		{"ALERT_WEBHOOK_SECRET", []string{"ALERT_WEBHOOK_SECRET=whsec_x"}},
		{"SMTP_URL", []string{"SMTP_URL=smtp://mail"}},
		{"ALERT_EMAIL_TO", []string{"ALERT_EMAIL_TO=a@example.com"}},
	} {
		got := faults(t, config.Sources{Env: tt.env}, nil)
		if len(got) != 1 || !strings.HasPrefix(got[0], tt.name) {
			t.Errorf("%v: got %q, want one fault of %s", tt.env, got, tt.name)
		}
	}
}

func TestValuesOutOfRangeOrShapeAreRefused(t *testing.T) {
	for name, values := range map[string][]string{
		"PORT":             {"-1", "65536", "80 80", "0x50"},
		"BIND":             {"localhost", "10.0.0.0/8"},
		"PUBLIC_URL":       {"example.com", "ftp://example.com", "https://", "https://:80"},
		"TRUSTED_PROXIES":  {"10.0.0.1/8", "10.0.0.0/33", "a", "10.0.0.0/8,", "fe80::1%eth0"},
		"TRUSTED_HOPS":     {"-1", "17", "one"},
		"FORWARDED_HEADER": {"x-real-ip"},
		"RATE_LIMITS": {
			"public", "public=", "public=100", "public=0/1m", "public=100/1", "public=100/25h", "public=100/1µs", "publik=100/1m",
			"public=100/1m/sideways", "public=100/1m/open/x", "public=1/1m,public=2/1m", "public=100/1m,",
		},
		"RATE_LIMIT_COMMIT":    {"maybe"},
		"CONTACT_URL":          {"mailto:", "mailto:nobody", "https:///x"},
		"RECHECK_SCHEDULE":     {"1h,1h", "2h,1h", "0s", "-1h", "1h;2h"},
		"HEARTBEAT":            {"5", "49ms", "6m", "soon"},
		"ALERT_EMAIL_TO":       {"ops", "ops@"},
		"DATABASE_POOLING":     {"pgbouncer"},
		"CATALOG":              {},
		"SLACK_WEBHOOK_URL":    {"http://hooks.slack.com/services/x", "https://", "hooks.slack.com"},
		"ALERT_WEBHOOK_SECRET": {"whsec_", "whsec_c2hvcnQ=", "correct horse battery staple"},
	} {
		for _, value := range values {
			got := faults(t, config.Sources{Args: map[string]string{name: value}}, nil)
			if !strings.HasPrefix(got[0], name+"=") {
				t.Errorf("%s=%q: got %q, want its fault first", name, value, got)
			}
		}
	}
}

func TestASecretComesFromAFile(t *testing.T) {
	f := files{"/run/secrets/db": "postgres://u:p@db/x\n", "/run/secrets/empty": "\n"}
	c := load(t, config.Sources{Env: []string{"DATABASE_URL_FILE=/run/secrets/db"}}, f)
	if got, want := c.DatabaseURL, "postgres://u:p@db/x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := printed(c, "DATABASE_URL").Source, "/run/secrets/db"; got != want {
		t.Errorf("source: got %q, want %q", got, want)
	}

	stronger := config.Sources{
		Args: map[string]string{"database-url-file": "/run/secrets/db"},
		Env:  []string{"DATABASE_URL=postgres://other/x"},
	}
	if got := load(t, stronger, f).DatabaseURL; got != "postgres://u:p@db/x" {
		t.Errorf("a flag's file against the environment: got %q", got)
	}

	got := faults(t, config.Sources{
		Env: []string{"DATABASE_URL=postgres://db/x", "DATABASE_URL_FILE=/run/secrets/db",
			"SLACK_WEBHOOK_URL_FILE=/run/secrets/empty", "PAGERDUTY_ROUTING_KEY_FILE=/run/secrets/gone"},
		File: "my.env",
	}, files{"my.env": "PORT_FILE=/port\n", "/run/secrets/db": f["/run/secrets/db"], "/run/secrets/empty": "\n"})
	want := []string{
		"PORT_FILE (my.env:1): there is no such setting; `directorybolt config print` lists them",
		"DATABASE_URL (environment): give it or DATABASE_URL_FILE, not both",
		`SLACK_WEBHOOK_URL_FILE="/run/secrets/empty" (environment): the file is empty`,
		`PAGERDUTY_ROUTING_KEY_FILE="/run/secrets/gone" (environment): the file cannot be read: file does not exist`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// No secret is printed, whether it was accepted or refused, and however it is
// malformed.
func TestSecretsAreNeverPrinted(t *testing.T) {
	const secret = "hunter2"
	right := map[string]string{
		"DATABASE_URL": "postgres://u:hunter2@db.example.com:5432/x?password=hunter2", "DATABASE_DIRECT_URL": "postgres:///x?password=hunter2",
		"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/hunter2", "PAGERDUTY_ROUTING_KEY": secret,
		"ALERT_WEBHOOK_URL": "https://example.com/hunter2", "ALERT_WEBHOOK_SECRET": "whsec_" + strings.Repeat(secret, 8),
		"SMTP_URL": "smtp://u:hunter2@mail.example.com:587", "ALERT_EMAIL_TO": "ops@example.com",
		"NETLIFY_SIGNING_SECRET": secret, "RATE_LIMIT_SECRET": "hunter2 hunter2 hunter2",
		"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": secret,
	}
	c := load(t, config.Sources{Args: right}, nil)
	secrets := 0
	for _, p := range c.Print() {
		if strings.Contains(p.Value, secret) {
			t.Errorf("printed %s=%s", p.Name, p.Value)
		}
		if p.Secret {
			secrets++
		}
	}
	if got, want := printed(c, "DATABASE_URL").Value, "postgres://db.example.com:5432/[redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := len(c.Secrets()); got != secrets {
		t.Errorf("got %d secrets, want all %d", got, secrets)
	}

	for _, wrong := range []string{
		secret, "u:hunter2@db", "hunter2://db", "mysql://u:hunter2@db/x", "postgres//u:hunter2@db/x", "http://u:hunter2/3@db/x",
		"http://u:1?hunter2@db", "http://u:12#hunter2@db", "https://%zz:hunter2@x",
	} {
		for _, name := range []string{"DATABASE_URL", "SMTP_URL"} {
			for _, line := range faults(t, config.Sources{Args: map[string]string{name: wrong}}, nil) {
				// A scheme that is the secret says what is wrong with it.
				if strings.Contains(strings.ReplaceAll(line, "hunter2://db", ""), secret) {
					t.Errorf("%s=%s: said %s", name, wrong, line)
				}
			}
		}
	}
	for _, line := range faults(t, config.Sources{File: "my.env"}, files{"my.env": "ALERT_WEBHOOK_SECRET='hunter2\nhunter2\nSMTP_URL=x\nSMTP_URL=hunter2"}) {
		if strings.Contains(line, secret) {
			t.Errorf("a broken file: said %s", line)
		}
	}
}

func TestNamesOfTheEarlierBackendKeepTheirMeaning(t *testing.T) {
	c := load(t, config.Sources{Env: []string{
		"SQS_QUEUE_URL=https://sqs.us-east-1.amazonaws.com/1/q", "SQS_DLQ_URL=https://sqs.us-east-1.amazonaws.com/1/dlq",
		"SLACK_WEBHOOK_URL=https://hooks.slack.com/services/a", "STALE_THRESHOLD_MINUTES=10", "CHECK_INTERVAL_SECONDS=120",
		"DLQ_CHECK_INTERVAL_SECONDS=300", "DLQ_ALERT_THRESHOLD=1", "PORT=8080", "LOG_LEVEL=INFO",
	}}, nil)
	if got, want := c.LivenessInterval(), config.MaxLivenessInterval; got != want {
		t.Errorf("dead workers looked for every %v, want %v", got, want)
	}
	if got, want := c.StallAfter(), 8*time.Minute; got != want {
		t.Errorf("stalled after %v, want %v", got, want)
	}
	if got, want := load(t, config.Sources{Env: []string{"CHECK_INTERVAL_SECONDS=3"}}, nil).LivenessInterval(), 3*time.Second; got != want {
		t.Errorf("dead workers looked for every %v, want %v", got, want)
	}
}

func TestOneWarningNamesWhatNoLongerHasAnEffect(t *testing.T) {
	_, warnings, err := config.Load(config.Sources{
		Env: []string{"SUPABASE_URL=https://x.supabase.co", "SUPABASE_SERVICE_KEY=s", "PREFECT_API_URL=http://p",
			"AWS_DEFAULT_REGION=us-east-1", "AWS_REGION=us-east-1", "STRIPE_SECRET_KEY=s", "CHECK_INTERVAL_SECONDS=120", "TEST_MODE="},
		ReadFile: files{".env": "STAFF_API_KEY=k\nSTRIPE_STARTER_PRICE_ID=p\nSTRIPE_WEBHOOK_SECRET=s\n"}.read,
	})
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	want := []config.Warning{
		"settings of the earlier backend have no effect: SUPABASE_URL (now DATABASE_URL), SUPABASE_SERVICE_KEY (now DATABASE_URL), " +
			"PREFECT_API_URL (no longer needed), STAFF_API_KEY (use `directorybolt keys create`), STRIPE_WEBHOOK_SECRET (no longer needed)",
		"CHECK_INTERVAL_SECONDS=120: dead workers are looked for every 10s all the same",
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestALaterEntryOfTheEnvironmentCounts(t *testing.T) {
	if got := load(t, config.Sources{Env: []string{"PORT=1", "PORT=2"}}, nil).Port; got != 2 {
		t.Errorf("got port %d, want 2", got)
	}
}
