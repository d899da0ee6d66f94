package store

import (
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// How long rollups are kept: minutes for those who look closely at what happened this
// week, hours for a report of the year and the one before it to compare with.
const (
	KeepMinutes = 7 * 24 * time.Hour
	KeepHours   = 400 * 24 * time.Hour
)

// CheckFacts checks what [job.Rollups] is given, and makes its texts plain.
func CheckFacts(facts []job.Fact) ([]job.Fact, error) {
	facts = slices.Clone(facts)
	for i := range facts {
		f := &facts[i]
		f.Name, f.Labels = plain(f.Name), plain(f.Labels)
		switch {
		case f.Name == "":
			return nil, &job.InvalidError{Field: "name", Reason: "is required"}
		case f.Ago < 0:
			return nil, &job.InvalidError{Field: "ago", Reason: "must not be negative"}
		}
	}
	return facts, nil
}
