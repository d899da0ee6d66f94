package sqlite

import (
	"context"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Standings implements [job.Reader].
func (s *Store) Standings(ctx context.Context, ids ...job.ID) ([]job.Standing, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	stand, err := all(s.read(ctx), func(r row) (j job.Standing, err error) {
		err = r.Scan(&j.ID, &j.State, &j.Due, &j.Priority, &j.CustomerID, moment{&j.FinishedAt})
		return j, err
	}, q.Standings, list(ids), s.clock().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("ask how jobs stand: %w", s.explain(err))
	}
	return stand, nil
}
