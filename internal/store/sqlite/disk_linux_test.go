package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"golang.org/x/sys/unix"
)

// fill enqueues orders from several callers at once until the store is full, and
// returns those that were answered. Every other answer must be ErrFull.
func fill(t *testing.T, s *sqlite.Store) (answered []job.ID) {
	t.Helper()
	payload := []byte(`{"text": "` + strings.Repeat("x", 4000) + `"}`)
	var mu sync.Mutex
	atOnce(8, func(int) {
		for range 10000 {
			got, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindOrder, Quota: 1, Payload: payload})
			mu.Lock()
			if err == nil {
				answered = append(answered, got[0].ID)
			} else if !errors.Is(err, job.ErrFull) || !strings.Contains(err.Error(), "free disk space") {
				t.Errorf("enqueue into a full store gave %v, want ErrFull with the remedy", err)
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
		t.Error("the store was never full")
	})
	return answered
}

// whole checks that what was answered is there, with its event, and nothing else.
func whole(t *testing.T, s *sqlite.Store, path string, answered []job.ID) {
	t.Helper()
	for _, id := range answered {
		if _, err := s.Job(t.Context(), id); err != nil {
			t.Errorf("a job that was answered is lost: %v", err)
		}
	}
	for _, table := range []string{"jobs", "events"} {
		if n := number(t, path, "SELECT count(*) FROM "+table); int(n) != len(answered) {
			t.Errorf("%d rows in %s, want %d", n, table, len(answered))
		}
	}
	if n := number(t, path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"); n != 0 {
		t.Errorf("the file has %d faults", n)
	}
}

func TestAFullFileLosesNothingAndTakesMoreWhenItMayGrow(t *testing.T) {
	path := newFile(t)
	small, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := small.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	answered := fill(t, small)
	if len(answered) == 0 {
		t.Fatal("not one job found room")
	}
	whole(t, small, path, answered)
	if err := small.Close(); err != nil {
		t.Fatal(err)
	}

	large := openStore(t, sqlite.Config{Path: path})
	answered = append(answered, enqueueOrder(t, large))
	whole(t, large, path, answered)
}

func enqueueOrder(t *testing.T, s *sqlite.Store) job.ID {
	t.Helper()
	got, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindOrder, Quota: 1})
	if err != nil {
		t.Fatalf("enqueue when there is room again: %v", err)
	}
	return got[0].ID
}

func TestAFullDiskLosesNothingAndTheSameStoreGoesOnWhenThereIsRoom(t *testing.T) {
	dir := mount(t, "size=1m")
	if dir == "" {
		t.Log("mounting is not permitted here; a full file stands for a full disk, see the test before")
		TestAFullFileLosesNothingAndTakesMoreWhenItMayGrow(t)
		return
	}
	path, ballast := filepath.Join(dir, "directorybolt.db"), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 200<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, sqlite.Config{Path: path})
	answered := fill(t, s)
	whole(t, s, path, answered)
	t.Logf("%d orders found room", len(answered))

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	answered = append(answered, enqueueOrder(t, s))
	whole(t, s, path, answered)
}

// mount makes a small filesystem in memory that ends with the test; "" when this
// user may not.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			return ""
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestAReadOnlyDataDirectoryIsOneClearSentence(t *testing.T) {
	t.Run("where no file can be made", func(t *testing.T) {
		// Not even root can make a file here.
		_, err := sqlite.Open(t.Context(), sqlite.Config{Path: "/proc/self/directorybolt.db"})
		saysAll(t, err, "/proc/self/directorybolt.db", "must exist and be writable")
		if !errors.Is(err, job.ErrReadOnly) {
			t.Errorf("error %v is not ErrReadOnly", err)
		}
	})
	t.Run("where no directory can be made", func(t *testing.T) {
		_, err := sqlite.Open(t.Context(), sqlite.Config{Path: "/proc/self/data/directorybolt.db"})
		saysAll(t, err, "/proc/self/data", "DATA_DIR")
	})
	t.Run("with a database in it", func(t *testing.T) {
		dir := readOnlyWithDatabase(t)
		_, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "directorybolt.db")})
		saysAll(t, err, dir, "writ")
		if !errors.Is(err, job.ErrReadOnly) {
			t.Errorf("error %v is not ErrReadOnly", err)
		}
	})
}

// readOnlyWithDatabase is a directory with a migrated database that this user may
// not write, root included where it may mount.
func readOnlyWithDatabase(t *testing.T) string {
	t.Helper()
	dir := mount(t, "size=4m")
	byMode := dir == ""
	if byMode {
		dir = t.TempDir()
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "directorybolt.db")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !byMode {
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for path, mode := range map[string]os.FileMode{dir: 0o500, filepath.Join(dir, "directorybolt.db"): 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	return dir
}
