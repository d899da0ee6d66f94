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
			max(p.Took, 0).Microseconds(), orNull(clean(p.Error)), p.Passes, p.Failed, list(p.Counts))
		return err
	})
	if err != nil {
		return fmt.Errorf("record pass of monitor %s: %w", p.Monitor, err)
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
	var took int64
	var counts json.RawMessage
	err = r.Scan(&p.Monitor, &p.Process, &p.Host, &p.PID, moment{&p.At}, moment{&p.GoodAt}, &took,
		maybe[string]{&p.Error}, &p.Passes, &p.Failed, document{&counts})
	if err != nil {
		return p, err
	}
	p.Took = time.Duration(took) * time.Microsecond
	return p, json.Unmarshal(counts, &p.Counts)
}
