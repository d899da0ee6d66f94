package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

const secret = "hunter2-hunter2"

func TestSecretsReachNoLine(t *testing.T) {
	link, err := url.Parse("postgres://u:" + secret + "@db/x")
	if err != nil {
		t.Fatal(err)
	}
	type target struct{ URL *url.URL }
	for name, attr := range map[string]slog.Attr{
		"a URL's password":              slog.String("url", "postgres://u:"+secret+"@db.example.com/x"),
		"a password that is no URL's":   slog.String("url", "postgres://u:p@ss/"+secret+"@db.example.com/x"),
		"a URL without user":            slog.String("url", "redis://:"+secret+"@cache/0"),
		"an error":                      slog.Any("error", fmt.Errorf("post: %w", errors.New(`Post "https://hooks.slack.com/services/`+secret+`": EOF`))),
		"a government's Slack":          slog.String("url", "https://hooks.slack-gov.com/services/"+secret),
		"a query":                       slog.String("url", "https://example.com/x?a=1&password="+secret+"&b=2"),
		"a DSN":                         slog.String("dsn", "host=db sslpassword="+secret),
		"a header":                      slog.String("header", "Authorization: Bearer "+secret),
		"a basic header":                slog.String("header", `{"Authorization": "Basic `+secret+`"}`),
		"a signed URL":                  slog.String("url", "https://s3.example.com/x?X-Amz-Signature="+secret),
		"a key":                         slog.String("key", "dbk_live_"+secret),
		"a web token":                   slog.String("jwt", "eyJhbGciOi."+secret+".sig"),
		"a webhook's secret":            slog.String("x", "whsec_"+secret),
		"a *url.URL":                    slog.Any("url", link),
		"a struct":                      slog.Any("target", target{link}),
		"bytes":                         slog.Any("body", []byte("token="+secret)),
		"a list":                        slog.Any("urls", []string{"fine", "https://u:" + secret + "@x"}),
		"a group":                       slog.Group("request", slog.String("url", "https://u:"+secret+"@x")),
		"what the key says is a secret": slog.String("slack_token", secret),
		"what the key says with dashes": slog.String("Set-Cookie", secret),
		"a value in a map":              slog.Any("map", map[string]string{"a": "password=" + secret}),
	} {
		for _, format := range []string{"json", "text"} {
			var b bytes.Buffer
			log := telemetry.NewLogger(&b, telemetry.LogOptions{Format: format})
			log.With(attr).Info("said", attr)
			if got := b.String(); strings.Contains(got, secret) || !strings.Contains(got, "redacted") {
				t.Errorf("%s as %s: got %s", name, format, got)
			}
		}
	}
}

func TestKnownSecretsReachNoLine(t *testing.T) {
	var b bytes.Buffer
	log := telemetry.NewLogger(&b, telemetry.LogOptions{Format: "json", Secrets: []string{"", "short", secret, secret + "-longer"}})
	log.Info("message with "+secret, "a", "x"+secret+"y", "b", errors.New(secret), "c", secret+"-longer", "d", "short")
	got := b.String()
	if strings.Contains(got, secret) || strings.Contains(got, "-longer") {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(got, `"short"`) {
		t.Errorf("a secret too short to look for was replaced: %s", got)
	}
}

func TestWhatIsNoSecretIsLoggedAsItIs(t *testing.T) {
	var b bytes.Buffer
	id := job.NewID()
	telemetry.NewLogger(&b, telemetry.LogOptions{Format: "json"}).Info("jobs recovered",
		telemetry.KeyCount, 3, telemetry.KeyJob, id, "url", "https://example.com:8443/a?b=c", "idempotency_key", "order-1",
		"list", []int{1, 2}, "signature", "transient: timeout after N s", "text", "basic settings, signature=transient")
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("line %s: %v", b.String(), err)
	}
	for key, want := range map[string]any{
		"msg": "jobs recovered", "level": "INFO", "count": 3.0, "job_id": id.String(), "url": "https://example.com:8443/a?b=c",
		"idempotency_key": "order-1", "signature": "transient: timeout after N s", "text": "basic settings, signature=transient",
	} {
		if got[key] != want {
			t.Errorf("%s: got %v, want %v", key, got[key], want)
		}
	}
	if list, ok := got["list"].([]any); !ok || len(list) != 2 {
		t.Errorf("list: got %v, want two numbers", got["list"])
	}
}

func TestAutoIsJSONWhereThereIsNoTerminal(t *testing.T) {
	for format, want := range map[string]string{"": "{", "auto": "{", "json": "{", "text": "time="} {
		var b bytes.Buffer
		telemetry.NewLogger(&b, telemetry.LogOptions{Format: format}).Info("x")
		if !strings.HasPrefix(b.String(), want) {
			t.Errorf("%q: got %s, want it to begin with %s", format, b.String(), want)
		}
	}
}

func TestTheLevelHolds(t *testing.T) {
	var b bytes.Buffer
	log := telemetry.NewLogger(&b, telemetry.LogOptions{Level: slog.LevelWarn})
	log.Info("quiet")
	log.Warn("loud")
	if got := b.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") {
		t.Errorf("got %s", got)
	}
}

func FuzzScrubTakesAURLsPasswordOut(f *testing.F) {
	f.Add("postgres", "u", "p", "db/x")
	f.Fuzz(func(t *testing.T, scheme, user, before, rest string) {
		text := scheme + "://" + strings.Map(userRune, user) + ":" + strings.Map(wordRune, before) + secret + "@" + rest
		if got := telemetry.NewScrubber(nil).Scrub(text); strings.Contains(got, secret) && !strings.Contains(rest, secret) && !strings.Contains(scheme, secret) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// wordRune drops what ends a word, userRune also what ends a user's name.
func wordRune(r rune) rune {
	if strings.ContainsRune(" \t\n\f\r\v\"'<>", r) {
		return -1
	}
	return r
}

func userRune(r rune) rune {
	if strings.ContainsRune("/:@", r) {
		return -1
	}
	return wordRune(r)
}
