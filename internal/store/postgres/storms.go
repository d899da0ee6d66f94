package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// Judge implements [job.Recoverer].
func (s *Store) Judge(ctx context.Context, lease time.Duration) (j job.Judgement, err error) {
	if lease <= 0 {
		return j, fmt.Errorf("judge workers: %w", &job.InvalidError{Field: "lease", Reason: "must be positive"})
	}
	j.Retired, err = s.retireExpired(ctx, true)
	if err != nil {
		return j, err
	}
	turned, err := all(ctx, s, "turn the storm breaker", "TurnBreaker", scanStorm, micros(lease), job.StormOwners, micros(job.StormHold))
	for _, t := range turned {
		j.Storm, j.Opened = &t.Storm, t.opened
	}
	return j, err
}

// turned is a storm, and whether it was opened just now.
type turned struct {
	job.Storm
	opened bool
}

func scanStorm(row pgx.CollectableRow) (t turned, err error) {
	err = row.Scan((*nullID)(&t.ID), (*nullTime)(&t.OpenedAt), &t.Owners, &t.Dead, (*nullTime)(&t.CalmAt), (*nullTime)(&t.ClosedAt),
		(*nullText)(&t.Ending), &t.opened)
	return t, err
}

// LastStorm implements [job.Recoverer].
func (s *Store) LastStorm(ctx context.Context) (*job.Storm, error) {
	t, err := one(ctx, s, "read the last storm", "LastStorm", scanStorm)
	if errors.Is(err, job.ErrNotFound) {
		return nil, nil
	}
	return &t.Storm, err
}
