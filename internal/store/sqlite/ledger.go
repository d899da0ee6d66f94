package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/google/uuid"
)

// EnsureCustomer implements [submit.Ledger].
func (s *Store) EnsureCustomer(ctx context.Context, c submit.Customer) (uuid.UUID, error) {
	if err := c.Check(); err != nil {
		known, unknown := s.CustomerByEmail(ctx, c.Email)
		if errors.Is(unknown, job.ErrNotFound) {
			return uuid.Nil, fmt.Errorf("ensure customer: %w", err)
		}
		return known.ID, unknown
	}
	email := strings.ToLower(strings.TrimSpace(clean(c.Email)))
	var id uuid.UUID
	err := s.write(ctx, func(t *tx) (err error) {
		_, err = t.exec(q.EnsureCustomer, job.NewID().String(), email, clean(c.Name), c.Canary, t.now)
		if err != nil {
			return err
		}
		id, err = one(t, scanID, q.CustomerByEmail, email)
		return err
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("ensure customer: %w", err)
	}
	return id, nil
}

// Plan implements [submit.Ledger].
func (s *Store) Plan(ctx context.Context, l job.Lease, p directory.Plan) (subs []directory.Submission, err error) {
	err = s.end(ctx, "plan", l, func(t *tx, j job.Job) (err error) {
		subs, err = t.plan(&j, p)
		return err
	})
	return subs, err
}

func (t *tx) plan(j *job.Job, p directory.Plan) ([]directory.Submission, error) {
	before, err := t.submissionsOf(j.ID)
	if err != nil || len(before) > 0 || j.Shortfall > 0 {
		return before, err
	}
	rows := make([][]any, len(p.Choices))
	for i, c := range p.Choices {
		rows[i] = planned(j, c, p.Identity, t.now)
	}
	if err := t.insert(q.PlanSubmissions, rows); err != nil {
		return nil, planFault(err)
	}
	if err := t.must(q.RecordPlan, j.ID.String(), j.Fence, p.Shortfall, t.now); err != nil {
		return nil, err
	}
	if p.Shortfall > 0 {
		e := byOwner(eventOf(job.EventShortfall, j, j.State))
		e.From, e.To, e.Cause = "", "", "the catalog has too few directories"
		e.Detail = detail(map[string]int{"quota": j.Quota, "shortfall": p.Shortfall})
		if err := t.record(e); err != nil {
			return nil, err
		}
	}
	return t.submissionsOf(j.ID)
}

// planned is a row of PlanSubmissions.
func planned(j *job.Job, c directory.Choice, identity string, now int64) []any {
	return []any{
		job.NewID().String(), j.ID.String(), j.CustomerID.String(), c.Directory, c.Rank, identity, j.Canary, now, now,
	}
}

func planFault(err error) error {
	if isDouble(err) {
		return &job.InvalidError{Field: "directory", Reason: "the order has this directory already"}
	}
	return err
}

func (t *tx) submissionsOf(order uuid.UUID) ([]directory.Submission, error) {
	return all(t, scanSubmission, q.ListSubmissions, order.String())
}

// Submissions implements [submit.Ledger].
func (s *Store) Submissions(ctx context.Context, order uuid.UUID) ([]directory.Submission, error) {
	subs, err := all(s.read(ctx), scanSubmission, q.ListSubmissions, order.String())
	if err != nil {
		return nil, fmt.Errorf("list submissions of order %s: %w", order, s.explain(err))
	}
	return subs, nil
}

// CountSubmissions implements [submit.Ledger].
func (s *Store) CountSubmissions(ctx context.Context, order uuid.UUID) ([]directory.Count, error) {
	counts, err := all(s.read(ctx), func(r row) (c directory.Count, err error) {
		err = r.Scan(&c.State, &c.Replaced, &c.N)
		return c, err
	}, q.CountSubmissions, order.String())
	if err != nil {
		return nil, fmt.Errorf("count submissions of order %s: %w", order, s.explain(err))
	}
	return counts, nil
}

// CountDone implements [submit.Ledger].
func (s *Store) CountDone(ctx context.Context, orders ...uuid.UUID) (map[uuid.UUID]int, error) {
	done := map[uuid.UUID]int{}
	if len(orders) == 0 {
		return done, nil
	}
	_, err := all(s.read(ctx), func(r row) (struct{}, error) {
		var id uuid.UUID
		var n int
		err := r.Scan(&id, &n)
		done[id] = n
		return struct{}{}, err
	}, q.CountDone, list(orders))
	if err != nil {
		return nil, fmt.Errorf("count what is done of %d orders: %w", len(orders), s.explain(err))
	}
	return done, nil
}

// HeldDirectories implements [submit.Ledger].
func (s *Store) HeldDirectories(ctx context.Context, identity string) ([]string, error) {
	secret, err := s.Secret(ctx, store.ErasureSecret)
	if err != nil {
		return nil, fmt.Errorf("list held directories: %w", err)
	}
	slugs, err := all(s.read(ctx), scanText, q.HeldDirectories, identity, store.ErasedIdentity(secret, identity))
	if err != nil {
		return nil, fmt.Errorf("list directories that have the business: %w", s.explain(err))
	}
	return slugs, nil
}

// Intend implements [submit.Ledger]. It also answers directory.ErrNoTime when the
// owner's lease is over: no effect may begin any more.
func (s *Store) Intend(ctx context.Context, l job.Lease, id uuid.UUID, budget time.Duration) (sub directory.Submission, err error) {
	err = s.end(ctx, "intend submission of", l, func(t *tx, j job.Job) (err error) {
		sub, err = t.intend(&j, id, budget)
		return err
	})
	return sub, err
}

func (t *tx) intend(j *job.Job, id uuid.UUID, budget time.Duration) (directory.Submission, error) {
	none := directory.Submission{}
	before, err := t.submissionOf(j, id)
	if err != nil {
		return none, err
	}
	if before.State != directory.Planned {
		return none, wrongSubmissionState(&before, directory.Submitting)
	}
	deadline, err := t.effectDeadline(j.WorkerID, budget)
	if err != nil {
		return none, err
	}
	sub, err := one(t, scanSubmission, q.IntendSubmission, id.String(), j.Fence, t.now, deadline)
	if isDouble(err) {
		return none, directory.ErrTaken
	}
	if err != nil {
		return none, err
	}
	e := t.submissionEvent(job.EventSubmissionIntent, j, &before, sub.State)
	e.Detail = detail(map[string]any{"submission_id": sub.ID, "try": sub.Tries, "effect_deadline": sub.EffectDeadline})
	return sub, t.record(e)
}

// effectDeadline is now plus budget, never past the lease of the worker: after it
// somebody else may act.
func (t *tx) effectDeadline(worker job.ID, budget time.Duration) (int64, error) {
	w, err := one(t, scanWorker, q.GetWorker, worker.String())
	if errors.Is(err, job.ErrNotFound) || (err == nil && !w.RetiredAt.IsZero()) {
		return 0, fmt.Errorf("%w: its worker is retired", directory.ErrNoTime)
	}
	if err != nil {
		return 0, err
	}
	deadline := min(t.now+budget.Microseconds(), w.LeaseUntil.UnixMicro())
	if deadline <= t.now {
		return 0, directory.ErrNoTime
	}
	return deadline, nil
}

// submissionOf reads a submission of the order that j is.
func (t *tx) submissionOf(j *job.Job, id uuid.UUID) (directory.Submission, error) {
	sub, err := one(t, scanSubmission, q.GetSubmission, id.String())
	if err == nil && sub.OrderID != j.ID {
		err = job.ErrNotFound
	}
	if err != nil {
		return directory.Submission{}, fmt.Errorf("submission %s: %w", id, err)
	}
	return sub, nil
}

func wrongSubmissionState(s *directory.Submission, to directory.SubmissionState) error {
	return fmt.Errorf("%w: the submission to %s is %s and cannot become %s now", job.ErrState, s.Directory, s.State, to)
}

func (t *tx) submissionEvent(typ string, j *job.Job, s *directory.Submission, to directory.SubmissionState) job.Event {
	return byOwner(job.Event{
		Type: typ, JobID: j.ID, OrderID: s.OrderID, CustomerID: s.CustomerID, Directory: s.Directory,
		WorkerID: j.WorkerID, Fence: j.Fence, From: string(s.State), To: string(to),
	})
}

// Settle implements [submit.Ledger].
func (s *Store) Settle(ctx context.Context, l job.Lease, id uuid.UUID, o directory.Outcome) error {
	if err := checkOutcome(o); err != nil {
		return fmt.Errorf("settle submission %s: %w", id, err)
	}
	o.Class, o.Reason = clean(o.Class), clean(o.Reason)
	return s.end(ctx, "settle submission of", l, func(t *tx, j job.Job) error { return t.settleSubmission(&j, id, o) })
}

// checkOutcome reports an outcome that lacks what its state needs.
func checkOutcome(o directory.Outcome) error {
	ends := o.State == directory.FailedState || o.State == directory.Skipped
	proven := o.State == directory.Submitted || o.State == directory.Live
	switch {
	case !o.State.Valid():
		return &job.InvalidError{Field: "state", Reason: fmt.Sprintf("unknown state %q", o.State)}
	case proven && o.Evidence == nil:
		return &job.InvalidError{Field: "evidence", Reason: "success means evidence"}
	case (o.State == directory.NeedsAction) != (o.Need != ""):
		return &job.InvalidError{Field: "need", Reason: "names the action exactly when the state is needs_action"}
	case o.Replacement != nil && !ends:
		return &job.InvalidError{Field: "replacement", Reason: "takes the place only of what failed or was skipped"}
	case o.Replacement != nil && (o.Replacement.Directory == "" || o.Replacement.Rank <= 0):
		return &job.InvalidError{Field: "replacement", Reason: "names a directory and a rank from 1"}
	}
	return nil
}

func (t *tx) settleSubmission(j *job.Job, id uuid.UUID, o directory.Outcome) error {
	before, err := t.submissionOf(j, id)
	if err != nil {
		return err
	}
	if !t.settles(j, &before, o.State) {
		return wrongSubmissionState(&before, o.State)
	}
	var due any
	if o.State == directory.Planned {
		due = t.now + max(o.Delay, 0).Microseconds()
	}
	err = t.must(q.SettleSubmission, id.String(), string(before.State), before.Fence, string(o.State), orNull(o.Class), orNull(o.Reason),
		orNull(o.Need), evidenceOrNull(o.Evidence), orNull(clean(o.ListingURL)), due, o.Replacement != nil, t.now)
	if isDouble(err) {
		return directory.ErrTaken
	}
	if err != nil {
		return err
	}
	if o.Replacement != nil {
		if err := t.insert(q.PlanSubmissions, [][]any{planned(j, *o.Replacement, before.Identity, t.now)}); err != nil {
			return planFault(err)
		}
	}
	if before.State == directory.Planned && (o.State == directory.Planned || o.State == directory.FailedState) {
		before.Tries++ // as the statement did
	}
	return t.tellOutcome(j, &before, o)
}

// settles reports whether the claim j may lead the submission to a state. While an
// effect of an earlier claim may still happen, nobody else decides about it.
func (t *tx) settles(j *job.Job, s *directory.Submission, to directory.SubmissionState) bool {
	arrow := slices.Contains(directory.SubmissionArrows[s.State], to)
	switch s.State {
	case directory.Planned:
		return to == directory.Planned || (arrow && to != directory.Submitting)
	case directory.Submitting:
		return arrow && (s.Fence == j.Fence || s.EffectDeadline.UnixMicro() < t.now)
	}
	return false
}

// tellOutcome records an outcome, which is progress of the job.
func (t *tx) tellOutcome(j *job.Job, before *directory.Submission, o directory.Outcome) error {
	typ := job.EventSubmissionOutcome
	if o.State == directory.Uncertain {
		typ = job.EventSubmissionUncertain
	}
	e := t.submissionEvent(typ, j, before, o.State)
	e.Cause = o.Reason
	d := map[string]any{"submission_id": before.ID, "try": before.Tries}
	for key, value := range map[string]string{"class": o.Class, "need": o.Need, "listing_url": clean(o.ListingURL)} {
		if value != "" {
			d[key] = value
		}
	}
	if o.Replacement != nil {
		d["replaced_by"] = o.Replacement.Directory
	}
	e.Detail = detail(d)
	if err := t.record(e); err != nil {
		return err
	}
	return t.must(q.ProgressJob, j.ID.String(), j.Fence, t.now, j.WorkerID.String())
}

// Observe implements [submit.Ledger].
func (s *Store) Observe(ctx context.Context, l job.Lease, id uuid.UUID, o directory.Outcome) error {
	if err := checkOutcome(o); err != nil {
		return fmt.Errorf("observe submission %s: %w", id, err)
	}
	o.Class, o.Reason = clean(o.Class), clean(o.Reason)
	return s.end(ctx, "observe a submission by", l, func(t *tx, j job.Job) error { return t.observe(&j, id, o) })
}

func (t *tx) observe(j *job.Job, id uuid.UUID, o directory.Outcome) error {
	before, err := one(t, scanSubmission, q.GetSubmission, id.String())
	if err != nil {
		return fmt.Errorf("submission %s: %w", id, err)
	}
	later := before.State == directory.Submitted || before.State == directory.Uncertain
	if !later || !slices.Contains(directory.SubmissionArrows[before.State], o.State) {
		return wrongSubmissionState(&before, o.State)
	}
	err = t.must(q.ObserveSubmission, id.String(), string(before.State), string(o.State), orNull(o.Class), orNull(o.Reason),
		evidenceOrNull(o.Evidence), orNull(clean(o.ListingURL)), t.now)
	if err != nil {
		return err
	}
	return t.tellOutcome(j, &before, o)
}

func evidenceOrNull(e *directory.Evidence) any {
	if e == nil {
		return nil
	}
	kept := *e
	kept.Rule, kept.URL, kept.Excerpt, kept.MediaType = clean(e.Rule), clean(e.URL), clean(e.Excerpt), clean(e.MediaType)
	return list(kept)
}

func scanSubmission(r row) (s directory.Submission, err error) {
	evidence := json.RawMessage(nil)
	err = r.Scan(&s.ID, &s.OrderID, &s.CustomerID, &s.Directory, &s.Rank, &s.Identity, &s.State, &s.Fence, &s.Tries,
		moment{&s.DueAt}, moment{&s.IntentAt}, moment{&s.EffectDeadline}, maybe[string]{&s.Class}, maybe[string]{&s.Reason},
		maybe[string]{&s.Need}, document{&evidence}, maybe[string]{&s.ListingURL}, &s.Replaced, &s.Canary,
		moment{&s.CreatedAt}, moment{&s.UpdatedAt}, moment{&s.LiveAt})
	if err == nil && evidence != nil {
		err = json.Unmarshal(evidence, &s.Evidence)
	}
	return s, err
}
