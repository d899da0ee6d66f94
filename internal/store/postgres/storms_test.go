package postgres_test

import (
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/jackc/pgx/v5"
)

// TestAStormIsNotOpenedAgainForTheSameDead is the race of two monitors at the end of a
// storm's time: one has looked for the dead just before, and turns the breaker just after.
func TestAStormIsNotOpenedAgainForTheSameDead(t *testing.T) {
	const lease = 20 * time.Second
	url := migrated(t)
	s := open(t, postgres.Config{URL: url})
	for range 5 {
		if err := s.Register(t.Context(), job.Worker{ID: job.NewID(), Host: "host-1", PID: 7, Version: "test", Kinds: []string{job.KindNoop}, Capacity: 1}, lease); err != nil {
			t.Fatal(err)
		}
	}
	dbtest.Exec(t, url, `UPDATE workers SET beat_at = now() - interval '9 min', lease_until = now() - interval '9 min' + interval '1 ms'`)
	j, err := s.Judge(t.Context(), lease)
	if err != nil || !j.Opened || len(j.Retired) > 0 {
		t.Fatalf("%+v, %v; want a storm that holds everybody", j, err)
	}
	dbtest.Exec(t, url, `UPDATE storms SET opened_at = now() - interval '1 hour'`)

	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), postgres.Statement("TurnBreaker"), lease.Microseconds(), job.StormOwners, job.StormHold.Microseconds()); err != nil {
		t.Fatal(err)
	}
	j, err = s.Judge(t.Context(), lease)
	if err != nil || len(j.Retired) != 5 || j.Storm == nil || j.Storm.Ending != job.StormOver {
		t.Errorf("%+v, %v; want five retired and the storm over", j, err)
	}
	if n := number[int](t, url, `SELECT count(*) FROM storms`); n != 1 {
		t.Errorf("%d storms, want 1", n)
	}
}
