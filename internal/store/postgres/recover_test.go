package postgres_test

import (
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/jackc/pgx/v5"
)

// Finished and waiting jobs are many, running ones few: both recoveries must find
// theirs by the index of running jobs, whatever kind of plan is kept.
func TestRecoveryReadsNoJobThatDoesNotRun(t *testing.T) {
	url := migrated(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const fill = `
INSERT INTO jobs (id, kind, state, due_at, max_attempts, crash_budget, payload, created_at, finished_at)
SELECT directorybolt_uuid7(), 'noop', CASE WHEN n % 2 = 0 THEN 'pending' ELSE 'completed' END, now(), 5, 3, '{}', now(),
       CASE WHEN n % 2 = 1 THEN now() END
  FROM generate_series(1, 20000) AS n;
ANALYZE jobs`
	if _, err := conn.PgConn().Exec(t.Context(), fill).ReadAll(); err != nil {
		t.Fatal(err)
	}
	for _, settings := range []string{
		postgres.SessionSettings + "; SET plan_cache_mode = force_custom_plan",
		postgres.SessionSettings + "; SET plan_cache_mode = force_generic_plan",
		"RESET ALL; SET plan_cache_mode = force_custom_plan",
	} {
		if _, err := conn.PgConn().Exec(t.Context(), settings).ReadAll(); err != nil {
			t.Fatal(err)
		}
		for statement, args := range map[string][]any{
			"RecoverJobs":        {1000, job.QuarantineAfter, 1, 1, false, nil, "system", nil},
			"RecoverStalledJobs": {1000, job.QuarantineAfter, 1, 1, false, nil, "system", nil, 1},
			"StaleJobs":          {1, 1000},
		} {
			rows, err := conn.Query(t.Context(), "EXPLAIN "+postgres.Statement(statement), args...)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			plan := strings.Join(lines, "\n")
			if !strings.Contains(plan, "Index Scan using jobs_for_recovery on jobs") ||
				strings.Contains(plan, "Seq Scan on jobs") || strings.Contains(plan, "Bitmap Heap Scan on jobs") {
				t.Errorf("%s with %s:\n%s", statement, settings, plan)
			}
		}
	}
}
