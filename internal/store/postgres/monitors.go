package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// RecordPass keeps the latest pass of a monitor in one process.
func (s *Store) RecordPass(ctx context.Context, p job.MonitorPass) error {
	counts, err := json.Marshal(p.Counts)
	if err != nil {
		return fmt.Errorf("record pass of monitor %s: %w", p.Monitor, err)
	}
	_, err = changed(ctx, s, "record pass of monitor "+p.Monitor, "RecordPass",
		plain(p.Monitor), dbID(p.Process), plain(p.Host), p.PID, micros(max(p.Took, 0)), dbText(plain(p.Error)), p.Passes, p.Failed, counts, micros(max(p.Every, 0)))
	return err
}

// LeavePasses says that a monitor was told to go.
func (s *Store) LeavePasses(ctx context.Context, monitor string, process job.ID) error {
	_, err := changed(ctx, s, "leave monitor "+monitor, "LeavePasses", plain(monitor), dbID(process))
	return err
}

// MonitorPasses lists what is kept of passes, the latest first.
func (s *Store) MonitorPasses(ctx context.Context) ([]job.MonitorPass, error) {
	return all(ctx, s, "list passes of monitors", "ListPasses", func(row pgx.CollectableRow) (p job.MonitorPass, err error) {
		var took, every int64
		var counts []byte
		err = row.Scan(&p.Monitor, (*nullID)(&p.Process), &p.Host, &p.PID, (*nullTime)(&p.At), (*nullTime)(&p.GoodAt), (*nullTime)(&p.LeftAt), &every, &took,
			(*nullText)(&p.Error), &p.Passes, &p.Failed, &counts)
		if err != nil {
			return p, err
		}
		p.Took, p.Every = time.Duration(took)*time.Microsecond, time.Duration(every)*time.Microsecond
		return p, json.Unmarshal(counts, &p.Counts)
	})
}
