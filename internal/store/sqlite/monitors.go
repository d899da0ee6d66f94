package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// RecordPass implements [job.Passes].
func (s *Store) RecordPass(ctx context.Context, p job.MonitorPass) error {
	err := s.write(ctx, func(t *tx) error {
		good := any(t.now)
		if p.Error != "" {
			good = nil
		}
		_, err := t.exec(q.RecordPass, clean(p.Monitor), p.Process.String(), clean(p.Host), p.PID, t.now, good,
			max(p.Took, 0).Microseconds(), orNull(clean(p.Error)), p.Passes, p.Failed, list(p.Counts), max(p.Every, 0).Microseconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("record pass of monitor %s: %w", p.Monitor, err)
	}
	return nil
}

// LeavePasses implements [job.Passes].
func (s *Store) LeavePasses(ctx context.Context, monitor string, process job.ID) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(q.LeavePasses, clean(monitor), process.String(), t.now)
		return err
	})
	if err != nil {
		return fmt.Errorf("leave monitor %s: %w", monitor, err)
	}
	return nil
}

// MonitorPasses implements [job.Passes].
func (s *Store) MonitorPasses(ctx context.Context) ([]job.MonitorPass, error) {
	passes, err := all(s.read(ctx), scanPass, q.ListPasses)
	if err != nil {
		return nil, fmt.Errorf("list passes of monitors: %w", s.explain(err))
	}
	return passes, nil
}

func scanPass(r row) (p job.MonitorPass, err error) {
	var took, every int64
	var counts json.RawMessage
	err = r.Scan(&p.Monitor, &p.Process, &p.Host, &p.PID, moment{&p.At}, moment{&p.GoodAt}, moment{&p.LeftAt}, &every, &took,
		maybe[string]{&p.Error}, &p.Passes, &p.Failed, document{&counts})
	if err != nil {
		return p, err
	}
	p.Took, p.Every = time.Duration(took)*time.Microsecond, time.Duration(every)*time.Microsecond
	return p, json.Unmarshal(counts, &p.Counts)
}
