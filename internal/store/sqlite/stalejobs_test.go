package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/google/go-cmp/cmp"
)

// stuck is a line of the view or of the monitor's list.
type stuck struct {
	ID                     job.ID
	Detector, Cause, Since string
}

// TestTheViewShowsWhatTheMonitorSees has one running job of each way to be stuck. The
// view knows no clock but the real one, so the past is written into the rows.
func TestTheViewShowsWhatTheMonitorSees(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	s := openStore(t, sqlite.Config{Path: path})
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	worker := func() (id job.ID) {
		t.Helper()
		id = job.NewID()
		if err := s.Register(t.Context(), job.Worker{ID: id, Capacity: 1}, time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
			t.Fatal(err)
		}
		if jobs, err := s.Claim(t.Context(), job.ClaimRequest{Worker: id, Limit: 1, Kinds: []string{job.KindNoop}}); err != nil || len(jobs) != 1 {
			t.Fatalf("claimed %d jobs, error %v", len(jobs), err)
		}
		return id
	}
	for _, cause := range []string{job.RetiredLockLost, job.RetiredToldToGo, job.RetiredStopped} {
		if err := s.Retire(t.Context(), worker(), cause, job.By{}); err != nil {
			t.Fatal(err)
		}
	}
	exec("UPDATE workers SET lease_until = lease_until - 3700000000 WHERE id = ?", worker().String())
	exec("UPDATE jobs SET progress_at = progress_at - 660000000 WHERE worker_id = ?", worker().String())
	exec("DELETE FROM workers WHERE id = ?", worker().String())
	worker() // it is well

	want, err := s.Stale(t.Context(), 10*time.Minute, 100)
	if err != nil {
		t.Fatal(err)
	}
	var seen []stuck
	for _, j := range want {
		seen = append(seen, stuck{j.ID, string(j.Detector), j.Cause, j.Since.Format(time.RFC3339Nano)})
	}
	rows, err := db.QueryContext(t.Context(), "SELECT job_id, detector, cause, since FROM stale_jobs")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var shown []stuck
	for rows.Next() {
		var l stuck
		var since int64
		if err := rows.Scan(&l.ID, &l.Detector, &l.Cause, &since); err != nil {
			t.Fatal(err)
		}
		l.Since = time.UnixMicro(since).UTC().Format(time.RFC3339Nano)
		shown = append(shown, l)
	}
	if err := rows.Err(); err != nil || len(seen) != 6 {
		t.Fatalf("the monitor sees %d jobs, want 6; reading the view: %v", len(seen), err)
	}
	if diff := cmp.Diff(seen, shown); diff != "" {
		t.Errorf("stale jobs (-monitor +view):\n%s", diff)
	}
	if !slices.ContainsFunc(shown, func(l stuck) bool { return l.Cause == job.NoOwner }) {
		t.Error("the view does not show the job whose worker nobody knows")
	}
}
