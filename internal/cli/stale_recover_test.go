package cli

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// run executes a command on the data directory.
func (m *morgue) run(args ...string) result {
	m.t.Helper()
	var stdout, stderr bytes.Buffer
	status := Main(m.t.Context(), Process{
		Args: append(args, "--data-dir", m.dir), Stdout: &stdout, Stderr: &stderr, Stdin: strings.NewReader(""),
	})
	return result{stdout.String(), stderr.String(), status}
}

// TestAPersonTakesBackTheJobOfAWorkerThatNobodyKnows has a worker whose row somebody
// deleted, and no monitor.
func TestAPersonTakesBackTheJobOfAWorkerThatNobodyKnows(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	placed, err := m.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop, ValueCents: 14900})
	m.must(err)
	id := placed[0].ID.String()
	jobs, err := m.Claim(t.Context(), job.ClaimRequest{Worker: m.worker, Limit: 1, Kinds: []string{job.KindNoop}})
	m.must(err)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(m.dir, "directorybolt.db")+"?_pragma=busy_timeout(10000)")
	m.must(err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "DELETE FROM workers")
	m.must(err)

	m.says(m.run("stale", "list"), ExitOK, `^JOB .*\n`+id+` +noop +orphan +no_owner .* \$149\.00 .*\n$`, `^1 stale job, \$149\.00 at risk\n`)
	m.says(m.run("why", id), ExitOK, `It is stuck: nobody knows that worker any more\.`, `^$`)
	m.says(m.run("stale", "recover", "--dry-run"), ExitOK, id, ``)
	m.says(m.run("stale", "recover", "--job", id, "--actor", "cli:ann"), ExitOK, `^recovered `+id+` because of no_owner: it is pending\n$`, `^$`)
	m.says(m.run("stale", "recover"), ExitOK, `^$`, `^no stale jobs\n$`)
	if j, err := m.Job(t.Context(), jobs[0].ID); err != nil || j.State != job.Pending || j.Crashes != 1 {
		t.Errorf("job %+v, error %v; want it pending after one crash", j, err)
	}
}

// TestInAStormAPersonTakesBackOneJob has five workers whose leases are over.
func TestInAStormAPersonTakesBackOneJob(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	var id job.ID
	for range 5 {
		worker := job.NewID()
		m.must(m.Register(t.Context(), job.Worker{ID: worker, Host: worker.String(), PID: 1, Kinds: []string{job.KindNoop}, Capacity: 1}, 3*time.Second))
		placed, err := m.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop})
		m.must(err)
		_, err = m.Claim(t.Context(), job.ClaimRequest{Worker: worker, Limit: 1, Kinds: []string{job.KindNoop}})
		m.must(err)
		id = placed[0].ID
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		stale, err := m.Stale(t.Context(), time.Hour, 10)
		if err == nil && len(stale) == 5 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d stale jobs, error %v; want five", len(stale), err)
		}
	}
	m.says(m.run("stale", "recover", "--job", id.String(), "--actor", "cli:ann"), ExitOK, `^recovered `+id.String()+` because of lease_expired: it is pending\n$`, `^$`)
	stale, err := m.Stale(t.Context(), time.Hour, 10)
	if err != nil || len(stale) != 4 {
		t.Fatalf("%d stale jobs, error %v; want the four others", len(stale), err)
	}
	workers, err := m.Workers(t.Context(), time.Hour)
	m.must(err)
	retired := 0
	for _, w := range workers {
		if !w.RetiredAt.IsZero() {
			retired++
		}
	}
	if retired != 1 {
		t.Errorf("%d workers retired, want the owner of the job alone", retired)
	}
}
