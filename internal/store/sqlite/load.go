package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// longerThanToday is how far back ids are looked at: a day, and what clocks may differ.
const longerThanToday = 25 * time.Hour

// Load implements [job.Reader].
func (s *Store) Load(ctx context.Context) (job.Load, error) {
	now := s.clock()
	l, err := one(s.read(ctx), func(r row) (l job.Load, err error) {
		err = r.Scan(moment{&l.At}, &l.Pending, &l.InProgress, &l.Due, moment{&l.OldestDue}, &l.FailedToday)
		return l, err
	}, q.MeasureLoad, now.UnixMicro(), job.IDAt(now.Add(-longerThanToday)).String())
	if err != nil {
		return job.Load{}, fmt.Errorf("measure the load: %w", s.explain(err))
	}
	return l, nil
}
