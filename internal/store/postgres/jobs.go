package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// jobTargets are where the columns of a job go, in the order in which every
// statement lists them.
func jobTargets(j *job.Job) []any {
	return []any{
		(*nullID)(&j.ID), (*nullText)(&j.Kind), (*nullText)(&j.State), (*nullInt)(&j.Priority), (*nullTime)(&j.DueAt),
		(*nullID)(&j.CustomerID), (*nullText)(&j.Package), (*nullInt)(&j.Quota), (*nullInt)(&j.Shortfall),
		(*nullInt8)(&j.ValueCents), &j.Canary, (*[]byte)(&j.Payload),
		(*nullInt8)(&j.Fence), (*nullInt)(&j.Attempt), (*nullInt)(&j.Failures), (*nullInt)(&j.Crashes),
		(*nullInt)(&j.MaxAttempts), (*nullInt)(&j.CrashBudget), &j.Quarantined, (*nullInt)(&j.Redrives), (*nullID)(&j.WorkerID),
		(*nullTime)(&j.CreatedAt), (*nullTime)(&j.ClaimedAt), (*nullTime)(&j.ProgressAt), (*nullTime)(&j.FinishedAt),
		(*nullText)(&j.Cause), (*nullText)(&j.Class), (*nullText)(&j.Signature), (*nullText)(&j.IdempotencyKey),
	}
}

func scanJob(row pgx.CollectableRow) (j job.Job, err error) {
	err = row.Scan(jobTargets(&j)...)
	return j, err
}

// Job returns the row of one job.
func (s *Store) Job(ctx context.Context, id job.ID) (job.Job, error) {
	return one(ctx, s, "read job "+id.String(), "GetJob", scanJob, dbID(id))
}

// Limits of a list, see job.Filter.
const (
	defaultListed = 50
	mostListed    = 1000
)

// Jobs lists jobs, newest first.
func (s *Store) Jobs(ctx context.Context, f job.Filter) ([]job.Job, error) {
	if f.State != "" && !f.State.Valid() {
		return nil, fmt.Errorf("list jobs: %w", &job.InvalidError{Field: "state", Reason: fmt.Sprintf("%q is none of %v", f.State, job.States)})
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultListed
	}
	return all(ctx, s, "list jobs", "ListJobs", scanJob, dbText(string(f.State)), dbText(plain(f.Kind)), dbID(f.Customer),
		f.Canaries, dbID(f.Before), min(limit, mostListed))
}

// Line lists due jobs in the order in which claims come to them.
func (s *Store) Line(ctx context.Context, kinds []string, limit int) ([]job.Place, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("list jobs in line: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	return all(ctx, s, "list jobs in line", "Line", func(row pgx.CollectableRow) (p job.Place, err error) {
		err = row.Scan((*nullID)(&p.ID), (*nullInt)(&p.Priority), (*nullTime)(&p.DueAt))
		return p, err
	}, append([]string{}, kinds...), limit)
}

// OrdersOf tells how a customer's orders stand.
func (s *Store) OrdersOf(ctx context.Context, customer job.ID) (job.Orders, error) {
	return one(ctx, s, "read the orders of customer "+customer.String(), "OrdersOf", func(row pgx.CollectableRow) (o job.Orders, err error) {
		counts := make([]int, 5)
		err = row.Scan(append(jobTargets(&o.Current), &counts[0], &counts[1], &counts[2], &counts[3], &counts[4])...)
		o.Counts = map[job.State]int{
			job.Pending: counts[0], job.InProgress: counts[1], job.Completed: counts[2], job.Failed: counts[3], job.Cancelled: counts[4],
		}
		return o, err
	}, dbID(customer))
}

// Events lists events of any job.
func (s *Store) Events(ctx context.Context, f job.EventFilter) ([]job.Event, error) {
	if f.Limit <= 0 {
		return nil, fmt.Errorf("list events: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	return all(ctx, s, "list events", "ListEvents", scanEvent, f.From, [16]byte(f.After), dbID(f.Customer), f.Limit)
}

// Counts counts jobs by state, canaries excluded.
func (s *Store) Counts(ctx context.Context) (map[job.State]int64, error) {
	type count struct {
		state job.State
		n     int64
	}
	got, err := all(ctx, s, "count jobs", "CountJobs", func(row pgx.CollectableRow) (c count, err error) {
		err = row.Scan((*nullText)(&c.state), &c.n)
		return c, err
	})
	if err != nil {
		return nil, err
	}
	counts := make(map[job.State]int64, len(job.States))
	for _, state := range job.States {
		counts[state] = 0
	}
	for _, c := range got {
		counts[c.state] = c.n
	}
	return counts, nil
}

// History tells the job's story.
func (s *Store) History(ctx context.Context, id job.ID) ([]job.Event, error) {
	// The events are read after the row: what happens in between is in them, so no
	// transition that the row shows is ever missing.
	j, err := s.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	events, err := all(ctx, s, "read history of job "+id.String(), "JobEvents", scanEvent, dbID(id))
	if err != nil {
		return nil, err
	}
	return store.Story(j, events), nil
}

func scanEvent(row pgx.CollectableRow) (e job.Event, err error) {
	err = row.Scan((*nullID)(&e.ID), (*nullTime)(&e.At), &e.Type, &e.V, (*nullID)(&e.JobID), (*nullID)(&e.OrderID),
		(*nullID)(&e.CustomerID), (*nullText)(&e.Directory), (*nullID)(&e.WorkerID), (*nullInt8)(&e.Fence), &e.Actor,
		(*nullText)(&e.From), (*nullText)(&e.To), (*nullText)(&e.Cause), (*[]byte)(&e.Detail))
	return e, err
}

// Cancel ends a pending or running job.
func (s *Store) Cancel(ctx context.Context, id job.ID, by job.By) error {
	return s.act(ctx, "cancel job "+id.String(), "CancelJob", id, dbID(id), actor(by), dbText(plain(by.Reason)))
}

// Hasten ends the wait of a pending job.
func (s *Store) Hasten(ctx context.Context, id job.ID, by job.By) error {
	err := s.act(ctx, "hasten job "+id.String(), "HastenJob", id, dbID(id), actor(by), dbText(plain(by.Reason)), s.config.Hints)
	if err == nil {
		s.bell.ring()
	}
	return err
}

// act runs a statement that changes one job; when it changed none, the job's state
// has no such arrow, or there is no such job.
func (s *Store) act(ctx context.Context, what, statement string, id job.ID, args ...any) error {
	n, err := changed(ctx, s, what, statement, args...)
	if err != nil || n > 0 {
		return err
	}
	j, err := s.Job(ctx, id)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: it is %s: %w", what, j.State, job.ErrState)
}

// actor is who an event names.
func actor(by job.By) string {
	if by.Actor == "" {
		return job.ActorSystem
	}
	return plain(by.Actor)
}

// Pause stops claims of a scope.
func (s *Store) Pause(ctx context.Context, scope job.Scope, by job.By) error {
	if err := scope.Validate(); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	_, err := s.scoped(ctx, "pause", "PauseScope", scope, by)
	return err
}

// Resume ends a pause.
func (s *Store) Resume(ctx context.Context, scope job.Scope, by job.By) error {
	if err := scope.Validate(); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	n, err := s.scoped(ctx, "resume", "ResumeScope", scope, by)
	if err == nil && n == 0 {
		return fmt.Errorf("resume %s: it is not paused: %w", scope.Key(), job.ErrNotFound)
	}
	if err == nil {
		s.bell.ring()
	}
	return err
}

// scoped runs a statement on a scope and counts the events it wrote.
func (s *Store) scoped(ctx context.Context, verb, statement string, scope job.Scope, by job.By) (int64, error) {
	return changed(ctx, s, verb+" "+scope.Key(), statement, plain(scope.Key()), actor(by), plain(by.Reason), dbID(scope.Customer))
}

// Pauses lists what is paused, longest first.
func (s *Store) Pauses(ctx context.Context) ([]job.Pause, error) {
	return all(ctx, s, "list pauses", "ListPauses", func(row pgx.CollectableRow) (p job.Pause, err error) {
		var key string
		if err = row.Scan(&key, (*nullTime)(&p.At), &p.By.Actor, &p.By.Reason); err != nil {
			return p, err
		}
		p.Scope, err = scopeOf(key)
		return p, err
	})
}

// scopeOf reads what Scope.Key wrote.
func scopeOf(key string) (job.Scope, error) {
	kind, rest, _ := strings.Cut(key, ":")
	switch kind {
	case "all":
		return job.Scope{All: true}, nil
	case "kind":
		return job.Scope{Kind: rest}, nil
	default:
		id, err := uuid.Parse(rest)
		return job.Scope{Customer: id}, err
	}
}
