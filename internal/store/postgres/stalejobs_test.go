package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// runs registers a worker that runs one job, and returns both.
func runs(t *testing.T, s *postgres.Store, lease time.Duration) (worker job.ID, j job.Job) {
	t.Helper()
	worker = job.NewID()
	w := job.Worker{ID: worker, Host: "host-1", PID: 7, Kinds: []string{job.KindOrder}, Capacity: 1}
	if err := s.Register(t.Context(), w, lease); err != nil {
		t.Fatal(err)
	}
	enqueue(t, s, job.Spec{Kind: job.KindOrder, Quota: 1, ValueCents: 14900, CustomerID: job.NewID()})
	jobs, err := s.Claim(t.Context(), job.ClaimRequest{Worker: worker, Limit: 1, Kinds: w.Kinds})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("claimed %d jobs, error %v", len(jobs), err)
	}
	return worker, jobs[0]
}

// mixture has one running job of each way to be stuck, and some that are well.
func mixture(t *testing.T, url string) *postgres.Store {
	t.Helper()
	advance := dbtest.Clock(t, url)
	s := open(t, postgres.Config{URL: url, Log: quiet})
	for _, cause := range []string{job.RetiredLockLost, job.RetiredToldToGo, job.RetiredStopped} {
		worker, _ := runs(t, s, time.Hour)
		if err := s.Retire(t.Context(), worker, cause, job.By{Actor: job.ActorSystem}); err != nil {
			t.Fatal(err)
		}
	}
	runs(t, s, time.Hour) // no progress for a quarter of an hour, in the end
	runs(t, s, time.Minute)
	unknown, _ := runs(t, s, time.Hour)
	dbtest.Exec(t, url, "DELETE FROM workers WHERE id = '"+unknown.String()+"'")
	advance(15 * time.Minute)
	runs(t, s, time.Hour)
	_, done := runs(t, s, time.Hour)
	if _, err := s.Complete(t.Context(), done.Lease()); err != nil {
		t.Fatal(err)
	}
	enqueue(t, s, job.Spec{Kind: job.KindNoop})
	return s
}

func TestFindStaleJobsAnswersAsTheMonitorDoes(t *testing.T) {
	url := migrated(t)
	s := mixture(t, url)
	for threshold, found := range map[string]struct {
		after time.Duration
		query string
		jobs  int
	}{
		"default":      {10 * time.Minute, "find_stale_jobs()", 6},
		"view":         {10 * time.Minute, "stale_jobs", 6},
		"half an hour": {30 * time.Minute, "find_stale_jobs(30)", 5},
	} {
		want, err := s.Stale(t.Context(), found.after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) != found.jobs {
			t.Errorf("%s: the monitor sees %d jobs, want %d", threshold, len(want), found.jobs)
		}
		if diff := cmp.Diff(want, listed(t, url, found.query)); diff != "" {
			t.Errorf("%s (-monitor +%s):\n%s", threshold, found.query, diff)
		}
	}
}

// listed reads what people see.
func listed(t *testing.T, url, from string) []job.StaleJob {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT job_id, kind, detector, cause, since, fence, crashes, crash_budget, value_cents, canary,
		worker_id, coalesce(host, ''), coalesce(pid, 0), beat_at, claimed_at, progress_at FROM `+from)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j job.StaleJob, err error) {
		var beat *time.Time
		err = row.Scan(&j.ID, &j.Kind, &j.Detector, &j.Cause, &j.Since, &j.Fence, &j.Crashes, &j.CrashBudget, &j.ValueCents, &j.Canary,
			&j.WorkerID, &j.Host, &j.PID, &beat, &j.ClaimedAt, &j.ProgressAt)
		j.Since, j.ClaimedAt, j.ProgressAt = j.Since.UTC(), j.ClaimedAt.UTC(), j.ProgressAt.UTC()
		if beat != nil {
			j.BeatAt = beat.UTC()
		}
		return j, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func TestOnlyStaffRolesFindStaleJobs(t *testing.T) {
	_, as := hosted(t)
	for role, allowed := range map[string]bool{"anon": false, "authenticated": false, "clerk": false, "service_role": true} {
		conn, err := pgx.Connect(t.Context(), as(role))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for _, sql := range []string{"SELECT * FROM find_stale_jobs()", "SELECT * FROM stale_jobs"} {
			_, err := conn.Exec(t.Context(), sql)
			if refused := err != nil && strings.Contains(err.Error(), "permission denied"); refused == allowed {
				t.Errorf("%s as %s: got %v, allowed should be %t", sql, role, err, allowed)
			}
		}
	}
}
