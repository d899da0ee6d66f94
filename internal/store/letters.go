package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Decision checks a fate that letters are given, and returns the type of its event
// and the act for the journal; what the system does is not journalled.
func Decision(f job.Fate, by job.By) (event, act string, err error) {
	switch f {
	case job.FatePurged:
		event, act = job.EventLetterPurged, job.ActPurge
	case job.FateMoved:
		event, act = job.EventLetterRedriven, job.ActMove
	case job.FateExpired:
		event = job.EventLetterExpired
	default:
		return "", "", &job.InvalidError{Field: "fate", Reason: "cannot be given to a letter: " + string(f)}
	}
	if by.Actor == "" || by.Actor == job.ActorSystem {
		act = ""
	}
	return event, act, nil
}

// tidyLimit is how many letters are renamed at once, so that nobody waits long.
const tidyLimit = 500

// Tidy has the letters of signatures that are not tidy renamed, some at a time, and
// returns how many were. rename renames as many as the limit says, or fewer when no more
// are left.
func Tidy(signatures []string, rename func(from, to string, limit int) (int64, error)) (renamed int64, err error) {
	for _, s := range signatures {
		tidy := job.TidySignature(s)
		if tidy == s || tidy == "" {
			continue
		}
		for n := int64(tidyLimit); n >= tidyLimit; renamed += n {
			if n, err = rename(s, tidy, tidyLimit); err != nil {
				return renamed, err
			}
		}
	}
	return renamed, nil
}

// FateRow is a row of ClosedGroups: one fate of one group.
type FateRow struct {
	Signature  string
	Canary     bool
	Fate       job.Fate
	Count      int64
	ValueCents int64
	Until      time.Time
	JobIDs     []job.ID
}

// ClosedGroups gathers the rows of each group; they come group by group.
func ClosedGroups(rows []FateRow) []job.ClosedGroup {
	var groups []job.ClosedGroup
	for _, r := range rows {
		if n := len(groups); n == 0 || groups[n-1].Signature != r.Signature || groups[n-1].Canary != r.Canary {
			groups = append(groups, job.ClosedGroup{Signature: r.Signature, Canary: r.Canary})
		}
		g := &groups[len(groups)-1]
		g.Fates = append(g.Fates, job.FateCount{Fate: r.Fate, Count: r.Count})
		g.ValueCents += r.ValueCents
		if r.Until.After(g.Until) {
			g.Until = r.Until
		}
		g.JobIDs = append(g.JobIDs, r.JobIDs...)
		g.JobIDs = slices.Clip(g.JobIDs[:min(len(g.JobIDs), job.MostNoticeJobs)])
	}
	return groups
}

// NoticeJSON is a notice as the outbox holds it.
func NoticeJSON(n job.Notice) []byte {
	payload, err := json.Marshal(stored(n))
	if err != nil {
		panic(err) // a time beyond year 9999, which no clock shows
	}
	return payload
}
