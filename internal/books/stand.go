package books

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Reader is what [Stand] asks.
type Reader interface {
	job.Books
	Findings(ctx context.Context) ([]job.Finding, error)
	MonitorPasses(ctx context.Context) ([]job.MonitorPass, error)
	Now(ctx context.Context) (time.Time, error)
}

// Stand tells how the books stand.
func Stand(ctx context.Context, s Reader, stall time.Duration) (job.Balance, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return job.Balance{}, err
	}
	st := job.Balance{At: now}
	if st.CheckedAt, err = checkedAt(ctx, s); err != nil {
		return st, err
	}
	if st.Unbalanced, err = unbalanced(ctx, s); err != nil {
		return st, err
	}
	st.Balanced = len(st.Unbalanced) == 0
	if st.AtRisk, err = s.AtRisk(ctx, stall); err != nil {
		return st, err
	}
	if st.Protected.Week, err = s.Protected(ctx, now.AddDate(0, 0, -7), now); err != nil {
		return st, err
	}
	st.Protected.Month, err = s.Protected(ctx, now.AddDate(0, 0, -30), now)
	return st, err
}

func checkedAt(ctx context.Context, s Reader) (at time.Time, err error) {
	passes, err := s.MonitorPasses(ctx)
	for _, p := range passes {
		if p.Monitor == job.MonitorBooks && p.GoodAt.After(at) {
			at = p.GoodAt
		}
	}
	return at, err
}

func unbalanced(ctx context.Context, s Reader) (list []job.Finding, err error) {
	found, err := s.Findings(ctx)
	for _, f := range found {
		if f.Kind == job.OrphanUnbalanced {
			list = append(list, f)
		}
	}
	return list, err
}
