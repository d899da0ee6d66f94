package store

import (
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// NobodyAsks is the reason with which an undecided submission is left to a person.
const NobodyAsks = "its order was over before the answer came; nobody asks the directory any more"

// CheckLook checks what [job.Orphans] is asked to look for.
func CheckLook(kind string, after time.Duration, limit int) error {
	switch {
	case !slices.Contains(job.OrphanKinds, kind):
		return &job.InvalidError{Field: "kind", Reason: "is no kind of orphan"}
	case after < 0:
		return &job.InvalidError{Field: "after", Reason: "must not be negative"}
	case limit <= 0:
		return &job.InvalidError{Field: "limit", Reason: "must be positive"}
	}
	return nil
}

// CheckNote checks what [job.Findings] is told, and makes its texts plain. A subject
// that occurs twice is a mistake of whoever looked.
func CheckNote(l job.Look) ([]job.Finding, error) {
	switch "" {
	case l.Kind:
		return nil, &job.InvalidError{Field: "kind", Reason: "is required"}
	case l.Event:
		return nil, &job.InvalidError{Field: "event", Reason: "is required"}
	case l.Alert:
		return nil, &job.InvalidError{Field: "alert", Reason: "is required"}
	}
	seen := make(map[string]bool, len(l.Found))
	found := slices.Clone(l.Found)
	for i := range found {
		f := &found[i]
		f.Subject, f.Cause, f.Mark, f.Directory = plain(f.Subject), plain(f.Cause), plain(f.Mark), plain(f.Directory)
		switch {
		case f.Kind != l.Kind:
			return nil, &job.InvalidError{Field: "found", Reason: "a finding has another kind"}
		case f.Count <= 0:
			return nil, &job.InvalidError{Field: "found", Reason: "a finding counts nothing"}
		case f.Since.IsZero():
			return nil, &job.InvalidError{Field: "found", Reason: "a finding has no time"}
		case seen[f.Subject]:
			return nil, &job.InvalidError{Field: "found", Reason: "a subject occurs twice"}
		}
		seen[f.Subject] = true
	}
	return found, nil
}
