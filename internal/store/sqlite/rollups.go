package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
)

// AddFacts implements [job.Rollups].
func (s *Store) AddFacts(ctx context.Context, facts ...job.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	facts, err := store.CheckFacts(facts)
	if err == nil {
		err = s.write(ctx, func(t *tx) error { return t.addFacts(facts) })
	}
	if err != nil {
		return fmt.Errorf("add facts: %w", err)
	}
	return nil
}

func (t *tx) addFacts(facts []job.Fact) error {
	for _, f := range facts {
		at := t.now - f.Ago.Microseconds()
		if _, err := t.exec(q.AddFacts, f.Name, at-at%time.Minute.Microseconds(), f.Labels, f.Value); err != nil {
			return err
		}
	}
	return nil
}

// Rollups implements [job.Rollups].
func (s *Store) Rollups(ctx context.Context, name string, from, to time.Time) ([]job.Rollup, error) {
	rollups, err := all(s.read(ctx), func(r row) (l job.Rollup, err error) {
		var span int64
		err = r.Scan(&l.Name, &l.Labels, moment{&l.At}, &span, &l.Value)
		l.Span = time.Duration(span) * time.Second
		return l, err
	}, q.ListRollups, clean(name), from.UnixMicro(), to.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("list rollups of %s: %w", name, s.explain(err))
	}
	return rollups, nil
}

// rollups folds minutes into hours, and forgets the oldest of these.
func (p *pruning) rollups(now time.Time) error {
	before := now.Add(-store.KeepMinutes).Truncate(time.Hour).UnixMicro()
	err := p.s.write(p.ctx, func(t *tx) error {
		if _, err := t.exec(q.FoldRollups, before); err != nil {
			return err
		}
		_, err := t.exec(q.DropFolded, before)
		return err
	})
	if err != nil {
		return err
	}
	return p.once(new(int64), q.PruneRollups, now.Add(-store.KeepHours).UnixMicro())
}
