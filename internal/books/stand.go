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
	passes, err := s.MonitorPasses(ctx)
	if err != nil {
		return st, err
	}
	checked := checkOf(passes)
	st.CheckedAt = checked.at
	if checked.missed(missed, now) {
		st.Unchecked = checked.tell()
	}
	if st.Unbalanced, err = unbalanced(ctx, s); err != nil {
		return st, err
	}
	st.Balanced = len(st.Unbalanced) == 0 && !checked.missed(gone, now)
	if st.AtRisk, err = s.AtRisk(ctx, stall); err != nil {
		return st, err
	}
	if st.Protected.Week, err = s.Protected(ctx, now.AddDate(0, 0, -7), now); err != nil {
		return st, err
	}
	st.Protected.Month, err = s.Protected(ctx, now.AddDate(0, 0, -30), now)
	return st, err
}

const (
	missed = 2 // intervals without a good check: people should know
	gone   = 5 // and nobody knows any more whether the books balance
	// slack is what a check may take beyond its time, at most.
	slack = 5 * time.Second
)

// check is the latest good check, whichever process made it.
type check struct {
	at    time.Time     // zero: there was none
	every time.Duration // between two
}

func checkOf(passes []job.MonitorPass) (c check) {
	for _, p := range passes {
		if p.Monitor == job.MonitorBooks && p.GoodAt.After(c.at) {
			c = check{p.GoodAt, p.Every}
		}
	}
	return c
}

// missed reports whether nobody ended a good check for n intervals.
func (c check) missed(n int, now time.Time) bool {
	return c.at.IsZero() || now.Sub(c.at) > time.Duration(n)*c.every+min(c.every/2, slack)
}

func (c check) tell() string {
	if c.at.IsZero() {
		return "nobody ever checked the books"
	}
	return "nobody has checked the books since " + c.at.UTC().Format("2006-01-02 15:04:05Z")
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
