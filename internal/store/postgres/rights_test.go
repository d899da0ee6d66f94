package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/jackc/pgx/v5"
)

// supabaseRoles are the roles of a hosted project, with the default privileges that
// hand them every new table.
const supabaseRoles = `
CREATE ROLE anon LOGIN; CREATE ROLE authenticated LOGIN; CREATE ROLE service_role LOGIN BYPASSRLS;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
CREATE ROLE clerk LOGIN;
GRANT USAGE ON SCHEMA public TO clerk;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO clerk;`

// hosted is a migrated database of a cluster of its own, for roles are the cluster's.
func hosted(t *testing.T) (owner string, as func(role string) string) {
	t.Helper()
	c := dbtest.NewCluster(t)
	owner = c.URL("postgres")
	dbtest.Exec(t, owner, supabaseRoles)
	if _, err := open(t, postgres.Config{URL: owner}).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return owner, func(role string) string { return strings.Replace(owner, "postgres@", role+"@", 1) }
}

func tables(t *testing.T, url string) []string {
	t.Helper()
	return strings.Fields(number[string](t, url, `SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')`))
}

// A view has none of its own: it must ask as whoever reads it, not as its owner.
func TestEveryTableHasRowLevelSecurity(t *testing.T) {
	url := migrated(t)
	for _, table := range tables(t, url) {
		if !number[bool](t, url, fmt.Sprintf(`SELECT relrowsecurity OR relkind = 'v' AND 'security_invoker=true' = ANY (reloptions)
			FROM pg_class WHERE oid = '%s'::regclass`, table)) {
			t.Errorf("%s has none", table)
		}
	}
	if n := number[int](t, url, `SELECT count(*) FROM pg_policies WHERE schemaname = 'public'`); n != 0 {
		t.Errorf("%d policies let somebody through", n)
	}
}

func TestExposedRolesHaveNoRights(t *testing.T) {
	owner, as := hosted(t)
	names := tables(t, owner)
	if len(names) < 10 {
		t.Fatalf("only %v", names)
	}
	for _, role := range []string{"anon", "authenticated", "public"} {
		for _, table := range names {
			for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"} {
				if number[bool](t, owner, fmt.Sprintf(`SELECT has_table_privilege('%s', '%s', '%s')`, role, table, right)) {
					t.Errorf("%s may %s %s", role, right, table)
				}
			}
		}
		for _, function := range []string{"directorybolt_uuid7()", "find_stale_jobs(integer)", "directorybolt_erase_events(uuid)",
			"directorybolt_forget_events(uuid[])", "directorybolt_prune_events(timestamptz, integer)"} {
			if number[bool](t, owner, fmt.Sprintf(`SELECT has_function_privilege('%s', '%s', 'EXECUTE')`, role, function)) {
				t.Errorf("%s may call %s", role, function)
			}
		}
	}
	conn, err := pgx.Connect(t.Context(), as("anon"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{"SELECT * FROM jobs", "INSERT INTO pauses VALUES ('all', now(), 'x', 'x')", "DELETE FROM events", "TRUNCATE jobs"} {
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s as anon: got %v, want permission denied", sql, err)
		}
	}
}

func TestServiceRoleServesAndCannotRewriteHistory(t *testing.T) {
	owner, as := hosted(t)
	s := open(t, postgres.Config{URL: as("service_role")})
	customer, err := s.EnsureCustomer(t.Context(), submit.Customer{Email: "ann@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	worker := register(t, s)
	id := enqueue(t, s, job.Spec{Kind: job.KindOrder, Quota: 1, CustomerID: customer})[0].ID
	jobs, err := s.Claim(t.Context(), job.ClaimRequest{Worker: worker, Limit: 1, Kinds: []string{job.KindOrder}})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("claimed %d jobs, error %v", len(jobs), err)
	}
	if lost, err := s.Complete(t.Context(), jobs[0].Lease()); err != nil || len(lost) != 0 {
		t.Fatalf("lost %v, error %v", lost, err)
	}
	if events, err := s.History(t.Context(), id); err != nil || len(events) != 3 {
		t.Errorf("history has %d lines, error %v, want 3", len(events), err)
	}
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
	conn, err := pgx.Connect(t.Context(), as("service_role"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{"UPDATE events SET actor = 'nobody'", "DELETE FROM events", "TRUNCATE events"} {
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: got %v, want permission denied", sql, err)
		}
	}

	// A table of the caller's own name does not stand before the real one, and events
	// of customers and jobs that are still there stay.
	for _, sql := range []string{
		"CREATE TEMPORARY TABLE events (id uuid, job_id uuid, at timestamptz)",
		"SELECT directorybolt_erase_events('" + customer.String() + "')",
		"SELECT directorybolt_forget_events('{" + id.String() + "}')",
	} {
		if tag, err := conn.Exec(t.Context(), sql); err != nil || tag.RowsAffected() != 0 {
			t.Errorf("%s: %d rows, error %v", sql, tag.RowsAffected(), err)
		}
	}
	dbtest.Exec(t, owner, fmt.Sprintf(`INSERT INTO submissions (id, order_id, customer_id, directory, rank, identity, state, evidence, created_at, updated_at)
		VALUES (gen_random_uuid(), '%s', '%s', 'alpha', 1, 'ann|bakery', 'submitted', '{"sha256": "ab12"}', now(), now())`, id, customer))
	done, err := s.EraseCustomer(t.Context(), customer, job.By{Actor: "cli:ann", Reason: "asked for it"})
	if err != nil || done.Jobs != 1 || done.Events != 3 || len(done.Evidence) != 1 {
		t.Errorf("erased %+v, error %v", done, err)
	}
	if erased, err := s.ErasedEvidence(t.Context(), evidence.Erased{}, 10); err != nil || len(erased) != 1 {
		t.Errorf("erased evidence %+v, error %v", erased, err)
	}
	if held, err := s.HeldEvidence(t.Context(), done.Evidence); err != nil || len(held) != 0 {
		t.Errorf("held %q, error %v", held, err)
	}
	old := job.IDAt(time.Now().Add(-48 * time.Hour)) // ids tell when they were made
	dbtest.Exec(t, owner, fmt.Sprintf("UPDATE jobs SET id = '%s', finished_at = finished_at - interval '2 days', created_at = created_at - interval '2 days'", old))
	dbtest.Exec(t, owner, fmt.Sprintf("UPDATE events SET at = at - interval '2 days', job_id = CASE WHEN job_id IS NOT NULL THEN '%s'::uuid END", old))
	dbtest.Exec(t, owner, "UPDATE erased_evidence SET at = at - interval '2 days'")
	pruned, err := s.Prune(t.Context(), job.Retention{Finished: 24 * time.Hour, Archive: 24 * time.Hour})
	if err != nil || pruned.Jobs != 1 || pruned.Events < 4 {
		t.Errorf("pruned %+v, error %v", pruned, err)
	}
	if n := number[int](t, owner, "SELECT count(*) FROM events"); n != 0 {
		t.Errorf("%d old events are left", n)
	}
	if n := number[int](t, owner, "SELECT count(*) FROM erased_evidence"); n != 0 {
		t.Errorf("%d old names of evidence are left", n)
	}
}

func TestOpenRefusesARoleFromWhichRowsAreHidden(t *testing.T) {
	owner, as := hosted(t)
	dbtest.Exec(t, owner, "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
	s, err := postgres.Open(t.Context(), postgres.Config{URL: as("clerk")})
	if err == nil {
		t.Fatal(s.Close(), "a role that sees no rows was accepted")
	}
	for _, part := range []string{"row-level security", `"clerk"`, "service_role"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %s", err, part)
		}
	}
}

// What a role lacks is found before anything is deployed, functions included.
func TestWhatARoleLacksIsFound(t *testing.T) {
	owner, as := hosted(t)
	rights := func() store.Symptom {
		t.Helper()
		found, err := open(t, postgres.Config{URL: as("service_role"), Log: quiet}).Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(found, func(s store.Symptom) bool { return s.Aspect == "rights to work" })
		if i < 0 {
			t.Fatalf("rights were not looked at: %+v", found)
		}
		return found[i]
	}
	if r := rights(); r.Grade != store.Good {
		t.Errorf("service_role: %+v", r)
	}
	dbtest.Exec(t, owner, `REVOKE INSERT ON events FROM service_role; REVOKE DELETE ON outbox FROM service_role;
		REVOKE EXECUTE ON FUNCTION directorybolt_uuid7() FROM service_role`)
	want := "role service_role may not call directorybolt_uuid7, fully use events, fully use outbox"
	if r := rights(); r.Grade != store.Bad || r.Seen != want || r.Remedy == "" {
		t.Errorf("got %+v, want %q", r, want)
	}
}
