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
)

// saysAll reports an error that lacks one of the words.
func saysAll(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestAFileThatIsNoDatabaseIsNamed(t *testing.T) {
	path := newFile(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	saysAll(t, err, path, "is not a SQLite database", "move it away")
}

func TestADamagedFileIsNamed(t *testing.T) {
	path := newFile(t)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	enqueue(t, s, 500)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(file); i++ { // all but the header
		file[i] = 0xff
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err == nil {
		defer s.Close()
		_, err = s.Counts(t.Context())
	}
	saysAll(t, err, path, "is damaged", "restore a backup")
}

func TestAPathMayHaveAnyCharacters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c%20 d", "ü&=.db")
	s := openStore(t, sqlite.Config{Path: path})
	enqueue(t, s, 1)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatWasNeverMigratedSaysSo(t *testing.T) {
	path := newFile(t)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, enqueue := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop})
	for what, err := range map[string]error{"enqueue": enqueue, "ping": s.Ping(t.Context())} {
		if !errors.Is(err, job.ErrSchema) {
			t.Errorf("%s: error %v is not ErrSchema", what, err)
		}
		saysAll(t, err, path, "0001_jobs", "migrate up")
	}
	if _, err := s.MigrationStatus(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := number(t, path, "SELECT count(*) FROM sqlite_master"); n != 0 {
		t.Errorf("asking for the status made %d tables", n)
	}
}

func TestAClosedStoreRefusesEverything(t *testing.T) {
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: newFile(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Writers in the middle of it get an answer, and the answer is true.
	var mu sync.Mutex
	answered := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				if _, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
					saysAll(t, err, "closed")
					return
				}
				mu.Lock()
				answered++
				mu.Unlock()
			}
		})
	}
	for done := false; !done; {
		mu.Lock()
		done = answered >= 50
		mu.Unlock()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("a second close: %v", err)
	}
	if _, err := s.Beat(t.Context(), job.NewID(), 1, nil); err == nil {
		t.Error("a closed store beats")
	}
	if _, err := s.Counts(t.Context()); err == nil {
		t.Error("a closed store counts")
	}
}
