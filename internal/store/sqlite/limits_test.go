package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/directorybolt/directorybolt/internal/ratelimit/ratelimittest"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

func TestRateLimits(t *testing.T) {
	ratelimittest.Run(t, func(t testing.TB) ratelimittest.Subject {
		path := filepath.Join(t.TempDir(), "directorybolt.db")
		var mu sync.Mutex
		var now time.Time
		clock := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
		reopen := func(t testing.TB) ratelimit.Storage {
			return openLimits(t, openStore(t, sqlite.Config{Path: path, Clock: clock}))
		}
		return ratelimittest.Subject{
			Storage: reopen(t), Reopen: reopen,
			Set: func(t time.Time) {
				mu.Lock()
				defer mu.Unlock()
				now = t
			},
			Logs: func(t testing.TB) int { return int(number(t, path, "SELECT count(*) FROM rate_limit")) },
		}
	})
}

// openLimits opens logs that are closed with the test.
func openLimits(t testing.TB, s *sqlite.Store) *sqlite.Limits {
	t.Helper()
	l, err := s.Limits(t.Context(), sqlite.LimitsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

// holdFile begins to write, as another process would, and returns what ends it.
func holdFile(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := db.Exec("ROLLBACK"); err != nil {
			t.Error(err)
		}
	}
}

// Another process in a long transaction: a decision does not wait for it.
func TestRateLimitsDoNotWaitForWhoHoldsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directorybolt.db")
	l := openLimits(t, openStore(t, sqlite.Config{Path: path}))
	held := holdFile(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	ask := ratelimit.Ask{Key: ratelimit.Key{1}, N: 1, Limit: 1, Window: time.Minute}
	if _, err := l.Admit(ctx, []ratelimit.Ask{ask}); err == nil {
		t.Error("a file that another process holds was written")
	}
	held()
	got, err := l.Admit(t.Context(), []ratelimit.Ask{ask})
	if err != nil || got[0].Granted != 1 {
		t.Errorf("afterwards %+v, error %v: what did not come to its turn was counted", got, err)
	}
}

func TestASecretIsMadeOnceForAllProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directorybolt.db")
	a, err := openStore(t, sqlite.Config{Path: path}).Secret(t.Context(), "rate_limit")
	if err != nil || len(a) != 32 {
		t.Fatalf("%d bytes, error %v", len(a), err)
	}
	b, err := openStore(t, sqlite.Config{Path: path}).Secret(t.Context(), "rate_limit")
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("another process has another secret, error %v", err)
	}
}

// The logs use a connection of their own, which must not keep the jobs from theirs.
func TestRateLimitsAndJobsShareTheFile(t *testing.T) {
	s := openStore(t, sqlite.Config{Path: filepath.Join(t.TempDir(), "directorybolt.db")})
	l := openLimits(t, s)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				if _, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 25 {
				ask := ratelimit.Ask{Key: ratelimit.Key{1}, N: 1, Limit: 100, Window: time.Hour}
				if got, err := l.Admit(t.Context(), []ratelimit.Ask{ask}); err != nil || got[0].Granted != 1 {
					t.Errorf("got %+v, error %v", got, err)
				}
			}
		})
	}
	all.Wait()
}
