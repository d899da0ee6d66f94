package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
)

func TestMigratorsAtOnceApplyEachMigrationOnce(t *testing.T) {
	for name, way := range map[string]func(url string) string{
		"direct":      func(url string) string { return url },
		"session":     func(url string) string { return dbtest.PgBouncer(t, url, "session") },
		"transaction": func(url string) string { return dbtest.PgBouncer(t, url, "transaction") },
	} {
		t.Run(name, func(t *testing.T) {
			url := way(dbtest.Postgres(t))
			const migrators = 4
			var mu sync.Mutex
			applied := map[int64]int{}
			var all sync.WaitGroup
			for range migrators {
				s := open(t, postgres.Config{URL: url, Log: quiet}) // a handle each, as processes have
				all.Go(func() {
					done, err := s.Migrate(t.Context())
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					for _, m := range done {
						applied[m.Version]++
					}
				})
			}
			all.Wait()
			s := open(t, postgres.Config{URL: url, Log: quiet})
			list, err := s.MigrationStatus(t.Context())
			if err != nil || len(list) == 0 || len(list) != len(applied) {
				t.Fatalf("%d migrations, %d applied, error %v", len(list), len(applied), err)
			}
			for _, m := range list {
				if !m.Applied || applied[m.Version] != 1 {
					t.Errorf("%s: recorded %t, applied %d times, want once", m, m.Applied, applied[m.Version])
				}
			}
			if err := s.CheckSchema(t.Context()); err != nil {
				t.Error(err)
			}
			if again, err := s.Migrate(t.Context()); err != nil || len(again) != 0 {
				t.Errorf("a second time applied %v, error %v", again, err)
			}
		})
	}
}

// TestMigrationsLetOthersPass holds a table that a migration needs: it must not stand in
// the queue of locks all the while, for everybody who comes later would wait behind it.
func TestMigrationsLetOthersPass(t *testing.T) {
	text, err := postgres.MigrationSQL(0)
	if err != nil {
		t.Fatal(err)
	}
	url := dbtest.Postgres(t)
	last := number[int64](t, migrated(t), "SELECT max(version_id) FROM goose_db_version")
	before, _, _ := strings.Cut(text, fmt.Sprintf("\n-- %04d_", last))
	dbtest.Exec(t, url, before)
	user, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close(context.Background())
	for _, sql := range []string{"BEGIN", "LOCK TABLE goose_db_version IN SHARE MODE"} {
		if _, err := user.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	var applied []store.Migration
	s := open(t, postgres.Config{URL: url, Log: quiet})
	go func() {
		var err error
		applied, err = s.Migrate(t.Context())
		ended <- err
	}()
	waits := func(want int) {
		t.Helper()
		const waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'goose_db_version'::regclass"
		for end := time.Now().Add(30 * time.Second); number[int](t, url, waiting) != want; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d wait for the table, want %d", number[int](t, url, waiting), want)
			}
		}
	}
	waits(1)
	waits(0)
	waits(1)
	if _, err := user.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || len(applied) != 1 || applied[0].Version != last {
		t.Errorf("applied %v, error %v; want migration %d", applied, err, last)
	}
}

func TestPrintedMigrationsMakeTheSameSchema(t *testing.T) {
	text, err := postgres.MigrationSQL(0)
	if err != nil {
		t.Fatal(err)
	}
	url := dbtest.Postgres(t)
	dbtest.Exec(t, url, text)
	s := open(t, postgres.Config{URL: url})
	if applied, err := s.Migrate(t.Context()); err != nil || len(applied) != 0 {
		t.Errorf("after pasting, migrate applied %v, error %v", applied, err)
	}
	const columns = `SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, E'\n' ORDER BY table_name, ordinal_position)
		FROM information_schema.columns WHERE table_schema = 'public'`
	if got, want := number[string](t, url, columns), number[string](t, migrated(t), columns); got != want {
		t.Errorf("pasted:\n%s\nmigrated:\n%s", got, want)
	}
}

func TestAnEmptyDatabaseIsToldAndLeftAlone(t *testing.T) {
	url := dbtest.Postgres(t)
	s := open(t, postgres.Config{URL: url})
	if err := s.CheckSchema(t.Context()); !errors.Is(err, job.ErrSchema) {
		t.Errorf("check: got %v, want %v", err, job.ErrSchema)
	}
	if _, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); !errors.Is(err, job.ErrSchema) {
		t.Errorf("enqueue: got %v, want %v", err, job.ErrSchema)
	}
	if n := number[int](t, url, `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'`); n != 0 {
		t.Errorf("%d tables appeared", n)
	}
}
