package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/google/uuid"
)

// The test binary is also the other process: with these in its environment it
// plays a part instead of running tests.
const (
	partEnv = "SQLITE_TEST_PART"
	pathEnv = "SQLITE_TEST_PATH"
)

var parts = map[string]func(path string) error{
	"claim":   claimAll,
	"enqueue": enqueueForEver,
	"migrate": migrateOnce,
	"answer":  enqueueWhenAsked,
	"lock":    holdTheDirectory,
}

func TestMain(m *testing.M) {
	part := os.Getenv(partEnv)
	if part == "" {
		os.Exit(m.Run())
	}
	if err := parts[part](os.Getenv(pathEnv)); err != nil {
		fmt.Fprintln(os.Stderr, part+":", err)
		os.Exit(1)
	}
}

// process is another process that plays a part.
type process struct {
	*exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// start begins a part on the file. It is killed with the test at the latest.
func start(t *testing.T, part, path string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), partEnv+"="+part, pathEnv+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &process{cmd, in, bufio.NewScanner(out)}
}

// line is the next line the process says.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("the process ended early: %v", p.lines.Err())
	}
	return p.lines.Text()
}

// rest is what it says until it ends.
func (p *process) rest() (lines []string) {
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
	}
	return lines
}

func newFile(t testing.TB) string { return filepath.Join(t.TempDir(), "directorybolt.db") }

func TestTwoProcessesClaimNoJobTwice(t *testing.T) {
	const jobs = 2000
	path := newFile(t)
	s := openStore(t, sqlite.Config{Path: path})
	enqueue(t, s, jobs)
	others := []*process{start(t, "claim", path), start(t, "claim", path)}
	for _, p := range others {
		p.line(t) // registered
	}
	for _, p := range others {
		fmt.Fprintln(p.in, "go")
	}
	owner := map[string]int{}
	for i, p := range others {
		mine := p.rest()
		for _, id := range mine {
			if first, twice := owner[id]; twice {
				t.Errorf("job %s was claimed by process %d and by %d", id, first, i)
			}
			owner[id] = i
		}
		t.Logf("process %d claimed %d jobs", i, len(mine))
	}
	if len(owner) != jobs {
		t.Errorf("%d jobs were claimed, want %d", len(owner), jobs)
	}
	if n := number(t, path, "SELECT count(*) FROM jobs WHERE state = 'completed' AND fence = 1 AND attempt = 1"); n != jobs {
		t.Errorf("%d jobs are completed under their first fence, want %d", n, jobs)
	}
}

// claimAll claims and completes until nothing is left, and says what it claimed.
func claimAll(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	w := job.NewID()
	if err := s.Register(ctx, job.Worker{ID: w, Host: "h", Capacity: 7}, time.Minute); err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	for {
		jobs, err := s.Claim(ctx, job.ClaimRequest{Worker: w, Limit: 7, Kinds: []string{job.KindNoop}})
		if err != nil || len(jobs) == 0 {
			return errors.Join(err, s.Close())
		}
		for _, j := range jobs {
			fmt.Println(j.ID)
			if lost, err := s.Complete(ctx, j.Lease()); err != nil || len(lost) > 0 {
				return fmt.Errorf("%d leases lost: %w", len(lost), err)
			}
		}
	}
}

func TestKilledInTheMiddleOfWritesNothingAnsweredIsLost(t *testing.T) {
	path := newFile(t)
	s := openStore(t, sqlite.Config{Path: path})
	answered := map[string]bool{}
	for round := range 5 {
		p := start(t, "enqueue", path)
		for range 200 + 37*round {
			answered[p.line(t)] = true
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for _, id := range p.rest() {
			if len(id) == len(uuid.Nil.String()) { // the last line may be cut
				answered[id] = true
			}
		}
		_ = p.Wait()
		for id := range answered {
			if _, err := s.Job(t.Context(), uuid.MustParse(id)); err != nil {
				t.Fatalf("round %d: an enqueue that was answered is lost: %v", round, err)
			}
		}
		// Each order has its event: no transaction is there by half.
		orders := number(t, path, "SELECT count(*) FROM jobs WHERE kind = 'order'")
		told := number(t, path, "SELECT count(*) FROM events WHERE type = 'order.created'")
		if orders != told {
			t.Fatalf("round %d: %d orders and %d events about them", round, orders, told)
		}
	}
	if n := number(t, path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"); n != 0 {
		t.Errorf("the file has %d faults", n)
	}
	enqueue(t, s, 1)
	t.Logf("%d enqueues answered by processes that were killed, all there", len(answered))
}

// enqueueForEver enqueues orders from several callers at once and says each id
// when its enqueue is answered.
func enqueueForEver(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				got, err := s.Enqueue(ctx, job.Spec{Kind: job.KindOrder, Quota: 1})
				if err != nil {
					failed <- err
					return
				}
				fmt.Println(got[0].ID)
			}
		}()
	}
	return <-failed
}

func TestMigratorsAtOnceApplyEachMigrationOnce(t *testing.T) {
	path := newFile(t)
	var migrators []*process
	for range 4 {
		migrators = append(migrators, start(t, "migrate", path))
	}
	applied := 0
	for _, p := range migrators {
		n, err := strconv.Atoi(p.line(t))
		if err != nil {
			t.Fatal(err)
		}
		applied += n
	}
	s := openStore(t, sqlite.Config{Path: path})
	status, err := s.MigrationStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range status {
		if !m.Applied {
			t.Errorf("migration %s is not applied", m)
		}
	}
	if applied != len(status) {
		t.Errorf("four migrators applied %d migrations, want %d", applied, len(status))
	}
	if n := number(t, path, "SELECT count(*) FROM goose_db_version WHERE version_id > 0"); int(n) != len(status) {
		t.Errorf("%d migrations are recorded, want %d", n, len(status))
	}
}

func migrateOnce(path string) error {
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	applied, err := s.Migrate(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(len(applied))
	return s.Close()
}

func TestAnEnqueueElsewhereWakesWithinMilliseconds(t *testing.T) {
	path := newFile(t)
	s := openStore(t, sqlite.Config{Path: path})
	other := start(t, "answer", path)
	woken := s.Wake(t.Context())
	other.line(t)

	var delays []time.Duration
	for len(delays) < 21 {
		select { // wake-ups of what went before
		case <-woken:
			continue
		case <-time.After(100 * time.Millisecond):
		}
		fmt.Fprintln(other.in, "enqueue")
		var at time.Time
		select {
		case <-woken:
			at = time.Now()
		case <-time.After(5 * time.Second):
			t.Fatal("no wake-up within 5 s")
		}
		committed, err := strconv.ParseInt(other.line(t), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		delays = append(delays, max(at.Sub(time.Unix(0, committed)), 0))
	}
	slices.Sort(delays)
	t.Logf("wake-up after a commit elsewhere: p50 %s, longest %s", delays[10], delays[20])
	if delays[10] > 50*time.Millisecond {
		t.Errorf("p50 of wake-ups is %s, want at most 50 ms", delays[10])
	}
}

// enqueueWhenAsked enqueues a job for each line it hears and says when that was
// committed.
func enqueueWhenAsked(path string) error {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		if _, err := s.Enqueue(ctx, job.Spec{Kind: job.KindNoop}); err != nil {
			return err
		}
		fmt.Println(time.Now().UnixNano())
	}
	return s.Close()
}

func TestTheDataDirectoryIsLockedByOneProcess(t *testing.T) {
	dir := t.TempDir()
	other := start(t, "lock", dir)
	other.line(t)
	_, err := sqlite.LockDir(dir)
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", other.Process.Pid)) {
		t.Fatalf("the second lock gave %v, want an error that names %s and pid %d", err, dir, other.Process.Pid)
	}
	openStore(t, sqlite.Config{Path: filepath.Join(dir, "directorybolt.db")}) // the file is free
	_ = other.Process.Kill()
	_ = other.Wait()

	release, err := sqlite.LockDir(dir)
	if err != nil {
		t.Fatalf("the lock of a dead process holds: %v", err)
	}
	if _, err := sqlite.LockDir(dir); err == nil {
		t.Error("a process locked the directory twice")
	}
	release()
	release, err = sqlite.LockDir(dir)
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	release()
}

func holdTheDirectory(dir string) error {
	if _, err := sqlite.LockDir(dir); err != nil {
		return err
	}
	fmt.Println("locked")
	select {}
}

// enqueue adds n noops.
func enqueue(t testing.TB, s *sqlite.Store, n int) []job.ID {
	t.Helper()
	got, err := s.Enqueue(t.Context(), slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, n)...)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]job.ID, n)
	for i := range got {
		ids[i] = got[i].ID
	}
	return ids
}

// atOnce runs n calls at once and waits for them.
func atOnce(n int, act func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { act(i) })
	}
	wg.Wait()
}
