package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// finders are the statements that look for orphans, by kind; the books have more than one.
var finders = map[string]string{
	job.OrphanOwner:     q.FindUnknownOwners,
	job.OrphanUnclaimed: q.FindUnclaimed,
	job.OrphanUnsent:    q.FindUnsent,
	job.OrphanHint:      q.FindHintsWithoutJob,
	job.OrphanUnhinted:  q.FindJobsWithoutHint,
	job.OrphanUndecided: q.FindUndecided,
}

// FindOrphans implements [job.Orphans].
func (s *Store) FindOrphans(ctx context.Context, kind string, after time.Duration, limit int) ([]job.Finding, error) {
	if err := store.CheckLook(kind, after, limit); err != nil {
		return nil, fmt.Errorf("find orphans of kind %s: %w", kind, err)
	}
	if kind == job.OrphanUnhinted && !s.hints {
		return nil, nil
	}
	now := s.clock().UnixMicro()
	if kind == job.OrphanUnbalanced {
		return s.findUnbalanced(ctx, after, limit)
	}
	found, err := all(s.read(ctx), scanOrphan(kind), finders[kind], now, now-after.Microseconds(), limit)
	if err != nil {
		return nil, fmt.Errorf("find orphans of kind %s: %w", kind, s.explain(err))
	}
	return found, nil
}

// scanOrphan reads what finders answer.
func scanOrphan(kind string) func(row) (job.Finding, error) {
	return func(r row) (job.Finding, error) {
		f := job.Finding{Kind: kind}
		err := r.Scan(&f.Subject, &f.Cause, &f.Mark, moment{&f.Since}, &f.Count, &f.ValueCents, &f.JobID, &f.OrderID, &f.CustomerID,
			maybe[string]{&f.Directory}, &f.WorkerID)
		return f, err
	}
}

// MendOrphans implements [job.Orphans].
func (s *Store) MendOrphans(ctx context.Context, kind string, after time.Duration, found []job.Finding) (mended int, err error) {
	if len(found) == 0 {
		return 0, nil
	}
	err = s.write(ctx, func(t *tx) error {
		mended = 0
		if kind == job.OrphanHint {
			mended, err = t.dropHints(found)
			return err
		}
		for i := range found {
			n, err := t.mend(kind, after, &found[i])
			if err != nil {
				return err
			}
			mended += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("mend orphans of kind %s: %w", kind, err)
	}
	return mended, nil
}

func (t *tx) dropHints(found []job.Finding) (int, error) {
	keys := make([]string, len(found))
	for i, f := range found {
		keys[i] = f.Subject
	}
	n, err := t.exec(q.DropHints, list(keys))
	return int(n), err
}

// mend mends one orphan that has a statement of its own.
func (t *tx) mend(kind string, after time.Duration, f *job.Finding) (int, error) {
	switch kind {
	case job.OrphanOwner:
		n, err := t.exec(q.RetireUnknownOwners, f.Subject, t.now)
		if err != nil || n == 0 {
			return 0, err
		}
		return 1, t.record(job.Event{Type: job.EventWorkerRetired, WorkerID: f.WorkerID, Cause: job.NoOwner})
	case job.OrphanUnhinted:
		n, err := t.exec(q.HintAgain, job.NewID().String(), f.Subject, t.now)
		return int(n), err
	case job.OrphanUndecided:
		return t.endUndecided(after, f)
	}
	return 0, nil
}

func (t *tx) endUndecided(after time.Duration, f *job.Finding) (int, error) {
	ended, err := all(t, scanSubmission, q.EndUndecided, f.Subject, t.now-after.Microseconds(), store.NobodyAsks, t.now)
	if err != nil || len(ended) == 0 {
		return 0, err
	}
	sub := ended[0]
	return 1, t.record(job.Event{
		Type: job.EventSubmissionUncertain, JobID: sub.OrderID, OrderID: sub.OrderID, CustomerID: sub.CustomerID,
		Directory: sub.Directory, Fence: sub.Fence, From: string(directory.Submitting), To: string(directory.Uncertain), Cause: sub.Reason,
		Detail: detail(map[string]any{"submission_id": sub.ID, "try": sub.Tries, "class": sub.Class}),
	})
}

// NoteFindings implements [job.Findings].
func (s *Store) NoteFindings(ctx context.Context, l job.Look) (noted job.Noted, err error) {
	l.Found, err = store.CheckNote(l)
	if err == nil {
		err = s.write(ctx, func(t *tx) (err error) {
			noted, err = t.note(l)
			return err
		})
	}
	if err != nil {
		return job.Noted{}, fmt.Errorf("note findings of kind %s: %w", l.Kind, err)
	}
	return noted, nil
}

func (t *tx) note(l job.Look) (noted job.Noted, err error) {
	before, err := t.notedBefore(l.Kind)
	if err != nil {
		return noted, err
	}
	remains := false
	for _, f := range l.Found {
		earlier, seen := before[f.Subject]
		delete(before, f.Subject)
		f.FirstAt, f.ToldAt = earlier.FirstAt, earlier.ToldAt
		if !seen || f.ToldAt.IsZero() && f.Mark != earlier.Mark {
			f.FirstAt, seen = fromMicros(t.now), false
		}
		if f.ToldAt.IsZero() && (l.Confirm <= 0 || seen && t.now-f.FirstAt.UnixMicro() >= l.Confirm.Microseconds()) {
			f.ToldAt = fromMicros(t.now)
			noted.Told = append(noted.Told, f)
		}
		remains = remains || !f.ToldAt.IsZero()
		if err := t.putFinding(f); err != nil {
			return noted, err
		}
	}
	if !l.Partial {
		if noted.Gone, err = t.forget(before); err != nil {
			return noted, err
		}
	}
	return noted, t.tellFindings(l, noted, remains)
}

// notedBefore is what is remembered of a kind, by subject.
func (t *tx) notedBefore(kind string) (map[string]job.Finding, error) {
	known, err := all(t, scanFinding, q.ListFindings)
	before := map[string]job.Finding{}
	for _, f := range known {
		if f.Kind == kind {
			before[f.Subject] = f
		}
	}
	return before, err
}

// forget forgets what is mended and returns what of it was told.
func (t *tx) forget(mended map[string]job.Finding) (gone []job.Finding, err error) {
	for _, f := range mended {
		if _, err := t.exec(q.ForgetFinding, f.Kind, f.Subject); err != nil {
			return nil, err
		}
		if !f.ToldAt.IsZero() {
			gone = append(gone, f)
		}
	}
	return gone, nil
}

func (t *tx) putFinding(f job.Finding) error {
	_, err := t.exec(q.NoteFindings, f.Kind, f.Subject, f.Cause, f.Mark, f.Since.UnixMicro(), f.Count, f.ValueCents, idOrNull(f.JobID),
		idOrNull(f.OrderID), idOrNull(f.CustomerID), orNull(f.Directory), idOrNull(f.WorkerID), f.FirstAt.UnixMicro(), microsOrNull(f.ToldAt))
	return err
}

// tellFindings commits the events and notices of a look. remains says that something
// of the kind that was told of is still there.
func (t *tx) tellFindings(l job.Look, noted job.Noted, remains bool) error {
	for _, f := range noted.Told {
		if err := t.record(findingEvent(l.Event, f)); err != nil {
			return err
		}
	}
	for _, group := range groups(l, noted, remains) {
		n := group.notice(l)
		n.V, n.At = 1, fromMicros(t.now)
		if err := t.send(job.MessageAlert, n.Key, list(n), t.now); err != nil {
			return err
		}
	}
	return nil
}

// findingGroup is what one notice speaks of.
type findingGroup struct {
	name  string
	gone  bool
	found []job.Finding // not empty
}

// groups are the notices that a look leads to: of each group something new, or
// nothing left.
func groups(l job.Look, noted job.Noted, remains bool) (list []findingGroup) {
	if l.Each {
		for _, f := range noted.Told {
			list = append(list, findingGroup{f.Subject, false, []job.Finding{f}})
		}
		for _, f := range noted.Gone {
			list = append(list, findingGroup{f.Subject, true, []job.Finding{f}})
		}
		return list
	}
	if len(noted.Told) > 0 {
		list = append(list, findingGroup{l.Kind, false, noted.Told})
	}
	if len(noted.Gone) > 0 && !remains {
		list = append(list, findingGroup{l.Kind, true, noted.Gone})
	}
	return list
}

func (g findingGroup) notice(l job.Look) job.Notice {
	n := job.Notice{Key: l.Alert + ":" + g.name, Alert: l.Alert, Group: g.name, Severity: l.Severity, Resolved: g.gone}
	if g.gone {
		n.Key += ":resolved"
		n.Count = int64(len(g.found))
		return n
	}
	oldest := slices.SortedStableFunc(slices.Values(g.found), func(a, b job.Finding) int { return a.Since.Compare(b.Since) })
	n.Text = clean(oldest[0].Text())
	for _, f := range oldest {
		n.Count += f.Count
		n.ValueCents += f.ValueCents
		if f.JobID != (job.ID{}) && len(n.JobIDs) < job.MostNoticeJobs && !slices.Contains(n.JobIDs, f.JobID) {
			n.JobIDs = append(n.JobIDs, f.JobID)
		}
	}
	return n
}

func findingEvent(typ string, f job.Finding) job.Event {
	return job.Event{
		Type: typ, JobID: f.JobID, OrderID: f.OrderID, CustomerID: f.CustomerID, Directory: f.Directory, WorkerID: f.WorkerID, Cause: f.Kind,
		Detail: detail(struct {
			Subject    string    `json:"subject"`
			Cause      string    `json:"cause,omitempty"`
			Count      int64     `json:"count"`
			ValueCents int64     `json:"value_cents,omitempty"`
			Text       string    `json:"text"`
			Since      time.Time `json:"since"`
		}{f.Subject, f.Cause, f.Count, f.ValueCents, f.Text(), f.Since}),
	}
}

// Findings implements [job.Findings].
func (s *Store) Findings(ctx context.Context) ([]job.Finding, error) {
	found, err := all(s.read(ctx), scanFinding, q.ListFindings)
	if err != nil {
		return nil, fmt.Errorf("list findings: %w", s.explain(err))
	}
	return found, nil
}

func scanFinding(r row) (f job.Finding, err error) {
	err = r.Scan(&f.Kind, &f.Subject, &f.Cause, &f.Mark, moment{&f.Since}, &f.Count, &f.ValueCents, &f.JobID, &f.OrderID, &f.CustomerID,
		maybe[string]{&f.Directory}, &f.WorkerID, moment{&f.FirstAt}, moment{&f.ToldAt})
	return f, err
}

// TakeTurn implements [job.Findings].
func (s *Store) TakeTurn(ctx context.Context, name string, every time.Duration) (mine bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		n, err := t.exec(q.TakeTurn, clean(name), t.now, every.Microseconds())
		mine = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take turn at %s: %w", name, err)
	}
	return mine, nil
}
