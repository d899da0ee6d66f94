package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// bury leaves a letter of a job that just failed, and has people told.
func (t *tx) bury(j *job.Job) error {
	_, err := t.exec(q.AddLetter, job.NewID().String(), j.ID.String(), j.Kind, idOrNull(j.CustomerID), j.ValueCents, j.Canary,
		j.Cause, j.Class, j.Signature, j.Attempt, j.Redrives, t.now)
	if err != nil {
		return err
	}
	return t.alert(j)
}

func scanLetter(r row) (l job.Letter, err error) {
	err = r.Scan(&l.ID, &l.JobID, maybe[string]{&l.Kind}, &l.CustomerID, &l.ValueCents, &l.Canary, &l.Cause, &l.Class, &l.Signature,
		&l.Attempts, &l.Redrives, moment{&l.At}, maybe[string]{(*string)(&l.Fate)}, maybe[string]{&l.By.Actor}, maybe[string]{&l.By.Reason},
		moment{&l.RedrivenAt}, moment{&l.ResolvedAt}, maybe[string]{&l.MessageID}, &l.Body, &l.Receives, moment{&l.SentAt},
		moment{&l.ExpiresAt}, moment{&l.CopiedAt}, &l.Done, &l.Left)
	return l, err
}

// letterFilter are the arguments that ListLetters and GroupLetters share.
func letterFilter(f job.LetterFilter) []any {
	return []any{
		f.Decided, orNull(f.Signature), idOrNull(f.Customer), orNull(f.Kind), idOrNull(f.Job), microsOrNull(f.Since), microsOrNull(f.Until),
		orNull(f.RedrivesBelow), f.Canaries,
	}
}

// Letters implements [job.Letters].
func (s *Store) Letters(ctx context.Context, f job.LetterFilter) ([]job.Letter, error) {
	limit := min(cmp.Or(f.Limit, 50), 1000)
	letters, err := all(s.read(ctx), scanLetter, q.ListLetters, append(letterFilter(f), idOrNull(f.Before), limit)...)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", s.explain(err))
	}
	return letters, nil
}

// Letter implements [job.Letters].
func (s *Store) Letter(ctx context.Context, id job.ID) (job.Letter, error) {
	l, err := one(s.read(ctx), scanLetter, q.GetLetter, id.String())
	if err != nil {
		return l, fmt.Errorf("read dead letter %s: %w", id, s.explain(err))
	}
	return l, nil
}

// LetterDepth implements [job.Letters].
func (s *Store) LetterDepth(ctx context.Context) (job.LetterDepth, error) {
	d, err := one(s.read(ctx), func(r row) (d job.LetterDepth, err error) {
		err = r.Scan(&d.Open, &d.Canaries, &d.Messages, &d.InFlight, &d.ValueCents, &d.Customers, moment{&d.Oldest}, moment{&d.Newest})
		return d, err
	}, q.CountLetters)
	if err != nil {
		return d, fmt.Errorf("count dead letters: %w", s.explain(err))
	}
	return d, nil
}

// LetterGroups implements [job.Letters].
func (s *Store) LetterGroups(ctx context.Context, f job.LetterFilter) ([]job.LetterGroup, error) {
	groups, err := all(s.read(ctx), func(r row) (g job.LetterGroup, err error) {
		err = r.Scan(&g.Signature, &g.Count, &g.ValueCents, &g.Customers, moment{&g.Oldest}, moment{&g.Newest}, &g.JobID)
		g.Group = job.GroupID(g.Signature)
		return g, err
	}, q.GroupLetters, letterFilter(f)...)
	if err != nil {
		return nil, fmt.Errorf("group dead letters: %w", s.explain(err))
	}
	return groups, nil
}

// Redrive implements [job.Operator], by the way of the job's letter.
func (s *Store) Redrive(ctx context.Context, id job.ID, by job.By) error {
	return s.operate(ctx, "redrive", id, func(t *tx, j *job.Job) error {
		if j.State != job.Failed {
			return wrongState(j)
		}
		l, err := one(t, scanLetter, q.GetLetter, id.String())
		if err != nil {
			return err
		}
		moved, err := t.redrive([]job.ID{l.ID}, by)
		if err == nil && len(moved) == 0 {
			err = wrongState(j)
		}
		return err
	})
}

// RedriveLetters implements [job.Letters].
func (s *Store) RedriveLetters(ctx context.Context, ids []job.ID, by job.By) (moved []job.ID, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = s.write(ctx, func(t *tx) (err error) {
		moved, err = t.redrive(ids, by)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redrive %d dead letters: %w", len(ids), err)
	}
	return moved, nil
}

// RedriveOutcomes implements [job.Letters].
func (s *Store) RedriveOutcomes(ctx context.Context, ids []job.ID) ([]job.RedriveOutcome, error) {
	outcomes, err := all(s.read(ctx), func(r row) (o job.RedriveOutcome, err error) {
		err = r.Scan(&o.LetterID, (*string)(&o.State), maybe[string]{&o.Again})
		return o, err
	}, q.RedriveOutcomes, list(ids))
	if err != nil {
		return nil, fmt.Errorf("read outcomes of redriven letters: %w", s.explain(err))
	}
	return outcomes, nil
}

func (t *tx) redrive(ids []job.ID, by job.By) (moved []job.ID, err error) {
	entry := job.JournalEntry{By: by, Act: job.ActRedrive}
	for _, id := range ids {
		j, err := t.redriveOne(id, by)
		if err != nil {
			return nil, fmt.Errorf("letter %s: %w", id, err)
		}
		if j.ID != (job.ID{}) {
			moved = append(moved, id)
			entered(&entry, j.ID, j.ValueCents, j.Canary)
		}
	}
	if len(moved) == 0 {
		erased, err := one(t, scanBool, q.LetterOfErased, list(ids))
		if err == nil && erased {
			err = job.ErrErased
		}
		return nil, err
	}
	t.wakes = true
	return moved, t.journal(entry)
}

// redriveOne moves the job of a letter; the zero job where there is nothing to move.
func (t *tx) redriveOne(letter job.ID, by job.By) (job.Job, error) {
	ids, err := all(t, scanID, q.DecidableLetter, letter.String())
	if err != nil || len(ids) == 0 {
		return job.Job{}, err
	}
	found, err := all(t, scanJob, q.GetJob, ids[0].String())
	if err != nil || len(found) == 0 || found[0].State != job.Failed {
		return job.Job{}, err
	}
	j := found[0]
	if err := t.must(q.RedriveJob, j.ID.String(), t.now); err != nil {
		return j, err
	}
	if err := t.must(q.RedriveLetters, t.now, letter.String(), actorOf(by), orNull(clean(by.Reason))); err != nil {
		return j, err
	}
	e := eventOf(job.EventJobRedriven, &j, job.Pending)
	e.Actor, e.Cause = by.Actor, by.Reason
	e.Detail = detail(struct {
		Redrives   int    `json:"redrives"`
		FailedWith string `json:"failed_with,omitempty"`
		Signature  string `json:"signature,omitempty"`
		LetterID   job.ID `json:"letter_id"`
	}{j.Redrives + 1, j.Cause, j.Signature, letter})
	if err := t.record(e); err != nil {
		return j, err
	}
	return j, t.hint(hint{j.ID, t.now})
}

// actorOf is who an event or a letter names.
func actorOf(by job.By) string { return cmp.Or(clean(by.Actor), job.ActorSystem) }

// ResolveLetters implements [job.Letters].
func (s *Store) ResolveLetters(ctx context.Context, ids []job.ID, fate job.Fate, by job.By) ([]job.ID, error) {
	if _, _, err := store.Decision(fate, by); err != nil || len(ids) == 0 {
		return nil, err
	}
	var resolved []job.Letter
	err := s.write(ctx, func(t *tx) (err error) {
		resolved, err = t.resolveLetters(ids, fate, by)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resolve %d dead letters: %w", len(ids), err)
	}
	return letterIDs(resolved), nil
}

func (t *tx) resolveLetters(ids []job.ID, fate job.Fate, by job.By) ([]job.Letter, error) {
	event, act, err := store.Decision(fate, by)
	if err != nil {
		return nil, err
	}
	resolved, err := all(t, scanLetter, q.ResolveLetters, t.now, list(ids), string(fate), actorOf(by), orNull(clean(by.Reason)))
	if err != nil {
		return nil, err
	}
	if err := t.recordLetters(event, by, resolved); err != nil || act == "" || len(resolved) == 0 {
		return resolved, err
	}
	entry := job.JournalEntry{By: by, Act: act}
	for i := range resolved {
		entered(&entry, resolved[i].JobID, resolved[i].ValueCents, resolved[i].Canary)
	}
	return resolved, t.journal(entry)
}

func letterIDs(letters []job.Letter) []job.ID {
	ids := make([]job.ID, len(letters))
	for i := range letters {
		ids[i] = letters[i].ID
	}
	return ids
}

// recordLetters adds an event of one type for each letter.
func (t *tx) recordLetters(typ string, by job.By, letters []job.Letter) error {
	events := make([]job.Event, len(letters))
	for i := range letters {
		l := &letters[i]
		e := job.Event{Type: typ, JobID: l.JobID, CustomerID: l.CustomerID, Actor: by.Actor, To: string(l.Fate), Cause: cmp.Or(by.Reason, l.Cause)}
		if isOrder(l.Kind) {
			e.OrderID = l.JobID
		}
		e.Detail = detail(struct {
			LetterID  job.ID    `json:"letter_id"`
			MessageID string    `json:"message_id,omitempty"`
			Signature string    `json:"signature,omitempty"`
			Receives  int       `json:"receives,omitempty"`
			ExpiresAt time.Time `json:"expires_at,omitzero"`
		}{l.ID, l.MessageID, l.Signature, l.Receives, l.ExpiresAt})
		events[i] = e
	}
	return t.record(events...)
}

// entered counts one thing into an entry.
func entered(e *job.JournalEntry, id job.ID, cents int64, canary bool) {
	e.Count++
	if !canary {
		e.ValueCents += cents
	}
	if id != (job.ID{}) && len(e.JobIDs) < job.MostNoticeJobs {
		e.JobIDs = append(e.JobIDs, id)
	}
}

// journal enters an act, unless the system did it.
func (t *tx) journal(e job.JournalEntry) error {
	if actorOf(e.By) == job.ActorSystem {
		return nil
	}
	_, err := t.exec(q.AddJournal, job.NewID().String(), t.now, actorOf(e.By), clean(e.By.Reason), e.Act, e.Count, e.ValueCents,
		list(append([]job.ID{}, e.JobIDs...)), clean(e.Subject))
	return err
}

// Journal implements [job.Journal].
func (s *Store) Journal(ctx context.Context, before job.ID, limit int) ([]job.JournalEntry, error) {
	entries, err := all(s.read(ctx), func(r row) (e job.JournalEntry, err error) {
		var ids json.RawMessage
		err = r.Scan(&e.ID, moment{&e.At}, &e.By.Actor, &e.By.Reason, &e.Act, &e.Count, &e.ValueCents, document{&ids}, &e.Subject)
		if err != nil {
			return e, err
		}
		return e, json.Unmarshal(ids, &e.JobIDs)
	}, q.ListJournal, idOrNull(before), limit)
	if err != nil {
		return nil, fmt.Errorf("list the journal: %w", s.explain(err))
	}
	return entries, nil
}
