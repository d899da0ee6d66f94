package postgres

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
	"github.com/jackc/pgx/v5"
)

// EnsureCustomer returns the customer with this e-mail.
func (s *Store) EnsureCustomer(ctx context.Context, c submit.Customer) (uuid.UUID, error) {
	if err := c.Check(); err != nil {
		known, unknown := s.CustomerByEmail(ctx, c.Email)
		if errors.Is(unknown, job.ErrNotFound) {
			return uuid.Nil, fmt.Errorf("ensure customer: %w", err)
		}
		return known.ID, unknown
	}
	email := plain(strings.TrimSpace(c.Email))
	var err error
	for range tries { // a customer that is erased between the two statements is made anew
		var made []uuid.UUID
		made, err = all(ctx, s, "ensure customer", "EnsureCustomer", scanID, dbID(job.NewID()), email, plain(c.Name), c.Canary)
		if err != nil || len(made) > 0 {
			return first(made), err
		}
		var id uuid.UUID
		id, err = one(ctx, s, "ensure customer", "CustomerByEmail", scanID, email)
		if !errors.Is(err, job.ErrNotFound) {
			return id, err
		}
	}
	return uuid.Nil, err
}

func first(ids []uuid.UUID) uuid.UUID {
	if len(ids) == 0 {
		return uuid.Nil
	}
	return ids[0]
}

// Plan writes the order's submissions and its shortfall, once.
func (s *Store) Plan(ctx context.Context, l job.Lease, p directory.Plan) ([]directory.Submission, error) {
	what := "plan order " + l.JobID.String()
	if err := checkPlan(p); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	ids, slugs, ranks := make([][16]byte, len(p.Choices)), make([]string, len(p.Choices)), make([]int32, len(p.Choices))
	for i, c := range p.Choices {
		ids[i], slugs[i], ranks[i] = job.NewID(), c.Directory, int32(c.Rank)
	}
	planned, err := all(ctx, s, what, "PlanSubmissions", scanID, dbID(l.JobID), l.Fence, p.Shortfall, plain(p.Identity), ids, slugs, ranks)
	if violates(err, "submissions_of_order") {
		return nil, fmt.Errorf("%s: %w", what, &job.InvalidError{Field: "choices", Reason: "names a directory twice"})
	}
	if err != nil {
		return nil, err
	}
	if len(planned) == 0 {
		// Planned before, or not ours to plan.
		if _, err := s.leased(ctx, "plan", l); err != nil {
			return nil, err
		}
	}
	return s.Submissions(ctx, l.JobID)
}

func checkPlan(p directory.Plan) error {
	switch {
	case p.Shortfall < 0:
		return &job.InvalidError{Field: "shortfall", Reason: "must not be negative"}
	case len(p.Choices) > 0 && p.Identity == "":
		return &job.InvalidError{Field: "identity", Reason: "is required"}
	case slices.ContainsFunc(p.Choices, func(c directory.Choice) bool { return c.Directory == "" || c.Rank <= 0 }):
		return &job.InvalidError{Field: "choices", Reason: "each needs a directory and a rank from 1"}
	}
	return nil
}

// leased reports whether the lease's owner is live, or that the lease is lost.
func (s *Store) leased(ctx context.Context, verb string, l job.Lease) (live bool, err error) {
	lives, err := all(ctx, s, verb+" under a lease", "LeasedJob", func(row pgx.CollectableRow) (live bool, err error) {
		err = row.Scan(&live)
		return live, err
	}, dbID(l.JobID), l.Fence)
	if err != nil {
		return false, err
	}
	if len(lives) == 0 {
		return false, s.leaseLost(ctx, verb, l)
	}
	return lives[0], nil
}

// Submissions lists an order's submissions by rank.
func (s *Store) Submissions(ctx context.Context, order uuid.UUID) ([]directory.Submission, error) {
	return all(ctx, s, "list submissions of order "+order.String(), "ListSubmissions", scanSubmission, dbID(order))
}

// CountSubmissions counts an order's submissions by state.
func (s *Store) CountSubmissions(ctx context.Context, order uuid.UUID) ([]directory.Count, error) {
	return all(ctx, s, "count submissions of order "+order.String(), "CountSubmissions", func(row pgx.CollectableRow) (c directory.Count, err error) {
		err = row.Scan((*nullText)(&c.State), &c.Replaced, &c.N)
		return c, err
	}, dbID(order))
}

// CountDone counts, for each order, the submissions that need no more work of it.
func (s *Store) CountDone(ctx context.Context, orders ...uuid.UUID) (map[uuid.UUID]int, error) {
	done := map[uuid.UUID]int{}
	_, err := all(ctx, s, fmt.Sprintf("count what is done of %d orders", len(orders)), "CountDone", func(row pgx.CollectableRow) (struct{}, error) {
		var id uuid.UUID
		var n int
		err := row.Scan((*nullID)(&id), &n)
		done[id] = n
		return struct{}{}, err
	}, dbIDs(orders))
	return done, err
}

// HeldDirectories lists the directories that the business may stand in.
func (s *Store) HeldDirectories(ctx context.Context, identity string) ([]string, error) {
	const what = "list held directories"
	secret, err := s.Secret(ctx, store.ErasureSecret)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return all(ctx, s, what, "HeldDirectories", scanText, plain(identity), store.ErasedIdentity(secret, plain(identity)))
}

// Intend commits that the submission is about to be sent.
func (s *Store) Intend(ctx context.Context, l job.Lease, id uuid.UUID, budget time.Duration) (directory.Submission, error) {
	what := "intend submission " + id.String()
	got, err := all(ctx, s, what, "IntendSubmission", scanSubmission, dbID(l.JobID), l.Fence, dbID(id), delay(budget))
	switch {
	case violates(err, "submissions_once"):
		return directory.Submission{}, fmt.Errorf("%s: %w", what, directory.ErrTaken)
	case err != nil:
		return directory.Submission{}, err
	case len(got) > 0:
		return got[0], nil
	}
	live, err := s.leased(ctx, "intend", l)
	if err != nil {
		return directory.Submission{}, err
	}
	sub, err := s.submission(ctx, what, id)
	if err != nil {
		return directory.Submission{}, err
	}
	switch {
	case sub.OrderID != l.JobID:
		err = fmt.Errorf("%s: it belongs to another order: %w", what, job.ErrNotFound)
	case sub.State == directory.Planned && !live:
		err = fmt.Errorf("%s: %w", what, directory.ErrNoTime)
	default:
		err = fmt.Errorf("%s: it is %s: %w", what, sub.State, job.ErrState)
	}
	return directory.Submission{}, err
}

func (s *Store) submission(ctx context.Context, what string, id uuid.UUID) (directory.Submission, error) {
	return one(ctx, s, what, "GetSubmission", scanSubmission, dbID(id))
}

// Settle records an outcome.
func (s *Store) Settle(ctx context.Context, l job.Lease, id uuid.UUID, o directory.Outcome) error {
	what := "settle submission " + id.String()
	if err := checkOutcome(o); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	need, evidence, err := columnsOf(o)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	replacement := directory.Choice{}
	if o.Replacement != nil {
		replacement = *o.Replacement
	}
	n, err := changed(ctx, s, what, "SettleSubmission", dbID(l.JobID), l.Fence, dbID(id), settledFrom(o.State), string(o.State),
		dbText(plain(o.Class)), dbText(plain(o.Reason)), dbText(need), evidence, dbText(plain(o.ListingURL)), delay(o.Delay),
		dbID(job.NewID()), dbText(replacement.Directory), dbInt(replacement.Rank))
	return s.settled(ctx, "settle", what, l, id, n, err, func(sub directory.Submission) bool { return sub.OrderID == l.JobID })
}

// Observe records what a recheck found.
func (s *Store) Observe(ctx context.Context, l job.Lease, id uuid.UUID, o directory.Outcome) error {
	what := "observe submission " + id.String()
	if err := checkOutcome(o); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, evidence, err := columnsOf(o)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	n, err := changed(ctx, s, what, "ObserveSubmission", dbID(l.JobID), l.Fence, dbID(id), observedFrom(o.State), string(o.State),
		dbText(plain(o.Class)), dbText(plain(o.Reason)), evidence, dbText(plain(o.ListingURL)))
	return s.settled(ctx, "observe", what, l, id, n, err, func(directory.Submission) bool { return true })
}

// settled tells why an outcome was not recorded, if it was not.
func (s *Store) settled(ctx context.Context, verb, what string, l job.Lease, id uuid.UUID, n int64, err error, ours func(directory.Submission) bool) error {
	switch {
	case violates(err, "submissions_once"):
		return fmt.Errorf("%s: %w", what, directory.ErrTaken)
	case violates(err, "submissions_of_order"):
		return fmt.Errorf("%s: %w", what, &job.InvalidError{Field: "replacement", Reason: "is a directory of this order already"})
	case hasCode(err, codeCheckViolation):
		return fmt.Errorf("%s: %w: %w", what, &job.InvalidError{Field: "outcome", Reason: "lacks what its state needs"}, err)
	case err != nil || n > 0:
		return err
	}
	if _, err := s.leased(ctx, verb, l); err != nil {
		return err
	}
	sub, err := s.submission(ctx, what, id)
	if err != nil {
		return err
	}
	if !ours(sub) {
		return fmt.Errorf("%s: it belongs to another order: %w", what, job.ErrNotFound)
	}
	return fmt.Errorf("%s: it is %s: %w", what, sub.State, job.ErrState)
}

// settledFrom lists the states from which a settlement leads to the outcome.
func settledFrom(to directory.SubmissionState) []string {
	from := []string{}
	if to == directory.Planned || to != directory.Submitting && slices.Contains(directory.SubmissionArrows[directory.Planned], to) {
		from = append(from, string(directory.Planned))
	}
	if slices.Contains(directory.SubmissionArrows[directory.Submitting], to) {
		from = append(from, string(directory.Submitting))
	}
	return from
}

// observedFrom lists the states from which a recheck's finding leads to the outcome.
func observedFrom(to directory.SubmissionState) []string {
	from := []string{}
	for _, state := range []directory.SubmissionState{directory.Submitted, directory.Uncertain} {
		if slices.Contains(directory.SubmissionArrows[state], to) {
			from = append(from, string(state))
		}
	}
	return from
}

func checkOutcome(o directory.Outcome) error {
	proven := o.State == directory.Submitted || o.State == directory.Live
	replaceable := o.State == directory.FailedState || o.State == directory.Skipped
	switch {
	case !o.State.Valid():
		return &job.InvalidError{Field: "state", Reason: fmt.Sprintf("%q is none of %v", o.State, directory.SubmissionStates)}
	case proven && o.Evidence == nil:
		return &job.InvalidError{Field: "evidence", Reason: "is required with " + string(o.State)}
	case o.State == directory.NeedsAction && o.Need == "":
		return &job.InvalidError{Field: "need", Reason: "is required with needs_action"}
	case o.Replacement != nil && !replaceable:
		return &job.InvalidError{Field: "replacement", Reason: "only a failed or skipped submission is replaced"}
	case o.Replacement != nil && (o.Replacement.Directory == "" || o.Replacement.Rank <= 0):
		return &job.InvalidError{Field: "replacement", Reason: "needs a directory and a rank from 1"}
	}
	return nil
}

// columnsOf makes the columns that depend on the state or need another form.
func columnsOf(o directory.Outcome) (need string, evidence []byte, err error) {
	if o.State == directory.NeedsAction {
		need = plain(o.Need)
	}
	if o.Evidence == nil {
		return need, nil, nil
	}
	e := *o.Evidence // the caller's own stays as it is
	for _, text := range []*string{&e.Rule, &e.URL, &e.Excerpt, &e.SHA256, &e.MediaType} {
		*text = plain(*text)
	}
	evidence, err = json.Marshal(e)
	return need, evidence, err
}

func scanSubmission(row pgx.CollectableRow) (s directory.Submission, err error) {
	var evidence []byte
	err = row.Scan((*nullID)(&s.ID), (*nullID)(&s.OrderID), (*nullID)(&s.CustomerID), &s.Directory, &s.Rank, &s.Identity,
		(*nullText)(&s.State), &s.Fence, &s.Tries, (*nullTime)(&s.DueAt), (*nullTime)(&s.IntentAt), (*nullTime)(&s.EffectDeadline),
		(*nullText)(&s.Class), (*nullText)(&s.Reason), (*nullText)(&s.Need), &evidence, (*nullText)(&s.ListingURL), &s.Replaced,
		&s.Canary, (*nullTime)(&s.CreatedAt), (*nullTime)(&s.UpdatedAt), (*nullTime)(&s.LiveAt))
	if err == nil && evidence != nil {
		err = json.Unmarshal(evidence, &s.Evidence)
	}
	return s, err
}
