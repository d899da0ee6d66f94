package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// A beat that comes while somebody else writes the worker's row waits, and then sees what
// was written: the time of another beat, or that the worker is retired.
func TestABeatSeesWhatItWaitedFor(t *testing.T) {
	url := migrated(t)
	s := open(t, direct(url))
	type answer struct {
		pulse job.Pulse
		err   error
	}
	// after beats while write is not committed yet.
	after := func(t *testing.T, worker job.ID, write string) (a answer, at time.Time) {
		t.Helper()
		conn := plainConn(t, url)
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(t.Context(), write+" WHERE id = $1 RETURNING beat_at", worker.String()).Scan(&at); err != nil {
			t.Fatal(err)
		}
		answered := make(chan answer, 1)
		go func() {
			p, err := s.Beat(t.Context(), worker, time.Hour, nil)
			answered <- answer{p, err}
		}()
		eventually(t, "the beat waits", func() error {
			const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
			if n := number[int](t, url, waiting); n != 1 {
				return fmt.Errorf("%d wait", n)
			}
			return nil
		})
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		return <-answered, at
	}

	worker := register(t, s)
	got, at := after(t, worker, "UPDATE workers SET beat_at = clock_timestamp()")
	if got.err != nil || !got.pulse.Since.Equal(at) || !got.pulse.BeatAt.After(at) {
		t.Errorf("the beat of %s tells of the time since %s, error %v; want since %s", got.pulse.BeatAt, got.pulse.Since, got.err, at)
	}
	got, _ = after(t, worker, "UPDATE workers SET retired_at = clock_timestamp(), retired_cause = 'told_to_go'")
	if !errors.Is(got.err, job.ErrRetired) {
		t.Errorf("the beat of a worker that was retired meanwhile: %+v, error %v", got.pulse, got.err)
	}
}
