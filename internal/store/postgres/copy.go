package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// copyFrom is the number of plain jobs from which on COPY is the faster way in.
const copyFrom = 100

var copiedColumns = []string{
	"id", "kind", "priority", "due_at", "customer_id", "package", "quota", "value_cents", "canary", "payload",
	"max_attempts", "crash_budget", "created_at",
}

// copyIn adds the specs in one transaction. It is the only method that waits for
// its client inside one, and holds nothing there but rows that nobody knows yet.
func (s *Store) copyIn(ctx context.Context, specs []job.Spec) error {
	err := again(ctx, func() error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			var now time.Time
			if err := tx.QueryRow(ctx, statements.Get("StoreNow")).Scan(&now); err != nil {
				return err
			}
			n, err := tx.CopyFrom(ctx, pgx.Identifier{"jobs"}, copiedColumns, &specRows{specs: specs, now: now, at: -1})
			if err == nil && n != int64(len(specs)) {
				err = errors.New("the database took another number of rows than were sent")
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("enqueue: %w", readable(err))
	}
	return nil
}

// specRows hands specs to COPY, row by row.
type specRows struct {
	specs []job.Spec
	now   time.Time
	at    int
}

func (r *specRows) Next() bool { r.at++; return r.at < len(r.specs) }
func (r *specRows) Err() error { return nil }

func (r *specRows) Values() ([]any, error) {
	s := &r.specs[r.at]
	return []any{
		dbID(s.ID), s.Kind, int16(s.Priority), r.now.Add(s.Delay.Truncate(time.Microsecond)), dbID(s.CustomerID), dbText(s.Package),
		dbInt(s.Quota), s.ValueCents, s.Canary, []byte(s.Payload), int32(s.MaxAttempts), int32(s.CrashBudget), r.now,
	}, nil
}
