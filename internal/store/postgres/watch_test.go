package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/jackc/pgx/v5"
)

// TestLifelinesNeedAProvedSession: a lock in a session that is handed to somebody else
// would be held by nobody. What the operator says is no proof.
func TestLifelinesNeedAProvedSession(t *testing.T) {
	url := dbtest.Postgres(t)
	transaction := dbtest.PgBouncer(t, url, "transaction")
	for name, c := range map[string]postgres.Config{
		"transaction pooler":              {URL: transaction},
		"a session pooler, they say":      {URL: transaction, Pooling: "session"},
		"a direct URL that is none":       {URL: transaction, DirectURL: transaction},
		"no pooler, they say transaction": {URL: url, Pooling: "transaction"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := open(t, c)
			for range 2 {
				if _, err := s.Lifeline(t.Context(), job.NewID()); !errors.Is(err, job.ErrNoSession) {
					t.Errorf("lifeline: error %v, want %v", err, job.ErrNoSession)
				}
				if err := s.WatchLifelines(t.Context(), nil); !errors.Is(err, job.ErrNoSession) {
					t.Errorf("watch: error %v, want %v", err, job.ErrNoSession)
				}
			}
			if n := strings.Count(log.String(), "dead workers"); n != 1 {
				t.Errorf("the log says so %d times, want once:\n%s", n, &log)
			}
		})
	}
}

// TestSessionThatChangesEndsTheWatch: a pooler may begin to hand sessions around.
func TestSessionThatChangesEndsTheWatch(t *testing.T) {
	var log bytes.Buffer
	url := migrated(t)
	s := open(t, postgres.Config{URL: url, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := s.Register(t.Context(), job.Worker{ID: job.NewID(), Capacity: 1}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := postgres.LookFromAnotherSession(t.Context(), s); !errors.Is(err, job.ErrNoSession) {
		t.Errorf("error %v, want %v", err, job.ErrNoSession)
	}
	if _, err := s.Lifeline(t.Context(), job.NewID()); !errors.Is(err, job.ErrNoSession) {
		t.Errorf("a lifeline after that: error %v, want %v", err, job.ErrNoSession)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors in the log, want one:\n%s", n, &log)
	}
}

// afterLook returns when so many watches on the database have looked once more since
// the call: the session of each began a look, or after one wait another.
func afterLook(t testing.TB, url string, watches int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	before := roundsOf(t, conn)
	waited, looked := map[int]time.Time{}, map[int]bool{}
	for end := time.Now().Add(20 * time.Second); len(looked) < watches; time.Sleep(5 * time.Millisecond) {
		for pid, r := range roundsOf(t, conn) {
			if !r.Begun.After(before[pid].Begun) {
				continue
			}
			first, again := waited[pid]
			switch {
			case r.Looking, again && r.Begun.After(first):
				looked[pid] = true
			case !again:
				waited[pid] = r.Begun
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d watches looked", len(looked), watches)
		}
	}
}

// round is what the session of a watch does.
type round struct {
	PID     int
	Looking bool // else it waits
	Begun   time.Time
}

func roundsOf(t testing.TB, conn *pgx.Conn) map[int]round {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
SELECT pid, query NOT LIKE '%directorybolt.free%', query_start
  FROM pg_stat_activity
 WHERE datname = current_database() AND (query LIKE '%directorybolt.free%' OR query LIKE '%ring AS MATERIALIZED%')
   AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[round])
	if err != nil {
		t.Fatal(err)
	}
	byPID := make(map[int]round, len(all))
	for _, r := range all {
		byPID[r.PID] = r
	}
	return byPID
}
