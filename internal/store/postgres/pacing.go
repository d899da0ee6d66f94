package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/jackc/pgx/v5"
)

// soon is the wait of a turn that was refused for a reason that is gone by now.
const soon = time.Millisecond

// Reserve asks for a turn at the host.
func (s *Store) Reserve(ctx context.Context, host string, p directory.Pacing) (submit.Turn, error) {
	what := "reserve a turn at " + host
	if host == "" {
		return submit.Turn{}, fmt.Errorf("reserve a turn: %w", &job.InvalidError{Field: "host", Reason: "is required"})
	}
	n, err := changed(ctx, s, what, "ReserveTurn", host, delay(p.MinInterval.D()), p.DailyCap, submit.BreakerFailures, micros(s.trialTime(p)))
	if err != nil {
		return submit.Turn{}, err
	}
	if n > 0 {
		return submit.Turn{OK: true}, nil
	}
	row, err := one(ctx, s, what, "GetPacing", scanPace, host)
	if errors.Is(err, job.ErrNotFound) {
		return submit.Turn{Wait: soon, Why: "pace"}, nil
	}
	return row.refusal(p), err
}

// trialTime is how long the trial of a breaker may go unreported before another
// turn is let through.
func (s *Store) trialTime(p directory.Pacing) time.Duration {
	open, limit := s.breaker()
	return min(max(2*p.Timeout.D(), open), limit)
}

// breaker says how long a host's breaker stays open, the first time and at most.
func (s *Store) breaker() (open, limit time.Duration) {
	return cmp.Or(s.config.BackoffBase, submit.BreakerOpen), cmp.Or(s.config.BackoffCap, submit.BreakerOpenCap)
}

// pace is the state of a host.
type pace struct {
	nextAt, day, openUntil, now time.Time
	dayCount                    int
}

func scanPace(row pgx.CollectableRow) (p pace, err error) {
	err = row.Scan((*nullTime)(&p.nextAt), &p.day, &p.dayCount, (*nullTime)(&p.openUntil), (*nullTime)(&p.now))
	return p, err
}

// refusal tells why a turn was refused; what holds longest to the host itself
// comes first.
func (p pace) refusal(rules directory.Pacing) submit.Turn {
	midnight := p.now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	today := p.day.Format(time.DateOnly) == p.now.Format(time.DateOnly)
	switch {
	case p.openUntil.After(p.now):
		return submit.Turn{Wait: p.openUntil.Sub(p.now), Why: "breaker"}
	case rules.DailyCap > 0 && today && p.dayCount >= rules.DailyCap:
		return submit.Turn{Wait: midnight.Sub(p.now), Why: "daily_cap"}
	default:
		return submit.Turn{Wait: max(p.nextAt.Sub(p.now), soon), Why: "pace"}
	}
}

// Report tells how a turn went.
func (s *Store) Report(ctx context.Context, host string, ok bool, pause time.Duration) error {
	if host == "" {
		return fmt.Errorf("report a turn: %w", &job.InvalidError{Field: "host", Reason: "is required"})
	}
	open, limit := s.breaker()
	_, err := changed(ctx, s, "report a turn at "+host, "ReportTurn", host, ok, delay(pause),
		submit.BreakerFailures, micros(open), micros(limit))
	return err
}
