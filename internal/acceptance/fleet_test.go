package acceptance

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/stale"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// roleEnv makes the test binary a worker process that keeps a witness of its own.
const (
	roleEnv    = "ACCEPTANCE_STORE"   // a Postgres URL or the path of an SQLite file
	witnessEnv = "ACCEPTANCE_WITNESS" // file that each claim is written to before it runs
	workEnv    = "ACCEPTANCE_WORK"    // how long a job takes
)

// playRole runs a worker with no-op jobs until it is killed or told to stop.
func playRole() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := serveRole(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveRole(ctx context.Context) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := openAnyStore(ctx, os.Getenv(roleEnv), log)
	if err != nil {
		return err
	}
	witness, err := os.OpenFile(os.Getenv(witnessEnv), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	work, err := time.ParseDuration(os.Getenv(workEnv))
	if err != nil {
		return err
	}
	pool, err := worker.New(worker.Config{
		Store: s, Log: log, Heartbeat: 200 * time.Millisecond, Lease: time.Second, Poll: 50 * time.Millisecond,
		Prefetch: 20, Backoff: backoff.Policy{Base: 50 * time.Millisecond, Cap: 100 * time.Millisecond},
		Handlers: map[string]job.Handler{job.KindNoop: job.HandlerFunc(func(_ context.Context, a job.Attempt) error {
			// One write call: a kill leaves the line whole or absent.
			_, err := fmt.Fprintf(witness, "%s %d\n", a.Job.ID, a.Job.Fence)
			time.Sleep(work)
			return err
		})},
	})
	if err != nil {
		return err
	}
	go func() {
		_ = stale.New(stale.Config{Store: s, Interval: 250 * time.Millisecond, Log: log}).Run(ctx)
	}()
	return pool.Run(ctx)
}

func openAnyStore(ctx context.Context, where string, log *slog.Logger) (store, error) {
	fast := 50 * time.Millisecond
	if strings.HasPrefix(where, "postgres") {
		return postgres.Open(ctx, postgres.Config{URL: where, Log: log, BackoffBase: fast, BackoffCap: fast})
	}
	return sqlite.Open(ctx, sqlite.Config{Path: where, Log: log, BackoffBase: fast, BackoffCap: fast})
}

// fleet is a number of role workers on one store.
type fleet struct {
	t       *testing.T
	where   string
	dir     string
	members []*exec.Cmd
	started int
}

func (f *fleet) start(i int) {
	f.t.Helper()
	f.started++
	cmd := exec.Command(os.Args[0])
	// However many members there are, ten slots each, the jobs keep them busy for
	// four seconds and more: long enough for the kills.
	work := 4 * time.Second * time.Duration(10*len(f.members)) / fleetJobs
	cmd.Env = append(os.Environ(), roleEnv+"="+f.where, workEnv+"="+work.String(),
		witnessEnv+"="+filepath.Join(f.dir, fmt.Sprintf("witness-%d", f.started)))
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, dieWithUs
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.members[i] = cmd
}

func (f *fleet) kill(i int) {
	_ = f.members[i].Process.Kill()
	_ = f.members[i].Wait()
}

// TestNoJobIsClaimedTwice runs ten thousand short jobs through two and eight
// processes that are killed at random, and holds each process's own record of
// what it was handed against the others'.
func TestNoJobIsClaimedTwice(t *testing.T) {
	for _, c := range []struct {
		dialect   string
		processes int
	}{{"sqlite", 2}, {"postgres", 2}, {"postgres", 8}} {
		t.Run(fmt.Sprintf("%s with %d processes", c.dialect, c.processes), func(t *testing.T) {
			s := newStack(t, c.dialect)
			f := &fleet{t: t, where: s.url, dir: t.TempDir(), members: make([]*exec.Cmd, c.processes)}
			if f.where == "" {
				f.where = filepath.Join(s.dataDir, "directorybolt.db")
			}
			claimStory(t, s.store(), f)
		})
	}
}

// fleetPatience bounds a story; the storm breaker may hold recovery for a minute of it.
const fleetPatience = 5 * time.Minute

// mostKills is enough to prove something.
const mostKills = 100

// fleetJobs is how many jobs a fleet runs.
const fleetJobs = 10_000

func claimStory(t *testing.T, s store, f *fleet) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	specs := make([]job.Spec, fleetJobs)
	for i := range specs {
		specs[i] = job.Spec{Kind: job.KindNoop, Priority: 1 + i%4, CrashBudget: 1000}
	}
	if _, err := s.Enqueue(t.Context(), specs...); err != nil {
		t.Fatal(err)
	}
	for i := range f.members {
		f.start(i)
		t.Cleanup(func() { f.kill(i) })
	}
	kills := killUntilDone(t, s, f, rnd)
	claims := readWitnesses(t, f)
	t.Logf("%d jobs, %d claims that began to run, %d kills", fleetJobs, claims, kills)
	if kills < 10 {
		t.Errorf("only %d kills happened; the jobs were through too soon to prove anything", kills)
	}
}

// killUntilDone kills and replaces members at random until all jobs are completed.
func killUntilDone(t *testing.T, s store, f *fleet, rnd *rand.Rand) (kills int) {
	t.Helper()
	for deadline := time.Now().Add(fleetPatience); time.Now().Before(deadline); {
		counts, err := s.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if counts[job.Completed] == fleetJobs {
			return kills
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(200 * time.Millisecond))))
		if kills < mostKills && counts[job.Completed] < fleetJobs*9/10 {
			i := rnd.IntN(len(f.members))
			f.kill(i)
			f.start(i)
			kills++
		}
	}
	counts, err := s.Counts(t.Context())
	t.Fatalf("not done in time: %v, error %v", counts, err)
	return kills
}

// readWitnesses fails the test when two processes were handed the same claim.
func readWitnesses(t *testing.T, f *fleet) (claims int) {
	t.Helper()
	seen := map[string]string{}
	files, err := filepath.Glob(filepath.Join(f.dir, "witness-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(file); lines.Scan(); claims++ {
			if other, twice := seen[lines.Text()]; twice {
				t.Errorf("claim %q ran in %s and in %s", lines.Text(), other, name)
			}
			seen[lines.Text()] = name
		}
		_ = file.Close()
	}
	return claims
}

// TestFleetSubmitsNothingTwice sends orders through several worker processes that
// are killed at random.
func TestFleetSubmitsNothingTwice(t *testing.T) {
	for _, c := range []struct {
		dialect   string
		processes int
	}{{"sqlite", 2}, {"postgres", 8}} {
		t.Run(fmt.Sprintf("%s with %d processes", c.dialect, c.processes), func(t *testing.T) {
			orderStory(t, newStack(t, c.dialect), c.processes)
		})
	}
}

func orderStory(t *testing.T, s *stack, processes int) {
	const orders = 8
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	web := newSandbox(t, sandbox.Config{Seed: int64(seed >> 1), Scale: 0.2})
	s.useSandbox(web)
	s.set("WORKER_CONCURRENCY", "2")
	monitor := s.start("all")
	members := make([]*process, processes)
	for i := range members {
		members[i] = s.start("work")
	}
	ids := make([]job.ID, orders)
	for n := range ids {
		ids[n] = s.submit(n+1, "starter")
	}
	for range 2 * processes {
		time.Sleep(time.Duration(rnd.Int64N(int64(800 * time.Millisecond))))
		i := rnd.IntN(processes)
		members[i].kill()
		members[i] = s.start("work")
	}
	for n, id := range ids {
		j := s.awaitFinal(id, fleetPatience, append(members, monitor)...)
		if j.State != job.Completed {
			t.Errorf("order %d is %s: %s", n+1, j.State, j.Cause)
		}
		subs := s.results(id)
		checkWitness(t, web, n+1, subs)
		checkBooks(t, j, subs)
	}
}
