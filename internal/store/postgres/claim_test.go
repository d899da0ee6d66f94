package postgres_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

func hostOf(t testing.TB, raw string) string { return parsed(t, raw).Host }
func pathOf(t testing.TB, raw string) string { return parsed(t, raw).Path }

func parsed(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func claimNoops(t testing.TB, s *postgres.Store, worker job.ID, limit int) []job.Job {
	t.Helper()
	jobs, err := s.Claim(t.Context(), job.ClaimRequest{Worker: worker, Limit: limit, Kinds: []string{job.KindNoop}})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// A job whose enqueue is committed late, or that came back, lies before the cursor.
func TestWhatLiesBeforeTheCursorIsFoundWhenAClaimComesBackShort(t *testing.T) {
	url := migrated(t)
	s := open(t, direct(url))
	worker := register(t, s)
	enqueue(t, s, slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, 3)...)
	first := claimNoops(t, s, worker, 1) // full: the cursor stands behind it
	late := enqueue(t, s, job.Spec{Kind: job.KindNoop})[0].ID
	dbtest.Exec(t, url, fmt.Sprintf("UPDATE jobs SET due_at = due_at - interval '1 hour' WHERE id = '%s'", late))
	if lost, err := s.Release(t.Context(), "drain", first[0].Lease()); err != nil || len(lost) != 0 {
		t.Fatalf("lost %v, error %v", lost, err)
	}
	if got := claimNoops(t, s, worker, 10); len(got) != 4 {
		t.Errorf("claimed %d jobs, want all 4", len(got))
	}
}

func TestNothingIsPassedOverForLongUnderLoad(t *testing.T) {
	url := migrated(t)
	s := open(t, direct(url))
	worker := register(t, s)
	for range 30 {
		enqueue(t, s, slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, 1000)...)
	}
	claimNoops(t, s, worker, 1)
	late := enqueue(t, s, job.Spec{Kind: job.KindNoop})[0].ID
	dbtest.Exec(t, url, fmt.Sprintf("UPDATE jobs SET due_at = due_at - interval '1 hour' WHERE id = '%s'", late))
	begun := time.Now()
	for n := 0; ; n++ {
		asked := time.Now()
		jobs := claimNoops(t, s, worker, 1)
		if len(jobs) == 0 {
			t.Fatalf("%d claims emptied the queue without it", n)
		}
		if jobs[0].ID == late {
			return
		}
		if asked.Sub(begun) > postgres.RescanAfter {
			t.Fatalf("still passed over by claim %d, %s after it came", n, time.Since(begun))
		}
	}
}

// A claim must not read more when the queue is longer, whatever the planner
// believes about the table.
func TestClaimWalksItsIndex(t *testing.T) {
	const jobs = 100_000
	fill := fmt.Sprintf(`INSERT INTO jobs (id, kind, priority, due_at, max_attempts, crash_budget, payload, created_at)
		SELECT directorybolt_uuid7(), 'noop', 1 + n %% 4, now() - n * interval '1 ms', 5, 3, '{}', now() FROM generate_series(1, %d) n`, jobs)
	for name, prepare := range map[string]string{
		"statistics of an empty queue": "ANALYZE jobs; " + fill,
		"fresh statistics":             fill + "; ANALYZE jobs",
		"most are done":                fill + "; UPDATE jobs SET state = 'completed', finished_at = now(); ANALYZE jobs; " + fill,
	} {
		t.Run(name, func(t *testing.T) {
			url := migrated(t)
			for _, sql := range strings.Split(prepare, "; ") {
				dbtest.Exec(t, url, sql)
			}
			worker := register(t, open(t, direct(url)))
			// Behind a transaction pooler there are no settings, and no plan is kept.
			for _, plans := range []string{
				postgres.SessionSettings + "; SET plan_cache_mode = force_custom_plan",
				postgres.SessionSettings + "; SET plan_cache_mode = force_generic_plan",
				"SET plan_cache_mode = force_custom_plan",
			} {
				for _, statement := range []string{"ClaimJobs", "ClaimOldest"} {
					plan := explain(t, url, plans, statement, worker)
					if !strings.Contains(plan, "Index Scan using jobs_for_claim on jobs") ||
						strings.Contains(plan, "Seq Scan on jobs") || strings.Contains(plan, "Bitmap Heap Scan on jobs") {
						t.Errorf("%s with %s:\n%s", statement, plans, plan)
					}
				}
			}
		})
	}
}

// explain is the plan of a claim in a session with the settings.
func explain(t *testing.T, url, settings, statement string, worker job.ID) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.PgConn().Exec(t.Context(), settings).ReadAll(); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), "EXPLAIN "+postgres.Statement(statement), worker, 50, []string{"noop"},
		[]int16{1, 2, 3, 4}, make([]time.Time, 4), make([]uuid.UUID, 4))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestIDsMadeInSQLAreOrderedByTime(t *testing.T) {
	url := migrated(t)
	before := job.NewID()
	id := uuid.MustParse(number[string](t, url, "SELECT directorybolt_uuid7()::text"))
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Errorf("%s is version %d, variant %s", id, id.Version(), id.Variant())
	}
	sec, _ := id.Time().UnixTime()
	wantSec, _ := before.Time().UnixTime()
	if d := sec - wantSec; d < -1 || d > 60 {
		t.Errorf("its time is %d s from now", d)
	}
	horizon := time.Now()
	if edge := job.IDAt(horizon.Add(time.Minute)); edge.String() <= id.String() || job.IDAt(horizon.Add(-time.Minute)).String() >= id.String() {
		t.Errorf("an id of now is not between the edges of a minute around it")
	}
	// Two statements have several microseconds between them, and seldom a millisecond.
	if wrong := number[int](t, url, `
		WITH made AS MATERIALIZED (
			SELECT n, directorybolt_uuid7() AS id, pg_sleep(0.00001) FROM generate_series(1, 500) n)
		SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM made) pairs WHERE id <= before`); wrong > 0 {
		t.Errorf("%d of 500 ids are before one that was made earlier", wrong)
	}
}
