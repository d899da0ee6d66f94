package store

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	// JudgeBatch is how many orders one statement judges.
	JudgeBatch = 1000
	// KeepLettersSurely is for how long a failed job has a letter, whatever becomes of it.
	KeepLettersSurely = 300 * 24 * time.Hour
)

// Term is a row of Account or AtRisk: one term of the books.
type Term struct {
	Name       string
	State      string
	Count      int64
	ValueCents int64
}

// AccountOf gathers the terms of Account. Every state of a job is there.
func AccountOf(terms []Term, now time.Time) job.Account {
	a := job.Account{At: now.UTC(), Orders: map[job.State]job.Sum{}, Archived: map[job.State]job.Sum{}, Submissions: map[string]int64{}}
	for _, state := range job.States {
		a.Orders[state] = job.Sum{}
	}
	for _, t := range terms {
		sum := job.Sum{Count: t.Count, ValueCents: t.ValueCents}
		switch t.Name {
		case "paid":
			a.Paid = sum
		case "order":
			a.Orders[job.State(t.State)] = sum
		case "archived":
			a.Archived[job.State(t.State)] = sum
		case "bought":
			a.Bought = t.Count
		case "unplanned":
			a.Unplanned = t.Count
		case "shortfall":
			a.Shortfall = t.Count
		case "submission":
			a.Submissions[t.State] = t.Count
		case "replaced":
			a.Replaced = t.Count
		}
	}
	return a
}

// RiskOf gathers the terms of AtRisk.
func RiskOf(terms []Term) (r job.Risk) {
	for _, t := range terms {
		sum := job.Sum{Count: t.Count, ValueCents: t.ValueCents}
		switch t.Name {
		case "stuck":
			r.Stuck = sum
		case "failed":
			r.Failed = sum
		case "late":
			r.Late = sum
		}
	}
	return r
}
