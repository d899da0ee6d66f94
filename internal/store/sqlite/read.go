package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/uuid"
)

// Job implements [job.Reader].
func (s *Store) Job(ctx context.Context, id job.ID) (job.Job, error) {
	j, err := one(s.read(ctx), scanJob, q.GetJob, id.String())
	if err != nil {
		return job.Job{}, fmt.Errorf("get job %s: %w", id, s.explain(err))
	}
	return j, nil
}

// Jobs implements [job.Reader].
func (s *Store) Jobs(ctx context.Context, f job.Filter) ([]job.Job, error) {
	if f.State != "" && !f.State.Valid() {
		return nil, fmt.Errorf("list jobs: %w", &job.InvalidError{Field: "state", Reason: fmt.Sprintf("unknown state %q", f.State)})
	}
	if f.Limit < 0 {
		return nil, fmt.Errorf("list jobs: %w", &job.InvalidError{Field: "limit", Reason: "must not be negative"})
	}
	if f.Before == uuid.Nil {
		f.Before = uuid.Max
	}
	limit := min(cmp.Or(f.Limit, 50), 1000)
	text, args := q.ListJobs, []any{string(f.State), f.Kind, f.Canaries, f.Before.String(), limit}
	if f.Customer != uuid.Nil {
		text, args = q.ListJobsOfCustomer, append(args, f.Customer.String())
	}
	jobs, err := all(s.read(ctx), scanJob, text, args...)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", s.explain(err))
	}
	return jobs, nil
}

// Counts implements [job.Reader].
func (s *Store) Counts(ctx context.Context) (map[job.State]int64, error) {
	type line struct {
		state job.State
		n     int64
	}
	lines, err := all(s.read(ctx), func(r row) (l line, err error) {
		err = r.Scan(&l.state, &l.n)
		return l, err
	}, q.CountJobs)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", s.explain(err))
	}
	counts := map[job.State]int64{}
	for _, state := range job.States {
		counts[state] = 0
	}
	for _, l := range lines {
		counts[l.state] = l.n
	}
	return counts, nil
}

// Stale implements [job.Reader].
func (s *Store) Stale(ctx context.Context, threshold time.Duration, limit int) ([]job.StaleJob, error) {
	if err := checkStalled(threshold, limit); err != nil {
		return nil, fmt.Errorf("list stale jobs: %w", err)
	}
	now := s.clock().UnixMicro()
	stale, err := all(s.read(ctx), func(r row) (j job.StaleJob, err error) {
		err = r.Scan(&j.ID, &j.Kind, &j.Cause, moment{&j.Since}, &j.Fence, &j.Crashes, &j.CrashBudget, &j.ValueCents, &j.Canary,
			&j.WorkerID, maybe[string]{&j.Host}, count{&j.PID}, moment{&j.BeatAt}, moment{&j.ClaimedAt}, moment{&j.ProgressAt})
		j.Detector = job.DetectorOf(j.Cause)
		return j, err
	}, q.StaleJobs, now, now-threshold.Microseconds(), limit)
	if err != nil {
		return nil, fmt.Errorf("list stale jobs: %w", s.explain(err))
	}
	return stale, nil
}

// Ahead implements [job.Reader].
func (s *Store) Ahead(ctx context.Context, id job.ID, kinds []string) (int, error) {
	n, err := one(s.read(ctx), func(r row) (n int, err error) {
		err = r.Scan(&n)
		return n, err
	}, q.JobsAhead, id.String(), s.clock().UnixMicro(), list(append([]string{}, kinds...)), job.MostAhead)
	if err != nil {
		return 0, fmt.Errorf("count jobs ahead of %s: %w", id, s.explain(err))
	}
	return n, nil
}

// Line implements [job.Reader].
func (s *Store) Line(ctx context.Context, kinds []string, limit int) ([]job.Place, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("list jobs in line: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	line, err := all(s.read(ctx), func(r row) (p job.Place, err error) {
		err = r.Scan(&p.ID, &p.Priority, moment{&p.DueAt})
		return p, err
	}, q.Line, s.clock().UnixMicro(), list(append([]string{}, kinds...)), limit)
	if err != nil {
		return nil, fmt.Errorf("list jobs in line: %w", s.explain(err))
	}
	return line, nil
}

// OrdersOf implements [job.Reader].
func (s *Store) OrdersOf(ctx context.Context, customer job.ID) (job.Orders, error) {
	o, err := one(s.read(ctx), func(r row) (o job.Orders, err error) {
		counts := make([]int, 5)
		err = r.Scan(append(jobFields(&o.Current), &counts[0], &counts[1], &counts[2], &counts[3], &counts[4])...)
		o.Counts = map[job.State]int{
			job.Pending: counts[0], job.InProgress: counts[1], job.Completed: counts[2], job.Failed: counts[3], job.Cancelled: counts[4],
		}
		return o, err
	}, q.OrdersOf, customer.String())
	if err != nil {
		return job.Orders{}, fmt.Errorf("read the orders of customer %s: %w", customer, s.explain(err))
	}
	return o, nil
}

// Events implements [job.Reader].
func (s *Store) Events(ctx context.Context, f job.EventFilter) ([]job.Event, error) {
	if f.Limit <= 0 {
		return nil, fmt.Errorf("list events: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	events, err := all(s.read(ctx), scanEvent, q.ListEvents, f.From.UnixMicro(), f.After.String(), idOrNull(f.Customer), f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", s.explain(err))
	}
	return events, nil
}

// History implements [job.Reader].
func (s *Store) History(ctx context.Context, id job.ID) ([]job.Event, error) {
	var j job.Job
	var events []job.Event
	err := s.snapshot(ctx, func(v view) (err error) {
		if j, err = one(v, scanJob, q.GetJob, id.String()); err != nil {
			return err
		}
		events, err = all(v, scanEvent, q.JobEvents, id.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("history of job %s: %w", id, err)
	}
	return store.Story(j, events), nil
}

// Now implements [job.Reader].
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	now, err := one(s.read(ctx), func(r row) (at time.Time, err error) {
		err = r.Scan(moment{&at})
		return at, err
	}, q.StoreNow, s.clock().UnixMicro())
	if err != nil {
		return now, fmt.Errorf("read the store's clock: %w", s.explain(err))
	}
	return now, nil
}

// Ping implements [job.Reader]. It fails also when the schema is not there.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := all(s.read(ctx), scanPause, q.ListPauses); err != nil {
		return fmt.Errorf("ping: %w", s.explain(err))
	}
	return nil
}
