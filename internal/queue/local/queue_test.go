package local_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/queue/local"
	"github.com/directorybolt/directorybolt/internal/queue/queuetest"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

var quiet = slog.New(slog.DiscardHandler)

func TestQueueKeepsTheContract(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) local.Store{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			queuetest.Run(t, func(t *testing.T) queuetest.Subject {
				return queuetest.Subject{Queue: local.New(open(t))}
			})
		})
	}
}

func openSQLite(t *testing.T) local.Store {
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "jobs.db"), Hints: true, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func openPostgres(t *testing.T) local.Store {
	s, err := postgres.Open(t.Context(), postgres.Config{URL: dbtest.Postgres(t), Hints: true, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
