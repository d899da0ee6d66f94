package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// finders are the statements that look for orphans, by kind; the books have more than one.
var finders = map[string]string{
	job.OrphanOwner:     "FindUnknownOwners",
	job.OrphanUnclaimed: "FindUnclaimed",
	job.OrphanUnsent:    "FindUnsent",
	job.OrphanHint:      "FindHintsWithoutJob",
	job.OrphanUnhinted:  "FindJobsWithoutHint",
	job.OrphanUndecided: "FindUndecided",
}

// FindOrphans lists orphans of a kind and changes nothing.
func (s *Store) FindOrphans(ctx context.Context, kind string, after time.Duration, limit int) ([]job.Finding, error) {
	what := "find orphans of kind " + kind
	if err := store.CheckLook(kind, after, limit); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if kind == job.OrphanUnhinted && !s.config.Hints {
		return nil, nil
	}
	if kind == job.OrphanUnbalanced {
		return s.findUnbalanced(ctx, what, after, limit)
	}
	return all(ctx, s, what, finders[kind], scanOrphan(kind), micros(after), limit)
}

// scanOrphan reads what finders answer.
func scanOrphan(kind string) pgx.RowToFunc[job.Finding] {
	return func(row pgx.CollectableRow) (job.Finding, error) {
		f := job.Finding{Kind: kind}
		err := row.Scan(&f.Subject, (*nullText)(&f.Cause), &f.Mark, (*nullTime)(&f.Since), &f.Count, &f.ValueCents, (*nullID)(&f.JobID),
			(*nullID)(&f.OrderID), (*nullID)(&f.CustomerID), (*nullText)(&f.Directory), (*nullID)(&f.WorkerID))
		return f, err
	}
}

// MendOrphans does what is safe about orphans, each only if it still is one.
func (s *Store) MendOrphans(ctx context.Context, kind string, after time.Duration, found []job.Finding) (int, error) {
	what := "mend orphans of kind " + kind
	if len(found) == 0 {
		return 0, nil
	}
	subjects := make([]string, len(found))
	for i, f := range found {
		subjects[i] = f.Subject
	}
	var n int64
	var err error
	switch kind {
	case job.OrphanHint:
		n, err = changed(ctx, s, what, "DropHints", subjects)
	case job.OrphanOwner, job.OrphanUnhinted, job.OrphanUndecided:
		n, err = s.mendByID(ctx, kind, what, after, subjects)
	}
	return int(n), err
}

func (s *Store) mendByID(ctx context.Context, kind, what string, after time.Duration, subjects []string) (int64, error) {
	ids := make([][16]byte, len(subjects))
	for i, subject := range subjects {
		id, err := uuid.Parse(subject)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", what, &job.InvalidError{Field: "subject", Reason: "is no id: " + subject})
		}
		ids[i] = id
	}
	switch kind {
	case job.OrphanOwner:
		return changed(ctx, s, what, "RetireUnknownOwners", ids)
	case job.OrphanUnhinted:
		return changed(ctx, s, what, "HintAgain", ids)
	}
	return changed(ctx, s, what, "EndUndecided", ids, micros(after), store.NobodyAsks)
}

// NoteFindings remembers what a look found and tells what is new or gone.
func (s *Store) NoteFindings(ctx context.Context, l job.Look) (job.Noted, error) {
	what := "note findings of kind " + l.Kind
	found, err := store.CheckNote(l)
	if err != nil {
		return job.Noted{}, fmt.Errorf("%s: %w", what, err)
	}
	records, err := recordsOf(found)
	if err != nil {
		return job.Noted{}, fmt.Errorf("%s: %w", what, err)
	}
	type line struct {
		gone bool
		job.Finding
	}
	lines, err := all(ctx, s, what, "NoteFindings", func(row pgx.CollectableRow) (n line, err error) {
		err = row.Scan(append([]any{&n.gone}, findingFields(&n.Finding)...)...)
		return n, err
	}, l.Kind, records, l.Partial, micros(l.Confirm), l.Event, l.Alert, l.Severity, l.Each)
	var noted job.Noted
	for _, n := range lines {
		if n.gone {
			noted.Gone = append(noted.Gone, n.Finding)
		} else {
			noted.Told = append(noted.Told, n.Finding)
		}
	}
	return noted, err
}

// recordsOf makes the JSON that NoteFindings reads as rows: each finding with all that
// its columns want, and its sentence.
func recordsOf(found []job.Finding) ([]byte, error) {
	type record struct {
		job.Finding
		Cause string `json:"cause"`
		Mark  string `json:"mark"`
		Text  string `json:"text"`
	}
	records := make([]record, len(found))
	for i, f := range found {
		records[i] = record{f, f.Cause, f.Mark, plain(f.Text())}
	}
	return json.Marshal(records)
}

// Findings lists what was noted and is not gone.
func (s *Store) Findings(ctx context.Context) ([]job.Finding, error) {
	return all(ctx, s, "list findings", "ListFindings", func(row pgx.CollectableRow) (f job.Finding, err error) {
		err = row.Scan(findingFields(&f)...)
		return f, err
	})
}

func findingFields(f *job.Finding) []any {
	return []any{
		&f.Kind, &f.Subject, &f.Cause, &f.Mark, (*nullTime)(&f.Since), &f.Count, &f.ValueCents, (*nullID)(&f.JobID),
		(*nullID)(&f.OrderID), (*nullID)(&f.CustomerID), (*nullText)(&f.Directory), (*nullID)(&f.WorkerID),
		(*nullTime)(&f.FirstAt), (*nullTime)(&f.ToldAt),
	}
}

// TakeTurn reports whether it is the caller's turn.
func (s *Store) TakeTurn(ctx context.Context, name string, every time.Duration) (bool, error) {
	n, err := changed(ctx, s, "take turn at "+name, "TakeTurn", plain(name), micros(every))
	return n > 0, err
}
