package stale

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// TestAClockThatJumpsRetiresTheDeadAlone steps the store's clock past every lease.
func TestAClockThatJumpsRetiresTheDeadAlone(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t)
			alive, _ := w.worker(2)
			w.worker(3)
			m := w.monitor()
			w.expect(w.pass(m), 0, 0)
			w.advance(lease / 4)
			w.jump.Store(int64(by))
			w.expect(w.pass(m), 0, 0) // nobody had a chance to beat by the new clock
			for range 3 {
				w.beat(alive)
				w.advance(lease / 4)
				w.expect(w.pass(m), 0, 0)
			}
			w.beat(alive)
			w.advance(lease / 4)
			found := 1
			if by < 0 {
				found = 0 // the lease of the dead is over an hour later, by the clock as it is now
			}
			w.expect(w.pass(m), found, 3*found)
			if c, err := w.Counts(t.Context()); err != nil || c[job.Pending] != int64(3*found) {
				t.Errorf("%v, error %v; want the living to keep their jobs", c, err)
			}
		})
	}
}

func TestAClockThatDriftsSparesNobody(t *testing.T) {
	w := newWard(t)
	w.worker(1)
	m := w.monitor()
	for range 8 {
		w.expect(w.pass(m), 0, 0)
		w.advance(lease / 8)
		w.jump.Add(int64(lease / 100))
	}
	w.advance(time.Second)
	w.expect(w.pass(m), 1, 1)
}

func TestAClockThatCannotBeReadIsAFailedPass(t *testing.T) {
	w := newWard(t)
	away := errors.New("store is away")
	m := w.monitor()
	m.Now = func(context.Context) (time.Time, error) { return time.Time{}, away }
	if _, err := m.Pass(t.Context()); !errors.Is(err, away) {
		t.Errorf("error %v", err)
	}
}
