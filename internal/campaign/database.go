package campaign

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// restart restarts the database again and again, spread over the other faults.
func (f *front) restart(ctx context.Context, faults []fault) error {
	for i, r := range faults {
		for ctx.Err() == nil && f.ledger.struck() < f.strength.faults()*i/len(faults) {
			sleep(ctx, 20*time.Millisecond)
		}
		if ctx.Err() != nil {
			return nil
		}
		end := f.cluster.Stop
		if r.crash {
			end = f.cluster.Kill
		}
		ended := make(chan error, 1)
		f.ledger.count(Restart, f.aim.strike(ctx, r, func() { go func() { ended <- end() }() }))
		if err := <-ended; err != nil {
			return err
		}
		if err := f.cluster.Start(); err != nil {
			return fmt.Errorf("start the database again: %w", err)
		}
		sleep(ctx, r.pause)
	}
	return nil
}

// storm wakes all workers for nothing, many times over.
func (f *front) storm(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, f.cluster.URL("postgres"))
		for err == nil && sleep(ctx, 100*time.Millisecond) {
			for range 10 {
				if _, err = conn.Exec(ctx, "SELECT pg_notify('directorybolt_jobs', gen_random_uuid()::text)"); err != nil {
					break
				}
				f.ledger.wakes.Add(1)
			}
		}
		if conn != nil {
			_ = conn.Close(ctx)
		}
		sleep(ctx, 100*time.Millisecond)
	}
}
