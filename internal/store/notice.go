package store

import (
	"encoding/json"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Told checks what [job.Teller] is given and returns both as they are stored, the
// notice as JSON. Without a notice the payload is nil.
func Told(e job.Event, n *job.Notice) (job.Event, []byte, error) {
	if e.Type == "" {
		return e, nil, &job.InvalidError{Field: "type", Reason: "is required"}
	}
	e.Actor, e.Cause, e.Directory = plain(e.Actor), plain(e.Cause), plain(e.Directory)
	if e.Actor == "" {
		e.Actor = job.ActorSystem
	}
	if n == nil {
		return e, nil, nil
	}
	for field, text := range map[string]string{"notice.key": n.Key, "notice.alert": n.Alert} {
		if text == "" || text != plain(text) {
			return e, nil, &job.InvalidError{Field: field, Reason: "must be text without NUL, and not empty"}
		}
	}
	payload, err := json.Marshal(stored(*n))
	return e, payload, err
}

// stored is the notice within its bounds, in text that every database takes.
func stored(n job.Notice) job.Notice {
	n.V = 1
	n.JobIDs = n.JobIDs[:min(len(n.JobIDs), job.MostNoticeJobs)]
	for _, text := range []*string{&n.Group, &n.Severity, &n.Text, &n.JobKind, &n.Cause, &n.Class, &n.Signature} {
		*text = plain(*text)
	}
	return n
}

// plain makes text that every database and JSON reader takes: valid UTF-8 without
// NUL, at most 8 KiB.
func plain(s string) string {
	const most = 8 << 10
	if len(s) > most {
		s = s[:most]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
