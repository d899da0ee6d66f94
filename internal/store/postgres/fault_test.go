package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
)

// patience bounds the wait for a server or a connection that comes back.
const patience = 20 * time.Second

// eventually polls, for what happens in other processes.
func eventually(t testing.TB, what string, holds func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	t.Fatalf("%s: not within %s: %v", what, patience, err)
}

const endSessions = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
	WHERE datname = current_database() AND pid <> pg_backend_pid()`

func TestEndedSessionsAreReplaced(t *testing.T) {
	url := migrated(t)
	s, other := open(t, direct(url)), open(t, direct(url))
	worker := register(t, s)
	woken := s.Wake(t.Context())
	beat := func() error {
		_, err := s.Beat(t.Context(), worker, time.Minute, nil)
		return err
	}
	hear := func() error {
		enqueue(t, other, job.Spec{Kind: job.KindNoop})
		select {
		case <-woken:
			return nil
		case <-time.After(100 * time.Millisecond):
			return errors.New("not woken")
		}
	}
	if err := beat(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first wake-up", hear)
	for range 3 {
		if number[int](t, url, endSessions) == 0 {
			t.Fatal("no session was ended")
		}
		if err := beat(); err != nil {
			t.Errorf("the first beat after its session was ended: %v", err)
		}
		eventually(t, "a query", func() error { _, err := s.Counts(t.Context()); return err })
		eventually(t, "a query of the other", func() error { _, err := other.Counts(t.Context()); return err })
		for len(woken) > 0 { // the listener rings when it is back
			<-woken
		}
		eventually(t, "a wake-up", hear)
	}
}

func TestADatabaseThatGoesAwayIsToldAndComesBack(t *testing.T) {
	c := dbtest.NewCluster(t)
	s := open(t, direct(c.URL("postgres")))
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := enqueue(t, s, job.Spec{Kind: job.KindNoop})[0].ID
	for name, end := range map[string]func() error{"stopped": c.Stop, "killed": c.Kill} {
		t.Run(name, func(t *testing.T) {
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if err := s.Ping(t.Context()); err == nil {
				t.Error("a database that is away answers")
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the database is back", func() error { return s.Ping(t.Context()) })
			if _, err := s.Job(t.Context(), id); err != nil {
				t.Errorf("what was committed before: %v", err)
			}
		})
	}
}

func TestOpenSaysInOneSentenceWhyThereIsNoDatabase(t *testing.T) {
	url := dbtest.Postgres(t)
	secret := strings.Replace(url, "postgres@", "postgres:hunter2@", 1)
	host := hostOf(t, url)
	for name, c := range map[string]struct {
		config postgres.Config
		says   []string
	}{
		"nobody listens":      {postgres.Config{URL: "postgres://ann:hunter2@127.0.0.1:1/orders"}, []string{"127.0.0.1:1", `"orders"`, "connection refused"}},
		"no such host":        {postgres.Config{URL: "postgres://ann:hunter2@nowhere.invalid/orders"}, []string{"nowhere.invalid:5432", "no such host"}},
		"no such database":    {postgres.Config{URL: strings.Replace(secret, pathOf(t, url), "/nowhere", 1)}, []string{host, `"nowhere"`, "does not exist"}},
		"no such role":        {postgres.Config{URL: strings.Replace(secret, "postgres:hunter2@", "bob:hunter2@", 1)}, []string{host, `"bob"`, "does not exist"}},
		"no URL":              {postgres.Config{}, []string{"url", "required"}},
		"not a URL":           {postgres.Config{URL: "postgres://ann:hunter2@127.0.0.1:port/orders"}, []string{"url", "postgres://USER:PASSWORD@HOST:PORT/DATABASE"}},
		"not a direct URL":    {postgres.Config{URL: url, DirectURL: "postgres://ann:hunt%er2@x/orders"}, []string{"direct_url"}},
		"no such pooling":     {postgres.Config{URL: url, Pooling: "statement"}, []string{"pooling", "statement"}},
		"negative pool bound": {postgres.Config{URL: url, MaxConns: -1}, []string{"max_conns"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Log = quiet
			s, err := postgres.Open(t.Context(), c.config)
			if err == nil {
				t.Fatal("opened", s.Close())
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if text := fmt.Sprintf("%+v", err); strings.Contains(text, "hunter2") || strings.Contains(text, "hunt%er2") || strings.Contains(text, "\n") {
				t.Errorf("error %q tells the password or more than a sentence", text)
			}
		})
	}
}

func TestAReadOnlyDatabaseIsToldAsSuch(t *testing.T) {
	url := migrated(t)
	dbtest.Exec(t, url, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`)
	s := open(t, direct(url))
	if _, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); !errors.Is(err, job.ErrReadOnly) {
		t.Errorf("got %v, want %v", err, job.ErrReadOnly)
	}
}

func TestConditionsAreKnownByTheirCode(t *testing.T) {
	for code, want := range map[string]error{
		"53100": job.ErrFull, "25006": job.ErrReadOnly, "42P01": job.ErrSchema, "42703": job.ErrSchema, "42883": job.ErrSchema,
	} {
		said := &pgconn.PgError{Code: code, Message: "no matter what"}
		if got := postgres.Readable(fmt.Errorf("deep: %w", said)); !errors.Is(got, want) || !errors.Is(got, said) {
			t.Errorf("%s: got %v, want %v with its cause", code, got, want)
		}
	}
}

func TestRefusedWritesAreCountedByVerb(t *testing.T) {
	got := map[string]int{}
	config := direct(migrated(t))
	config.OnFenced = func(verb string) { got[verb]++ }
	s := open(t, config)
	nobody := job.Lease{JobID: job.NewID(), Fence: 1, WorkerID: job.NewID()}
	if lost, err := s.Complete(t.Context(), nobody, nobody); err != nil || len(lost) != 2 {
		t.Errorf("lost %v, error %v", lost, err)
	}
	if err := s.Progress(t.Context(), nobody); !errors.Is(err, job.ErrLeaseLost) {
		t.Errorf("got %v, want %v", err, job.ErrLeaseLost)
	}
	if got["complete"] != 2 || got["progress"] != 1 || len(got) != 2 {
		t.Errorf("counted %v", got)
	}
}

// A process that is stopped in the middle of anything must hold no lock on a job.
func TestNoMethodLeavesATransactionOpen(t *testing.T) {
	url := migrated(t)
	s := open(t, direct(url))
	worker := register(t, s)
	enqueue(t, s, job.Spec{Kind: job.KindNoop}, job.Spec{Kind: job.KindNoop})
	if n := drain(t, s, 1, 1); n != 2 {
		t.Fatalf("drained %d", n)
	}
	if _, err := s.Beat(context.Background(), worker, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	if n := number[int](t, url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'`); n != 0 {
		t.Errorf("%d sessions idle in a transaction", n)
	}
}

func TestABulkEnqueueIsAllOrNone(t *testing.T) {
	s := open(t, direct(migrated(t)))
	specs := make([]job.Spec, 500)
	for i := range specs {
		specs[i] = job.Spec{Kind: job.KindNoop}
	}
	known := enqueue(t, s, specs...)[7].ID
	specs[499].ID = known
	var invalid *job.InvalidError
	if _, err := s.Enqueue(t.Context(), specs...); !errors.As(err, &invalid) || invalid.Field != "id" {
		t.Errorf("got %v, want the id refused", err)
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts[job.Pending] != 500 {
		t.Errorf("%d jobs wait, error %v, want the first 500", counts[job.Pending], err)
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	url := migrated(t)
	before := goleak.IgnoreCurrent()
	s := open(t, direct(url))
	worker := register(t, s)
	woken := s.Wake(t.Context())
	enqueue(t, s, job.Spec{Kind: job.KindNoop})
	<-woken
	if _, err := s.Beat(t.Context(), worker, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
	eventually(t, "the sessions are gone", func() error {
		if n := number[int](t, url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); n != 0 {
			return fmt.Errorf("%d sessions are left", n)
		}
		return nil
	})
	if _, err := s.Counts(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}
