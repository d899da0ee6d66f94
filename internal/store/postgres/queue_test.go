package postgres_test

import (
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/jackc/pgx/v5"
)

// What a customer's page and the stream of events ask a thousand times a second must
// not read more when there are more jobs, whatever the planner believes about them.
func TestQuestionsOfManyWalkTheirIndexes(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), migrated(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const fill = `INSERT INTO jobs (id, kind, priority, due_at, max_attempts, crash_budget, payload, created_at, customer_id, quota)
SELECT directorybolt_uuid7(), 'order', 1 + n % 4, now() - n * interval '1 ms', 5, 3, '{}', now(), directorybolt_uuid7(), 50
  FROM generate_series(1, 50000) AS n;
INSERT INTO events (id, at, type, job_id, actor)
SELECT directorybolt_uuid7(), now() - n * interval '1 s', 'order.created', directorybolt_uuid7(), 'system'
  FROM generate_series(1, 50000) AS n;
INSERT INTO submissions (id, order_id, customer_id, directory, rank, identity, created_at, updated_at)
SELECT directorybolt_uuid7(), directorybolt_uuid7(), directorybolt_uuid7(), 'd', 1, 'x', now(), now()
  FROM generate_series(1, 20000) AS n;
ANALYZE jobs; ANALYZE events; ANALYZE submissions`
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
		var now any
		if err := conn.QueryRow(t.Context(), "SELECT now() - interval '5 seconds'").Scan(&now); err != nil {
			t.Fatal(err)
		}
		for statement, asked := range map[string]struct {
			index, table string
			args         []any
		}{
			"OrdersOf":         {"jobs_of_customer", "jobs", []any{job.NewID()}},
			"CountSubmissions": {"submissions_of_order", "submissions", []any{job.NewID()}},
			"CountDone":        {"submissions_of_order", "submissions", []any{[][16]byte{job.NewID(), job.NewID()}}},
			"Line":             {"jobs_for_claim", "jobs", []any{[]string{"order"}, 1000}},
			"ListEvents":       {"events_by_time", "events", []any{now, job.ID{}, nil, 1000}},
		} {
			rows, err := conn.Query(t.Context(), "EXPLAIN "+postgres.Statement(statement), asked.args...)
			if err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
			if plan := strings.Join(lines, "\n"); !strings.Contains(plan, asked.index) || strings.Contains(plan, "Seq Scan on "+asked.table) {
				t.Errorf("%s with %s:\n%s", statement, settings, plan)
			}
		}
	}
}
