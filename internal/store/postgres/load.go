package postgres

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// longerThanToday is how far back ids are looked at: a day, and what clocks may differ.
const longerThanToday = 25 * time.Hour

// Load tells how much work there is now.
func (s *Store) Load(ctx context.Context) (job.Load, error) {
	return one(ctx, s, "measure the load", "MeasureLoad", func(row pgx.CollectableRow) (l job.Load, err error) {
		err = row.Scan((*nullTime)(&l.At), &l.Pending, &l.InProgress, &l.Due, (*nullTime)(&l.OldestDue), &l.FailedToday)
		return l, err
	}, dbID(job.IDAt(time.Now().Add(-longerThanToday))))
}
