package acceptance

import (
	"context"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
)

// longLease makes the lease no help within the time of a test.
func (s *stack) longLease() {
	s.set("LEASE", "5m")
	s.set("HEARTBEAT", "1m")
	s.set("CHECK_INTERVAL_SECONDS", "10")
}

// awaitWatched returns when n lifelines are held and n watches have looked around since:
// each has seen its neighbour alive and waits for it. On SQLite nobody has to wait to
// see one end.
func (s *stack) awaitWatched(n int) {
	s.t.Helper()
	if s.url == "" {
		return
	}
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	const here = ` FROM pg_locks l JOIN pg_database d ON d.oid = l.database JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND d.datname = current_database()`
	counts := func(query string, args ...any) (is int) {
		if err := conn.QueryRow(s.t.Context(), query, args...).Scan(&is); err != nil {
			s.t.Fatal(err)
		}
		return is
	}
	await := func(what string, ok func() bool) {
		for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				s.t.Fatalf("waited 30 s for %d %s", n, what)
			}
		}
	}
	await("lifelines", func() bool {
		return counts(`SELECT count(*)`+here+` AND l.granted AND l.mode = 'ExclusiveLock'`) == n
	})
	// A wait that began now was preceded by a look from before; the next one was not.
	for range 2 {
		var now time.Time
		if err := conn.QueryRow(s.t.Context(), `SELECT clock_timestamp()`).Scan(&now); err != nil {
			s.t.Fatal(err)
		}
		await("watches that wait", func() bool {
			return counts(`SELECT count(*)`+here+` AND NOT l.granted AND a.query_start > $1`, now) == n
		})
	}
}

// awaitClaim polls until a job has the given fence, and shows the logs when it does not.
func (s *stack) awaitClaim(id job.ID, fence int64, within time.Duration, ps ...*process) job.Job {
	s.t.Helper()
	var j job.Job
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		var err error
		if j, err = s.store().Job(s.t.Context(), id); err != nil {
			s.t.Fatal(err)
		}
		if j.Fence >= fence {
			return j
		}
	}
	for _, p := range ps {
		s.t.Logf("%s:\n%s", p.log, tail(p.output()))
	}
	s.t.Fatalf("fence %d after %s, want %d; the job is %s, owner %s", j.Fence, within, fence, j.State, j.WorkerID)
	return j
}

// ownerOf is the process that runs a job.
func (s *stack) ownerOf(j job.Job, ps ...*process) (owner, other *process) {
	s.t.Helper()
	ws, err := s.store().Workers(s.t.Context(), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range ws {
		for i, p := range ps {
			if w.ID == j.WorkerID && w.PID == p.cmd.Process.Pid {
				return p, ps[(i+1)%len(ps)]
			}
		}
	}
	s.t.Fatalf("no process runs the job of worker %s", j.WorkerID)
	return nil, nil
}

// TestKilledWorkerLosesItsJobLongBeforeItsLease kills a worker in the middle of a post.
// Its lease has minutes to go.
func TestKilledWorkerLosesItsJobLongBeforeItsLease(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		d := newTrap(t, false)
		s.use(d.catalog())
		s.longLease()
		a, b := s.start("work"), s.start("work")
		s.awaitWatched(2)
		id := s.submit(1, "starter")
		<-d.caught
		j, err := s.store().Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		owner, other := s.ownerOf(j, a, b)
		killed := time.Now()
		owner.kill()
		next := s.awaitClaim(id, j.Fence+1, time.Minute, owner, other)
		t.Logf("kill -9 to the next claim, as a poll saw it: %s", time.Since(killed).Round(time.Millisecond))
		if next.WorkerID == j.WorkerID || next.Crashes != 1 {
			t.Errorf("claimed by %s after %d crashes; %s was killed", next.WorkerID, next.Crashes, j.WorkerID)
		}
		other.alive()
		for _, e := range s.history(id) {
			if e.Type == job.EventJobRecovered && e.Cause != job.RetiredLockLost {
				t.Errorf("recovered because of %s, want %s", e.Cause, job.RetiredLockLost)
			}
		}
		d.letGo()
	})
}
