package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// findUnbalanced judges the orders that were touched lately, or noted before.
func (s *Store) findUnbalanced(ctx context.Context, what string, after time.Duration, limit int) (found []job.Finding, err error) {
	for last := (uuid.UUID{}); ; {
		touched, err := s.OrdersTouched(ctx, after, last, store.JudgeBatch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
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

// OrdersTouched lists orders that were touched lately, or noted before.
func (s *Store) OrdersTouched(ctx context.Context, within time.Duration, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	return all(ctx, s, "list touched orders", "OrdersTouched", scanID, micros(within), [16]byte(after), limit)
}

// OrdersPaid lists orders that were paid for.
func (s *Store) OrdersPaid(ctx context.Context, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	return all(ctx, s, "list paid orders", "OrdersPaid", scanID, [16]byte(after), limit)
}

// JudgeOrders finds orders whose books do not balance.
func (s *Store) JudgeOrders(ctx context.Context, orders ...uuid.UUID) ([]job.Finding, error) {
	ids := make([][16]byte, len(orders))
	for i, id := range orders {
		ids[i] = id
	}
	return all(ctx, s, "judge orders", "JudgeOrders", scanOrphan(job.OrphanUnbalanced), ids)
}

// UnpaidOrders lists orders of which nothing says that they were paid for.
func (s *Store) UnpaidOrders(ctx context.Context, limit int) ([]uuid.UUID, error) {
	return all(ctx, s, "list unpaid orders", "UnpaidOrders", scanID, limit)
}

// Account sums everything up.
func (s *Store) Account(ctx context.Context) (job.Account, error) {
	terms, err := all(ctx, s, "sum the books up", "Account", func(row pgx.CollectableRow) (t store.Term, err error) {
		err = row.Scan(&t.Name, &t.State, &t.Count, &t.ValueCents)
		return t, err
	})
	if err != nil {
		return job.Account{}, err
	}
	now, err := s.Now(ctx)
	return store.AccountOf(terms, now), err
}

// AtRisk tells what is paid for and in danger.
func (s *Store) AtRisk(ctx context.Context, stall time.Duration) (job.Risk, error) {
	terms, err := all(ctx, s, "sum up the value at risk", "AtRisk", func(row pgx.CollectableRow) (t store.Term, err error) {
		err = row.Scan(&t.Name, &t.Count, &t.ValueCents)
		return t, err
	}, micros(stall))
	return store.RiskOf(terms), err
}

// Protected tells what recovery and redrives saved.
func (s *Store) Protected(ctx context.Context, from, to time.Time) (job.Protection, error) {
	return one(ctx, s, "sum up the revenue protected", "Protected", func(row pgx.CollectableRow) (p job.Protection, err error) {
		err = row.Scan(&p.Recovered.Count, &p.Recovered.ValueCents, &p.Redriven.Count, &p.Redriven.ValueCents)
		return p, err
	}, from, to)
}
