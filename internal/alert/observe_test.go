package alert_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

var at = time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)

func TestAReadableNoticeIsObservedAsItIs(t *testing.T) {
	id, customer := job.NewID(), job.NewID()
	body, err := json.Marshal(job.Notice{
		V: 1, Alert: job.AlertDeadLetters, Group: "permanent: status N", Count: 3, ValueCents: 44700, JobIDs: []job.ID{id},
		CustomerID: customer, JobKind: job.KindOrder, Redrives: 1, Cause: "status 404", Signature: "permanent: status N", At: at.Add(-time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := alert.Observe(body, at)
	got := fmt.Sprint(o.Kind, o.Severity, o.Count, o.ValueCents, o.JobIDs[0], o.CustomerID, o.Redrives, o.Cause, o.At.Equal(at.Add(-time.Minute)))
	want := fmt.Sprint(job.AlertDeadLetters, alert.Page, 3, 44700, id, customer, 1, "status 404", true)
	if got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
	if got, want := o.Fingerprint(), "dead_letters:permanent: status N"; got != want {
		t.Errorf("fingerprint %q, want %q", got, want)
	}
}

// bodies are what a queue may hold, and worse.
var bodies = map[string]string{
	"empty":             "",
	"not JSON":          "order 17 failed: <!channel> `rm -rf`",
	"a number":          "17",
	"null":              "null",
	"a list":            `[{"alert": "storm"}]`,
	"no kind":           `{"text": "hello"}`,
	"a kind like a tag": `{"alert": "<!channel>"}`,
	"a bomb":            strings.Repeat(`{"a":[`, 20_000),
	"a deep bomb":       strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999),
	"a mebibyte":        `{"alert": "dead_letters", "cause": "` + strings.Repeat("x🚀", 200_000) + `"}`,
	"nulls":             `{"alert": "dead_letters", "group": "\u0000\u0000", "job_ids": null, "count": null}`,
	"binary":            "\x00\xff\xfe\x1b[2J",
	"wrong types":       `{"alert": "dead_letters", "count": "many", "job_ids": ["17", 4], "value_cents": {}, "at": 5, "text": "still <@U1> told"}`,
	"mad numbers":       `{"alert": "dead_letters", "count": -9223372036854775808, "value_cents": 9223372036854775807, "at": "9999-12-31T23:59:59Z"}`,
	"turned writing":    "{\"alert\": \"dead_letters\", \"text\": \"\u202egnp.exe\u2066 \u200f\"}",
}

func TestAnyBodyIsObserved(t *testing.T) {
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			o := alert.Observe([]byte(body), at)
			wellFormed(t, o)
			if name == "wrong types" && (o.Kind != job.AlertDeadLetters || o.Text != "still <@U1> told") {
				t.Errorf("observed kind %q, text %q: a wrong field costs more than itself", o.Kind, o.Text)
			}
		})
	}
}

func wellFormed(t *testing.T, o alert.Observation) {
	t.Helper()
	for what, text := range map[string]string{
		"kind": o.Kind, "group": o.Group, "text": o.Text, "cause": o.Cause, "signature": o.Signature, "class": o.Class,
		"job kind": o.JobKind, "fingerprint": o.Fingerprint(),
	} {
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\n\r\x1b\u202e\u2066\u200f") || len(text) > 600 {
			t.Errorf("%s is %q (%d bytes)", what, text, len(text))
		}
	}
	if len(o.Fingerprint()) > 255 || o.Kind == "" || o.Severity == "" {
		t.Errorf("kind %q, severity %q, fingerprint of %d bytes", o.Kind, o.Severity, len(o.Fingerprint()))
	}
	if o.Count < 1 || o.Count > 1e9 || o.ValueCents < 0 || o.ValueCents > 1e12 || len(o.JobIDs) > job.MostNoticeJobs {
		t.Errorf("count %d, cents %d, %d jobs", o.Count, o.ValueCents, len(o.JobIDs))
	}
	if o.At.After(at) || at.Sub(o.At) > 31*24*time.Hour {
		t.Errorf("observed at %s, told at %s", o.At, at)
	}
}

func FuzzObserve(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body[:min(len(body), 500)]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		wellFormed(t, alert.Observe(body, at))
	})
}

// causes hold what a terminal or a chat must not be given, and lengths at which a
// cut falls on a space, a rune, or a character that is taken out.
var causes = []string{
	"", " ", "timeout after 3 s", "\ufeffbad gateway", "bad \u202egnp.exe", "a\x01b\x1b[31m", "\u200e", "two\nlines\u0085 and\u00a0more ",
	strings.Repeat("word ", 60), strings.Repeat("ä ", 90), strings.Repeat("\x01 ", 120), strings.Repeat("a\ufeff", 70), "\xff\xfe broken",
}

// FuzzGroup: the group of the letter is that of its alert, whatever the cause.
func FuzzGroup(f *testing.F) {
	for _, c := range causes {
		f.Add(job.ClassPermanent, c)
	}
	for n := range 12 {
		f.Add(job.ClassTransient, strings.Repeat("x", 180+n)+" \u200f and the rest")
	}
	f.Fuzz(func(t *testing.T, class, cause string) {
		signature := job.Signature(class, cause)
		body, err := json.Marshal(job.Notice{V: 1, Alert: job.AlertDeadLetters, Group: signature, Signature: signature})
		if err != nil {
			t.Fatal(err)
		}
		o := alert.Observe(body, at)
		if o.Signature != signature || o.Fingerprint() != alert.Fingerprint(job.AlertDeadLetters, signature, false) {
			t.Errorf("the letter is of %q, its alert of %q", signature, o.Signature)
		}
		if again := job.TidySignature(signature); again != signature || len(signature) > job.MostSignature {
			t.Errorf("%q of %d bytes is %q when it is tidied again", signature, len(signature), again)
		}
	})
}

func TestFingerprintsOfLongGroupsStayApart(t *testing.T) {
	long := strings.Repeat("ä", 200)
	a, b := alert.Fingerprint("dead_letters", long+"1", false), alert.Fingerprint("dead_letters", long+"2", false)
	if a == b || len(a) > 255 || !utf8.ValidString(a) {
		t.Errorf("%q (%d bytes) and %q", a, len(a), b)
	}
	if alert.Fingerprint("dead_letters", "x", true) == alert.Fingerprint("dead_letters", "x", false) {
		t.Error("a canary's group is that of paid orders")
	}
}
