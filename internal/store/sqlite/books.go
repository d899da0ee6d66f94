package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/uuid"
)

// findUnbalanced judges the orders that were touched lately, or noted before.
func (s *Store) findUnbalanced(ctx context.Context, within time.Duration, limit int) (found []job.Finding, err error) {
	for last := (uuid.UUID{}); ; {
		touched, err := s.OrdersTouched(ctx, within, last, store.JudgeBatch)
		if err != nil {
			return nil, fmt.Errorf("find orphans of kind %s: %w", job.OrphanUnbalanced, err)
		}
		wrong, err := s.JudgeOrders(ctx, touched...)
		if err != nil {
			return nil, err
		}
		if found = append(found, wrong...); len(found) >= limit {
			return found[:limit], nil
		}
		if len(touched) < store.JudgeBatch {
			return found, nil
		}
		last = touched[len(touched)-1]
	}
}

// OrdersTouched implements [job.Books].
func (s *Store) OrdersTouched(ctx context.Context, within time.Duration, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	ids, err := all(s.read(ctx), scanID, q.OrdersTouched, s.clock().UnixMicro()-within.Microseconds(), after.String(), limit)
	if err != nil {
		return nil, fmt.Errorf("list touched orders: %w", s.explain(err))
	}
	return ids, nil
}

// OrdersPaid implements [job.Books].
func (s *Store) OrdersPaid(ctx context.Context, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	ids, err := all(s.read(ctx), scanID, q.OrdersPaid, after.String(), limit)
	if err != nil {
		return nil, fmt.Errorf("list paid orders: %w", s.explain(err))
	}
	return ids, nil
}

// JudgeOrders implements [job.Books].
func (s *Store) JudgeOrders(ctx context.Context, orders ...uuid.UUID) ([]job.Finding, error) {
	if len(orders) == 0 {
		return nil, nil
	}
	letters := s.clock().Add(-store.KeepLettersSurely).UnixMicro()
	found, err := all(s.read(ctx), scanOrphan(job.OrphanUnbalanced), q.JudgeOrders, list(orders), letters)
	if err != nil {
		return nil, fmt.Errorf("judge orders: %w", s.explain(err))
	}
	return found, nil
}

// UnpaidOrders implements [job.Books].
func (s *Store) UnpaidOrders(ctx context.Context, limit int) ([]uuid.UUID, error) {
	ids, err := all(s.read(ctx), scanID, q.UnpaidOrders, limit)
	if err != nil {
		return nil, fmt.Errorf("list unpaid orders: %w", s.explain(err))
	}
	return ids, nil
}

// Account implements [job.Books].
func (s *Store) Account(ctx context.Context) (job.Account, error) {
	terms, err := all(s.read(ctx), func(r row) (t store.Term, err error) {
		err = r.Scan(&t.Name, &t.State, &t.Count, &t.ValueCents)
		return t, err
	}, q.Account)
	if err != nil {
		return job.Account{}, fmt.Errorf("sum the books up: %w", s.explain(err))
	}
	return store.AccountOf(terms, s.clock()), nil
}

// AtRisk implements [job.Books].
func (s *Store) AtRisk(ctx context.Context, stall time.Duration) (job.Risk, error) {
	now := s.clock().UnixMicro()
	terms, err := all(s.read(ctx), func(r row) (t store.Term, err error) {
		err = r.Scan(&t.Name, &t.Count, &t.ValueCents)
		return t, err
	}, q.AtRisk, now, now-stall.Microseconds())
	if err != nil {
		return job.Risk{}, fmt.Errorf("sum up the value at risk: %w", s.explain(err))
	}
	return store.RiskOf(terms), nil
}

// Protected implements [job.Books].
func (s *Store) Protected(ctx context.Context, from, to time.Time) (job.Protection, error) {
	p, err := one(s.read(ctx), func(r row) (p job.Protection, err error) {
		err = r.Scan(&p.Recovered.Count, &p.Recovered.ValueCents, &p.Redriven.Count, &p.Redriven.ValueCents)
		return p, err
	}, q.Protected, from.UnixMicro(), to.UnixMicro())
	if err != nil {
		return job.Protection{}, fmt.Errorf("sum up the revenue protected: %w", s.explain(err))
	}
	return p, nil
}
