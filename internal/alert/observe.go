package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Observation is a notice as far as it can be read, within bounds: text is short,
// valid and without control characters, numbers are sane, kind and time are there.
type Observation struct {
	job.Notice
	Kind     string
	Severity Severity
}

// Bounds of what is read from a notice, in bytes or units.
const (
	mostText  = 600
	mostCount = 1_000_000_000
	mostCents = 1_000_000_000_000
	oldest    = 30 * 24 * time.Hour
)

var kindForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// Observe reads the payload of a message that was committed at a moment. It takes
// any bytes: of what cannot be read an excerpt is told.
func Observe(payload []byte, at time.Time) Observation {
	n, readable := decode(payload)
	if !readable || !kindForm.MatchString(n.Alert) {
		excerpt := job.OneLine(string(payload[:min(len(payload), 4*mostText)]), mostText)
		return Observation{
			Kind: Unreadable, Severity: natureOf(Unreadable).severity,
			Notice: job.Notice{Group: job.Signature("body", excerpt), Text: excerpt, Count: 1, At: at.UTC()},
		}
	}
	o := Observation{Notice: n, Kind: n.Alert, Severity: Severity(n.Severity)}
	o.bound(at)
	return o
}

// noticeFields are the names in the JSON of a notice.
var noticeFields = func() (names []string) {
	t := reflect.TypeFor[job.Notice]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}()

// decode reads what it can: a field of the wrong type costs that field alone.
func decode(payload []byte) (n job.Notice, readable bool) {
	if json.Unmarshal(payload, &n) == nil {
		return n, bytes.HasPrefix(bytes.TrimLeft(payload, " \t\r\n"), []byte("{"))
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil {
		return job.Notice{}, false
	}
	n = job.Notice{}
	for _, name := range noticeFields {
		value, there := fields[name]
		if !there {
			continue
		}
		one, err := json.Marshal(map[string]json.RawMessage{name: value})
		next := n
		if err == nil && json.Unmarshal(one, &next) == nil {
			n = next
		}
	}
	return n, true
}

func (o *Observation) bound(at time.Time) {
	if o.Count < 1 {
		o.Count = 1
	}
	o.Count = min(o.Count, mostCount)
	o.ValueCents = min(max(o.ValueCents, 0), mostCents)
	if o.Canary {
		o.ValueCents = 0
	}
	if o.Group == "" {
		o.Group = o.Signature
	}
	o.Group, o.Signature = job.TidySignature(o.Group), job.TidySignature(o.Signature)
	o.Text, o.Cause = job.OneLine(o.Text, mostText), job.OneLine(o.Cause, mostText)
	o.JobKind, o.Class = job.OneLine(o.JobKind, 40), job.OneLine(o.Class, 40)
	o.JobIDs = o.JobIDs[:min(len(o.JobIDs), job.MostNoticeJobs)]
	if !slices.Contains(severities, o.Severity) {
		o.Severity = natureOf(o.Kind).severity
	}
	if o.Canary {
		o.Severity = Info
	}
	// A clock that is wrong must neither hide an alert nor make it late for ever.
	if o.At.After(at) || o.At.Before(at.Add(-oldest)) {
		o.At = at
	}
	o.At = o.At.UTC().Truncate(time.Microsecond)
}

// Fingerprint says which alert the observation belongs to.
func (o Observation) Fingerprint() string { return Fingerprint(o.Kind, o.Group, o.Canary) }

// Fingerprint is the name of a group among all alerts, at most 255 bytes.
func Fingerprint(kind, group string, canary bool) string {
	if canary {
		kind += ":canary"
	}
	name := kind + ":" + group
	if len(name) <= 255 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToValidUTF8(name[:220], "") + "…" + hex.EncodeToString(sum[:8])
}
