package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/directorybolt/directorybolt/internal/job"
)

// oldestEvery: one claim in so many takes the oldest due, whatever its priority.
const oldestEvery = 10

// claimCounter counts the claims of this process.
type claimCounter struct{ n atomic.Uint64 }

// next reports whether this claim takes the oldest due.
func (c *claimCounter) next() bool { return c.n.Add(1)%oldestEvery == 0 }

// Claim implements [job.Claimer].
func (s *Store) Claim(ctx context.Context, r job.ClaimRequest) ([]job.Job, error) {
	if r.Limit <= 0 {
		return nil, fmt.Errorf("claim jobs: %w", &job.InvalidError{Field: "limit", Reason: "must be positive"})
	}
	oldest := !r.Quarantined && s.claims.next()
	var jobs []job.Job
	err := s.write(ctx, func(t *tx) (err error) {
		jobs, err = t.claim(r, oldest)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim jobs for worker %s: %w", r.Worker, err)
	}
	return jobs, nil
}

func (t *tx) claim(r job.ClaimRequest, oldest bool) ([]job.Job, error) {
	kinds, err := t.claimable(r)
	if err != nil || kinds == "[]" {
		return nil, err
	}
	var jobs []job.Job
	switch {
	case r.Quarantined:
		jobs, err = all(t, scanJob, q.ClaimQuarantined, r.Worker.String(), t.now, 1, kinds)
	case oldest:
		jobs, err = all(t, scanJob, q.ClaimOldest, r.Worker.String(), t.now, r.Limit, kinds)
	default:
		jobs, err = t.claimByPriority(r, kinds)
	}
	if err != nil {
		return nil, err
	}
	// RETURNING has no order.
	slices.SortFunc(jobs, func(a, b job.Job) int {
		byPriority := cmp.Compare(a.Priority, b.Priority)
		if oldest {
			byPriority = 0
		}
		return cmp.Or(byPriority, a.DueAt.Compare(b.DueAt), slices.Compare(a.ID[:], b.ID[:]))
	})
	return jobs, t.recordClaims(jobs)
}

// claimable checks that the worker is live and returns, as a JSON list, those of
// its kinds that are not paused.
func (t *tx) claimable(r job.ClaimRequest) (kinds string, err error) {
	asked := r.Kinds
	if asked == nil {
		asked = []string{}
	}
	type guard struct {
		live  bool
		kinds string
	}
	found, err := all(t, func(r row) (g guard, err error) {
		err = r.Scan(&g.live, &g.kinds)
		return g, err
	}, q.ClaimGuard, r.Worker.String(), t.now, list(asked))
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("%w: it never registered, or was forgotten", job.ErrRetired)
	case !found[0].live:
		return "", job.ErrRetired
	}
	return found[0].kinds, nil
}

// HasQuarantined implements [job.Claimer].
func (s *Store) HasQuarantined(ctx context.Context, kinds []string) (bool, error) {
	if len(kinds) == 0 {
		return false, nil
	}
	waits, err := one(s.read(ctx), func(r row) (waits bool, err error) {
		err = r.Scan(&waits)
		return waits, err
	}, q.HasQuarantined, s.clock().UnixMicro(), list(kinds))
	if err != nil {
		return false, fmt.Errorf("look for quarantined jobs: %w", s.explain(err))
	}
	return waits, nil
}

// claimByPriority fills the limit from the most urgent priority down.
func (t *tx) claimByPriority(r job.ClaimRequest, kinds string) (jobs []job.Job, err error) {
	for p := job.PriorityUrgent; p <= job.PriorityLowest && len(jobs) < r.Limit; p++ {
		more, err := all(t, scanJob, q.ClaimJobs, r.Worker.String(), t.now, r.Limit-len(jobs), kinds, p)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, more...)
	}
	return jobs, nil
}

func (t *tx) recordClaims(jobs []job.Job) error {
	var events []job.Event
	for i := range jobs {
		if told(jobs[i].Kind) {
			e := byOwner(eventOf(job.EventJobClaimed, &jobs[i], job.InProgress))
			e.From = string(job.Pending)
			e.Detail = json.RawMessage(fmt.Sprintf(`{"attempt":%d}`, jobs[i].Attempt))
			events = append(events, e)
		}
	}
	return t.record(events...)
}
