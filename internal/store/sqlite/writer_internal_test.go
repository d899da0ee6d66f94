package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, c Config) *Store {
	t.Helper()
	c.Path = filepath.Join(t.TempDir(), "directorybolt.db")
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// plug occupies the writer until the returned function is called.
func plug(t *testing.T, s *Store) (pull func()) {
	t.Helper()
	in, out, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.write(context.Background(), func(*tx) error {
			close(in)
			<-out
			return nil
		})
	}()
	<-in
	return func() {
		close(out)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// queued waits until n callers wait behind the plug.
func queued(t *testing.T, s *Store, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); len(s.writer.queue) < n; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("%d callers are queued, want %d", len(s.writer.queue), n)
		}
	}
}

// together has the acts performed in their order and in one transaction, and
// returns each one's error.
func together(t *testing.T, s *Store, acts ...func() error) []error {
	t.Helper()
	pull := plug(t, s)
	results := make([]chan error, len(acts))
	for i, act := range acts {
		results[i] = make(chan error, 1)
		go func() { results[i] <- act() }()
		queued(t, s, i+1)
	}
	pull()
	errs := make([]error, len(acts))
	for i := range results {
		errs[i] = <-results[i]
	}
	return errs
}

// script is a fresh store and acts on it of which some fail.
func script(t *testing.T) (*Store, []func() error) {
	t.Helper()
	s := open(t, Config{})
	ctx := t.Context()
	w := job.NewID()
	if err := s.Register(ctx, job.Worker{ID: w, Host: "h", Capacity: 9}, time.Hour); err != nil {
		t.Fatal(err)
	}
	var ids []job.ID
	for range 6 {
		got, err := s.Enqueue(ctx, job.Spec{Kind: job.KindOrder, Quota: 1})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got[0].ID)
	}
	jobs, err := s.Claim(ctx, job.ClaimRequest{Worker: w, Limit: 4, Kinds: []string{job.KindOrder}})
	if err != nil || len(jobs) != 4 {
		t.Fatalf("claimed %d jobs: %v", len(jobs), err)
	}
	stale := jobs[0].Lease()
	stale.Fence++
	by := job.By{Actor: "cli:ann", Reason: "asked"}
	lost := func(lost []job.Lease, err error) error {
		if err == nil && len(lost) > 0 {
			return job.ErrLeaseLost
		}
		return err
	}
	enqueue := func(specs ...job.Spec) error {
		_, err := s.Enqueue(ctx, specs...)
		return err
	}
	fail := func(l job.Lease) error {
		_, err := s.Fail(ctx, l, job.Failure{Cause: "no", Permanent: true})
		return err
	}
	return s, []func() error{
		func() error { return s.Progress(ctx, jobs[3].Lease()) },
		func() error { return lost(s.Complete(ctx, jobs[0].Lease())) },
		func() error { return lost(s.Complete(ctx, jobs[0].Lease(), jobs[1].Lease())) }, // the first is gone
		func() error { return enqueue(job.Spec{Kind: job.KindNoop}, job.Spec{Kind: job.KindNoop, ID: ids[5]}) },
		func() error { return enqueue(job.Spec{Kind: job.KindNoop, IdempotencyKey: "k"}) },
		func() error { return enqueue(job.Spec{Kind: job.KindNoop, IdempotencyKey: "k"}) },
		func() error { return fail(stale) },
		func() error { return fail(jobs[2].Lease()) },
		func() error { return s.Redrive(ctx, jobs[3].ID, by) }, // runs
		func() error { return s.Redrive(ctx, jobs[2].ID, by) },
		func() error { return s.Cancel(ctx, ids[4], by) },
		func() error { return s.Cancel(ctx, ids[4], by) },
		func() error { return s.Cancel(ctx, job.NewID(), by) },
		func() error { return s.Pause(ctx, job.Scope{All: true}, by) },
		func() error { return s.Resume(ctx, job.Scope{Kind: "order"}, by) },
		func() error { return lost(s.Release(ctx, "drain", stale, jobs[3].Lease())) },
	}
}

// kindOf is what a caller can match of an error.
func kindOf(err error) string {
	for _, known := range []error{job.ErrLeaseLost, job.ErrState, job.ErrNotFound, job.ErrFull} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if invalid := new(job.InvalidError); errors.As(err, &invalid) {
		return "invalid " + invalid.Field
	}
	return fmt.Sprint(err)
}

// outcome is what the acts left, in what order they were answered aside.
func outcome(t *testing.T, s *Store, errs []error) (lines []string) {
	t.Helper()
	for i, err := range errs {
		lines = append(lines, fmt.Sprintf("act %d: %s", i, kindOf(err)))
	}
	for _, query := range []string{
		"SELECT 'job ' || kind || ' ' || state || ' ' || fence || ' ' || attempt || ' ' || failures || ' ' || redrives || ' ' || count(*) FROM jobs GROUP BY kind, state, fence, attempt, failures, redrives",
		"SELECT 'event ' || type || ' ' || actor <> '' || ' ' || count(*) FROM events GROUP BY type",
		"SELECT 'message ' || kind || ' ' || count(*) FROM outbox GROUP BY kind",
		"SELECT 'pause ' || scope FROM pauses",
	} {
		got, err := all(s.read(t.Context()), scanText, query)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, got...)
	}
	return lines
}

func TestAGroupOfCallersGetsWhatEachWouldHaveGotAlone(t *testing.T) {
	s, acts := script(t)
	var alone []error
	for _, act := range acts {
		alone = append(alone, act())
	}
	want := outcome(t, s, alone)

	s, acts = script(t)
	got := outcome(t, s, together(t, s, acts...))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-alone +together):\n%s", diff)
	}
	if !strings.Contains(strings.Join(want, "\n"), job.ErrLeaseLost.Error()) {
		t.Errorf("the script has no refused write:\n%s", strings.Join(want, "\n"))
	}
}

func TestACallerThatDoesNotFitLeavesTheOthersOfItsGroupAlone(t *testing.T) {
	s := open(t, Config{MaxBytes: 1 << 20})
	enqueue := func(size int) func() error {
		return func() error {
			_, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop, Payload: []byte(`{"x":"` + strings.Repeat("x", size) + `"}`)})
			return err
		}
	}
	errs := together(t, s, enqueue(1), enqueue(1), enqueue(4<<20), enqueue(1), enqueue(4<<20), enqueue(1))
	var got []string
	for _, err := range errs {
		got = append(got, kindOf(err))
	}
	full := job.ErrFull.Error()
	if diff := cmp.Diff([]string{"<nil>", "<nil>", full, "<nil>", full, "<nil>"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	counts, err := s.Counts(t.Context())
	if err != nil || counts[job.Pending] != 4 {
		t.Errorf("%d jobs pending, error %v, want 4", counts[job.Pending], err)
	}
}

// begun is a context that tells when somebody begins to wait for its end.
type begun struct {
	context.Context
	waits chan struct{}
	once  sync.Once
}

func (c *begun) Done() <-chan struct{} {
	c.once.Do(func() { close(c.waits) })
	return c.Context.Done()
}

func TestTheHeartbeatDoesNotWaitForTheQueue(t *testing.T) {
	s := open(t, Config{})
	pull := plug(t, s)
	var order []string // written in transactions, of which there is one at a time
	act := func(name string) func(*tx) error {
		return func(*tx) error {
			order = append(order, name)
			return nil
		}
	}
	const callers = 5 * groupLimit
	done := make(chan error, callers+1)
	for range callers {
		go func() { done <- s.write(context.Background(), act("queued")) }()
	}
	queued(t, s, cap(s.writer.queue))
	ctx := &begun{Context: t.Context(), waits: make(chan struct{})}
	go func() { done <- s.beat(ctx, act("beat")) }()
	<-ctx.waits
	pull()
	for range callers + 1 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	// One group may slip in while the beat is on its way to its place.
	if at := slices.Index(order, "beat"); at < 0 || at > groupLimit {
		t.Errorf("the beat came after %d others of %d", at, callers)
	}
}

func TestAFileHeldTooLongIsAClearErrorAndThenForgotten(t *testing.T) {
	s := open(t, Config{})
	s.writer.ses.patience = 50 * time.Millisecond
	other, err := openSession(t.Context(), s.path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop})
	if err == nil || !strings.Contains(err.Error(), "another process") || !strings.Contains(err.Error(), s.path) {
		t.Errorf("error %v, want one that names the file and says that another process holds it", err)
	}
	if err := other.exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
		t.Errorf("enqueue when the file is free again: %v", err)
	}
}

func TestACallerThatLeavesBeforeItsTurnChangesNothing(t *testing.T) {
	s := open(t, Config{})
	pull := plug(t, s)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := s.Enqueue(ctx, job.Spec{Kind: job.KindNoop})
		left <- err
	}()
	queued(t, s, 1)
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) { // while the writer is still busy
		t.Errorf("error %v, want that of the context", err)
	}
	pull()
	if err := s.write(t.Context(), func(*tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	counts, err := s.Counts(t.Context())
	if err != nil || counts[job.Pending] != 0 {
		t.Errorf("%d jobs pending, error %v, want none", counts[job.Pending], err)
	}
}

func TestAFilesystemWithoutSharedMemoryIsOneClearSentence(t *testing.T) {
	// A database in memory refuses the write-ahead log in the way such a filesystem
	// does: it answers with the journal that it keeps.
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ses := &session{db: db, conn: conn, stmts: map[string]*sql.Stmt{}}
	defer ses.close()
	s := &Store{path: "/mnt/share/data/directorybolt.db"}
	err = s.requireWAL(t.Context(), ses)
	for _, want := range []string{"the filesystem of /mnt/share/data", "DATA_DIR on a local disk"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestACallerNeedNotWaitForAFileThatAnotherProcessHolds(t *testing.T) {
	s := open(t, Config{})
	other, err := openSession(t.Context(), s.path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = s.Enqueue(ctx, job.Spec{Kind: job.KindNoop})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > patience/2 {
		t.Errorf("after %s: error %v, want that of the context at once", time.Since(begun), err)
	}
	if err := other.exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), func(*tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	counts, err := s.Counts(t.Context())
	if err != nil || counts[job.Pending] != 0 {
		t.Errorf("%d jobs pending, error %v, want none", counts[job.Pending], err)
	}
}
