package postgres

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// Standings tells how jobs stand.
func (s *Store) Standings(ctx context.Context, ids ...job.ID) ([]job.Standing, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	wanted := make([][16]byte, len(ids))
	for i, id := range ids {
		wanted[i] = id
	}
	return all(ctx, s, "ask how jobs stand", "Standings", func(row pgx.CollectableRow) (j job.Standing, err error) {
		err = row.Scan((*nullID)(&j.ID), (*nullText)(&j.State), &j.Due, (*nullInt)(&j.Priority), (*nullID)(&j.CustomerID), (*nullTime)(&j.FinishedAt))
		return j, err
	}, wanted)
}
