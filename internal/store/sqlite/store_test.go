package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/store/storetest"
	_ "modernc.org/sqlite"
)

func TestStore(t *testing.T) { storetest.Run(t, newSubject) }

func TestModel(t *testing.T) { storetest.Model(t, newSubject) }

// clock is the store's clock under test: the real one, moved.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// newSubject is a fresh file with the clock in the test's hand.
func newSubject(t testing.TB, o storetest.Options) storetest.Subject {
	path := filepath.Join(t.TempDir(), "directorybolt.db")
	c := &clock{}
	open := func(t testing.TB) storetest.Store {
		t.Helper()
		return openStore(t, sqlite.Config{Path: path, Hints: o.Hints, Clock: c.now})
	}
	return storetest.Subject{
		Store: open(t), Advance: c.advance, Reopen: open,
		Number: func(t testing.TB, query string) int64 { return number(t, path, query) },
	}
}

// openStore opens a migrated store that is closed with the test.
func openStore(t testing.TB, c sqlite.Config) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), c)
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

// number answers a query of one row and one integer on a connection of its own.
func number(t testing.TB, path, query string) (n int64) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
