package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

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
