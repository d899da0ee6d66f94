package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

func scanLetter(row pgx.CollectableRow) (l job.Letter, err error) {
	err = row.Scan((*nullID)(&l.ID), (*nullID)(&l.JobID), (*nullText)(&l.Kind), (*nullID)(&l.CustomerID), &l.ValueCents, &l.Canary,
		&l.Cause, &l.Class, &l.Signature, &l.Attempts, &l.Redrives, (*nullTime)(&l.At), (*nullText)(&l.Fate),
		(*nullText)(&l.By.Actor), (*nullText)(&l.By.Reason), (*nullTime)(&l.RedrivenAt), (*nullTime)(&l.ResolvedAt),
		(*nullText)(&l.MessageID), &l.Body, &l.Receives, (*nullTime)(&l.SentAt), (*nullTime)(&l.ExpiresAt), (*nullTime)(&l.CopiedAt),
		&l.Done, &l.Left)
	return l, err
}

// letterFilter are the arguments that ListLetters and GroupLetters share.
func letterFilter(f job.LetterFilter) []any {
	return []any{
		f.Decided, dbText(plain(f.Signature)), dbID(f.Customer), dbText(plain(f.Kind)), dbID(f.Job), dbTime(f.Since), dbTime(f.Until),
		dbInt(f.RedrivesBelow), f.Canaries,
	}
}

func dbTime(t time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()} }

// Letters lists a page, newest first.
func (s *Store) Letters(ctx context.Context, f job.LetterFilter) ([]job.Letter, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultListed
	}
	return all(ctx, s, "list dead letters", "ListLetters", scanLetter, append(letterFilter(f), dbID(f.Before), min(limit, mostListed))...)
}

// Letter finds one by its own id, or the latest of a job.
func (s *Store) Letter(ctx context.Context, id job.ID) (job.Letter, error) {
	return one(ctx, s, "read dead letter "+id.String(), "GetLetter", scanLetter, dbID(id))
}

// LetterDepth counts what is open.
func (s *Store) LetterDepth(ctx context.Context) (job.LetterDepth, error) {
	return one(ctx, s, "count dead letters", "CountLetters", func(row pgx.CollectableRow) (d job.LetterDepth, err error) {
		err = row.Scan(&d.Open, &d.Canaries, &d.Messages, &d.InFlight, &d.ValueCents, &d.Customers, (*nullTime)(&d.Oldest), (*nullTime)(&d.Newest))
		return d, err
	})
}

// LetterGroups counts by signature.
func (s *Store) LetterGroups(ctx context.Context, f job.LetterFilter) ([]job.LetterGroup, error) {
	return all(ctx, s, "group dead letters", "GroupLetters", func(row pgx.CollectableRow) (g job.LetterGroup, err error) {
		err = row.Scan(&g.Signature, &g.Count, &g.ValueCents, &g.Customers, (*nullTime)(&g.Oldest), (*nullTime)(&g.Newest), (*nullID)(&g.JobID))
		g.Group = job.GroupID(g.Signature)
		return g, err
	}, letterFilter(f)...)
}

// RedriveLetters makes the jobs of letters pending. ErrErased where none is moved and a
// customer was erased.
func (s *Store) RedriveLetters(ctx context.Context, ids []job.ID, by job.By) ([]job.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	moved, err := all(ctx, s, "redrive "+these(ids), "RedriveLetters", scanID, dbIDs(ids), actor(by), dbText(plain(by.Reason)), s.config.Hints)
	if err != nil {
		return nil, err
	}
	if len(moved) > 0 {
		s.bell.ring()
		return moved, nil
	}
	erased, err := one(ctx, s, "look for erased customers", "LetterOfErased", scanBool, dbIDs(ids))
	if err == nil && erased {
		err = fmt.Errorf("redrive %s: %w", these(ids), job.ErrErased)
	}
	return nil, err
}

// RedriveOutcomes tells how redriven letters fare.
func (s *Store) RedriveOutcomes(ctx context.Context, ids []job.ID) ([]job.RedriveOutcome, error) {
	return all(ctx, s, "read outcomes of redriven letters", "RedriveOutcomes", func(row pgx.CollectableRow) (o job.RedriveOutcome, err error) {
		err = row.Scan((*nullID)(&o.LetterID), (*nullText)(&o.State), (*nullText)(&o.Again))
		return o, err
	}, dbIDs(ids))
}

// Redrive makes a failed job pending, by the way of its letter.
func (s *Store) Redrive(ctx context.Context, id job.ID, by job.By) error {
	j, err := s.Job(ctx, id)
	if err != nil {
		return fmt.Errorf("redrive job %s: %w", id, err)
	}
	if j.State == job.Failed {
		l, err := s.Letter(ctx, id)
		if err != nil {
			return err
		}
		moved, err := s.RedriveLetters(ctx, []job.ID{l.ID}, by)
		if err != nil || len(moved) > 0 {
			return err
		}
		if j, err = s.Job(ctx, id); err != nil {
			return err
		}
	}
	return fmt.Errorf("redrive job %s: it is %s: %w", id, j.State, job.ErrState)
}

// ResolveLetters gives open letters a final fate.
func (s *Store) ResolveLetters(ctx context.Context, ids []job.ID, fate job.Fate, by job.By) ([]job.ID, error) {
	event, act, err := store.Decision(fate, by)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return all(ctx, s, "resolve "+these(ids), "ResolveLetters", scanID, dbIDs(ids), string(fate), actor(by), dbText(plain(by.Reason)),
		event, dbText(act))
}

// these names letters in an error.
func these(ids []job.ID) string {
	if len(ids) == 1 {
		return "dead letter " + ids[0].String()
	}
	return fmt.Sprintf("%d dead letters", len(ids))
}

func dbIDs(ids []job.ID) [][16]byte {
	raw := make([][16]byte, len(ids))
	for i, id := range ids {
		raw[i] = id
	}
	return raw
}

// Journal lists acts, the latest first.
func (s *Store) Journal(ctx context.Context, before job.ID, limit int) ([]job.JournalEntry, error) {
	return all(ctx, s, "list the journal", "ListJournal", func(row pgx.CollectableRow) (e job.JournalEntry, err error) {
		err = row.Scan((*nullID)(&e.ID), (*nullTime)(&e.At), &e.By.Actor, &e.By.Reason, &e.Act, &e.Count, &e.ValueCents, &e.JobIDs, &e.Subject)
		return e, err
	}, dbID(before), limit)
}
