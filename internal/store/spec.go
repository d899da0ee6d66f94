package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Budgets and quotas above these are mistakes; the schemas' columns hold them.
const (
	maxBudget = 1 << 20
	maxQuota  = 1 << 20
)

// Complete returns the specs with every default filled in, ids included. The
// error is a *[job.InvalidError] that names the field, and with several specs
// the spec, that is not well-formed.
func Complete(specs []job.Spec) ([]job.Spec, error) {
	full := make([]job.Spec, len(specs))
	for i, s := range specs {
		if bad := check(s); bad != nil {
			if len(specs) > 1 {
				bad.Field = fmt.Sprintf("specs[%d].%s", i, bad.Field)
			}
			return nil, bad
		}
		full[i] = withDefaults(s)
	}
	return full, nil
}

func withDefaults(s job.Spec) job.Spec {
	if s.ID == (job.ID{}) {
		s.ID = job.NewID()
	}
	if s.Priority == 0 {
		s.Priority = job.PriorityLowest
	}
	if len(s.Payload) == 0 {
		s.Payload = json.RawMessage(`{}`)
	}
	if s.MaxAttempts == 0 {
		s.MaxAttempts = job.DefaultMaxAttempts
	}
	if s.CrashBudget == 0 {
		s.CrashBudget = job.DefaultCrashBudget
	}
	if s.Actor == "" {
		s.Actor = job.ActorSystem
	}
	return s
}

func check(s job.Spec) *job.InvalidError {
	switch {
	case s.Kind == "":
		return &job.InvalidError{Field: "kind", Reason: "is required"}
	case s.Priority < 0 || s.Priority > job.PriorityLowest:
		return &job.InvalidError{Field: "priority", Reason: fmt.Sprintf("must be 1 (most urgent) to 4, not %d", s.Priority)}
	case s.Delay < 0:
		return &job.InvalidError{Field: "delay", Reason: "must not be negative"}
	case s.Quota < 0 || s.Quota > maxQuota:
		return &job.InvalidError{Field: "quota", Reason: fmt.Sprintf("must be 0 to %d", maxQuota)}
	case s.ValueCents < 0:
		return &job.InvalidError{Field: "value_cents", Reason: "must not be negative"}
	case s.MaxAttempts < 0 || s.MaxAttempts > maxBudget:
		return &job.InvalidError{Field: "max_attempts", Reason: fmt.Sprintf("must be 1 to %d, or 0 for the default", maxBudget)}
	case s.CrashBudget < 0 || s.CrashBudget > maxBudget:
		return &job.InvalidError{Field: "crash_budget", Reason: fmt.Sprintf("must be 1 to %d, or 0 for the default", maxBudget)}
	case !isObject(s.Payload):
		return &job.InvalidError{Field: "payload", Reason: "must be a JSON object"}
	}
	for field, text := range map[string]string{
		"kind": s.Kind, "idempotency_key": s.IdempotencyKey, "package": s.Package, "actor": s.Actor,
	} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return &job.InvalidError{Field: field, Reason: "must be UTF-8 text without NUL"}
		}
	}
	return nil
}

// isObject reports whether the payload is nil or a JSON object.
func isObject(payload json.RawMessage) bool {
	if len(payload) == 0 {
		return true
	}
	// Nearly every payload that starts right is right; most kinds carry none.
	body := bytes.TrimLeft(payload, " \t\r\n")
	return len(body) > 0 && body[0] == '{' && utf8.Valid(payload) && json.Valid(payload)
}
