package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// host is a row of pacing. Times are microseconds; zero is "never".
type host struct {
	name      string
	nextAt    int64
	day       string
	dayCount  int
	failures  int // in a row; submit.BreakerFailures opens
	opens     int // in a row; doubles the time open
	openUntil int64
}

func (h *host) args() []any {
	return []any{h.name, h.nextAt, h.day, h.dayCount, h.failures, h.opens, orNull(h.openUntil)}
}

// host reads the row, or the one a host begins with.
func (t *tx) host(name string) (host, error) {
	h, err := one(t, func(r row) (h host, err error) {
		err = r.Scan(&h.nextAt, &h.day, &h.dayCount, &h.failures, &h.opens, maybe[int64]{&h.openUntil})
		return h, err
	}, q.GetPacing, name)
	if errors.Is(err, job.ErrNotFound) {
		h, err = host{day: dayOf(t.now)}, nil
	}
	h.name = name
	return h, err
}

func dayOf(now int64) string { return fromMicros(now).Format(time.DateOnly) }

// Reserve implements [submit.Pacer].
func (s *Store) Reserve(ctx context.Context, name string, p directory.Pacing) (submit.Turn, error) {
	var turn submit.Turn
	err := s.write(ctx, func(t *tx) error {
		h, err := t.host(name)
		if err != nil {
			return err
		}
		if turn = h.reserve(t.now, p, s.trialTime(p)); !turn.OK {
			return nil
		}
		_, err = t.exec(q.ReserveTurn, h.args()...)
		return err
	})
	if err != nil {
		return submit.Turn{}, fmt.Errorf("reserve a turn at %s: %w", name, err)
	}
	return turn, nil
}

func (h *host) reserve(now int64, p directory.Pacing, trial time.Duration) submit.Turn {
	refused := func(why string, until int64) submit.Turn {
		return submit.Turn{Why: why, Wait: time.Duration(until-now) * time.Microsecond}
	}
	if today := dayOf(now); h.day != today {
		h.day, h.dayCount = today, 0
	}
	switch {
	case h.openUntil > now:
		return refused("breaker", h.openUntil)
	case p.DailyCap > 0 && h.dayCount >= p.DailyCap:
		return refused("daily_cap", fromMicros(now).Truncate(24*time.Hour).Add(24*time.Hour).UnixMicro())
	case h.nextAt > now:
		return refused("pace", h.nextAt)
	}
	h.dayCount++
	h.nextAt = now + max(p.MinInterval.D(), 0).Microseconds()
	if h.failures >= submit.BreakerFailures {
		// The breaker was open: this turn is its trial. The next failure opens it
		// again; until this turn is reported, or lost, there is no other.
		h.failures = submit.BreakerFailures - 1
		h.openUntil = now + trial.Microseconds()
	}
	return submit.Turn{OK: true}
}

// trialTime is how long a trial may go unreported before another is let through.
func (s *Store) trialTime(p directory.Pacing) time.Duration {
	return min(max(2*p.Timeout.D(), s.waits.Ceiling(1)), s.waits.Cap)
}

// Report implements [submit.Pacer].
func (s *Store) Report(ctx context.Context, name string, ok bool, pause time.Duration) error {
	err := s.write(ctx, func(t *tx) error {
		h, err := t.host(name)
		if err != nil {
			return err
		}
		h.report(t.now, ok, pause, s.waits.Ceiling(h.opens+1))
		_, err = t.exec(q.ReportTurn, h.args()...)
		return err
	})
	if err != nil {
		return fmt.Errorf("report a turn at %s: %w", name, err)
	}
	return nil
}

// report takes how a turn went; open is how long the breaker stays open if this
// failure opens it.
func (h *host) report(now int64, ok bool, pause, open time.Duration) {
	if pause > 0 {
		h.nextAt = max(h.nextAt, now+pause.Microseconds())
	}
	switch {
	case ok:
		h.failures, h.opens, h.openUntil = 0, 0, 0
	case h.failures >= submit.BreakerFailures:
		// Open already: a turn that began before says nothing new.
	default:
		if h.failures++; h.failures == submit.BreakerFailures {
			h.openUntil = now + open.Microseconds()
			h.opens++
		}
	}
}
