package stale_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/worker"
	"github.com/jackc/pgx/v5"
)

var quiet = slog.New(slog.DiscardHandler)

// fleet is a number of workers on one Postgres, each with a store and a stale monitor
// of its own as a process has, and each running one job until it is told to end it.
type fleet struct {
	t     *testing.T
	url   string
	store *postgres.Store
	jobs  []job.ID
	end   chan struct{} // closed: jobs end
	begun chan job.Job  // attempts
	lease time.Duration
}

// newFleet starts n members on a migrated database and returns when each runs a job
// and is watched.
func newFleet(t *testing.T, url string, n int, lease time.Duration) *fleet {
	t.Helper()
	f := &fleet{t: t, url: url, end: make(chan struct{}), begun: make(chan job.Job, 100), lease: lease}
	f.store = f.open()
	t.Cleanup(func() { _ = f.store.Close() })
	if _, err := f.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range n {
		f.join()
	}
	specs := make([]job.Spec, n)
	for i := range specs {
		specs[i].Kind = job.KindNoop
	}
	added, err := f.store.Enqueue(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range added {
		f.jobs = append(f.jobs, a.ID)
		<-f.begun
	}
	f.awaitWatched(n)
	return f
}

func (f *fleet) open() *postgres.Store {
	f.t.Helper()
	s, err := postgres.Open(f.t.Context(), postgres.Config{URL: f.url, Log: quiet, MaxConns: 3})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// join starts a member.
func (f *fleet) join() {
	f.t.Helper()
	s := f.open()
	ctx, cancel := context.WithCancel(context.Background())
	pool, err := worker.New(worker.Config{
		Store: s, Log: quiet, Concurrency: 1, Heartbeat: f.lease / 10, Lease: f.lease, Poll: 50 * time.Millisecond,
		Handlers: map[string]job.Handler{job.KindNoop: job.HandlerFunc(f.work)},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	monitor := stale.New(stale.Config{Store: s, Lifelines: s, Interval: 200 * time.Millisecond, Lease: f.lease, Log: quiet})
	ended := make(chan error, 2)
	go func() { ended <- pool.Run(ctx) }()
	go func() { ended <- monitor.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, <-ended, s.Close()); err != nil {
			f.t.Errorf("a member ended with %v", err)
		}
	})
}

func (f *fleet) work(ctx context.Context, a job.Attempt) error {
	f.begun <- a.Job
	select {
	case <-f.end:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ask answers a query of one row and one column.
func ask[T any](f *fleet, query string, args ...any) (v T) {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(f.t.Context(), query, args...).Scan(&v); err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
	return v
}

func (f *fleet) await(what string, ok func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited a minute for %s", what)
		}
	}
}

const (
	lifelines = `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = database
		WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted AND datname = current_database()`
	waits = `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = database
		WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`
	holder = `SELECT coalesce(min(l.pid), 0) FROM pg_locks l JOIN workers w ON hashtextextended(w.id::text, 0) = classid::bigint << 32 | objid::bigint
		WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted AND w.id = $1`
)

// awaitWatched waits until n lifelines are held, and as many waited for where there
// are two or more.
func (f *fleet) awaitWatched(n int) {
	f.t.Helper()
	watched := n
	if n == 1 {
		watched = 0
	}
	f.await(fmt.Sprintf("%d lifelines", n), func() bool {
		return ask[int](f, lifelines) == n && ask[int](f, waits) == watched
	})
}

// awaitBeats waits until every live worker has beaten twice from now on.
func (f *fleet) awaitBeats() {
	f.t.Helper()
	for range 2 {
		now := ask[time.Time](f, `SELECT clock_timestamp()`)
		f.await("a beat of everybody", func() bool {
			return ask[int](f, `SELECT count(*) FROM workers WHERE retired_at IS NULL AND beat_at < $1`, now) == 0
		})
	}
}

// expectUnharmed ends all jobs and checks that each is completed in its first attempt,
// and that nobody was retired.
func (f *fleet) expectUnharmed() {
	f.t.Helper()
	if n := ask[int](f, `SELECT count(*) FROM workers WHERE retired_at IS NOT NULL`); n != 0 {
		f.t.Errorf("%d workers were retired, because of %s", n, ask[string](f, `SELECT string_agg(retired_cause, ', ') FROM workers WHERE retired_at IS NOT NULL`))
	}
	for _, j := range f.complete() {
		if j.Fence != 1 || j.Crashes != 0 || j.Attempt != 1 {
			f.t.Errorf("job %s: fence %d, crashes %d, attempt %d; want its first attempt to end it", j.ID, j.Fence, j.Crashes, j.Attempt)
		}
	}
}

// complete ends all jobs and waits until they are completed.
func (f *fleet) complete() (jobs []job.Job) {
	f.t.Helper()
	close(f.end)
	for _, id := range f.jobs {
		var j job.Job
		f.await("a completed job", func() bool {
			var err error
			if j, err = f.store.Job(f.t.Context(), id); err != nil {
				f.t.Fatal(err)
			}
			return j.State == job.Completed
		})
		jobs = append(jobs, j)
	}
	return jobs
}

// calm is a lease that no slow machine loses by accident.
const calm = time.Minute

// TestRestartOfPostgresCostsNoAttempt frees all lifelines at once, in order and by a
// crash of the server.
func TestRestartOfPostgresCostsNoAttempt(t *testing.T) {
	for name, end := range map[string]func(*dbtest.Cluster) error{"in order": (*dbtest.Cluster).Stop, "crash": (*dbtest.Cluster).Kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dbtest.NewCluster(t)
			f := newFleet(t, c.URL("postgres"), 5, calm)
			for range 3 {
				if err := errors.Join(end(c), c.Start()); err != nil {
					t.Fatal(err)
				}
				f.awaitWatched(5)
			}
			f.awaitBeats()
			f.expectUnharmed()
		})
	}
}

// TestStalledPostgresRecoversNothing freezes the server and every session for two
// seconds, several times.
func TestStalledPostgresRecoversNothing(t *testing.T) {
	t.Parallel()
	c := dbtest.NewCluster(t)
	f := newFleet(t, c.URL("postgres"), 5, 10*time.Second)
	for range 2 {
		if err := c.Freeze(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // the stall itself
		if err := c.Thaw(); err != nil {
			t.Fatal(err)
		}
		f.awaitBeats()
	}
	f.awaitWatched(5)
	f.expectUnharmed()
}

// TestWorkerWhoseLifelineIsCutBeginsAnew terminates the session that holds it, while
// the worker is well and another watches.
func TestWorkerWhoseLifelineIsCutBeginsAnew(t *testing.T) {
	t.Parallel()
	f := newFleet(t, dbtest.Postgres(t), 2, calm)
	victim, err := f.store.Job(t.Context(), f.jobs[0])
	if err != nil {
		t.Fatal(err)
	}
	ask[bool](f, `SELECT pg_terminate_backend((`+holder+`))`, victim.WorkerID)
	again := <-f.begun
	if again.ID != victim.ID || again.Fence != 2 || again.WorkerID == victim.WorkerID {
		t.Errorf("job %s began with fence %d at worker %s, want job %s with fence 2 elsewhere than %s", again.ID, again.Fence, again.WorkerID, victim.ID, victim.WorkerID)
	}
	if cause := ask[string](f, `SELECT retired_cause FROM workers WHERE id = $1`, victim.WorkerID); cause != job.RetiredLockLost {
		t.Errorf("retired because of %s, want %s", cause, job.RetiredLockLost)
	}
	f.awaitWatched(2) // under a new identity
	for _, j := range f.complete() {
		if want := int64(1); j.ID == victim.ID && j.Crashes != 1 || j.ID != victim.ID && j.Fence != want {
			t.Errorf("job %s: fence %d, crashes %d", j.ID, j.Fence, j.Crashes)
		}
	}
}

// TestOnlyWorkerKeepsItsTenureWhenItsLifelineIsCut: nobody took it for dead.
func TestOnlyWorkerKeepsItsTenureWhenItsLifelineIsCut(t *testing.T) {
	t.Parallel()
	f := newFleet(t, dbtest.Postgres(t), 1, calm)
	j, err := f.store.Job(t.Context(), f.jobs[0])
	if err != nil {
		t.Fatal(err)
	}
	old := ask[int](f, holder, j.WorkerID)
	ask[bool](f, `SELECT pg_terminate_backend($1)`, old)
	f.await("another session with the lifeline", func() bool {
		now := ask[int](f, holder, j.WorkerID)
		return now != 0 && now != old
	})
	f.expectUnharmed()
}

// TestDeathIsSeenAfterTheWatchWasCut ends the session that waits, then a member.
func TestDeathIsSeenAfterTheWatchWasCut(t *testing.T) {
	t.Parallel()
	f := newFleet(t, dbtest.Postgres(t), 2, calm)
	cut := ask[[]int32](f, `SELECT array_agg(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = database
		WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`)
	ask[int](f, `SELECT count(pg_terminate_backend(pid)) FROM unnest($1::integer[]) AS pid`, cut)
	f.await("watches in new sessions", func() bool { return ask[int](f, waits+` AND l.pid <> ALL ($1::integer[])`, cut) == 2 })

	victim, err := f.store.Job(t.Context(), f.jobs[0])
	if err != nil {
		t.Fatal(err)
	}
	// The victim lives and takes its lifeline again; whoever is not waiting at that
	// moment has nothing to see.
	f.await("a retired worker", func() bool {
		ask[bool](f, `SELECT coalesce(pg_terminate_backend((`+holder+`)), false)`, victim.WorkerID)
		return ask[int](f, `SELECT count(*) FROM workers WHERE retired_cause = 'lock_lost'`) == 1
	})
	if again := <-f.begun; again.ID != victim.ID {
		t.Errorf("job %s began, want %s", again.ID, victim.ID)
	}
	f.complete()
}
