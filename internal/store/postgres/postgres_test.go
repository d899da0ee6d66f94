package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"testing"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/storetest"
	"github.com/jackc/pgx/v5"
)

func TestStore(t *testing.T) { storetest.Run(t, subjects(direct)) }

func TestModel(t *testing.T) { storetest.Model(t, subjects(direct)) }

func TestStoreThroughSessionPooler(t *testing.T) { storetest.Run(t, subjects(through(t, "session"))) }

func TestStoreThroughTransactionPooler(t *testing.T) {
	storetest.Run(t, subjects(through(t, "transaction")))
}

// way makes the configuration that leads to a database.
type way func(url string) postgres.Config

func direct(url string) postgres.Config { return postgres.Config{URL: url, Log: quiet} }

// quiet is a log for stores whose words nobody reads.
var quiet = slog.New(slog.DiscardHandler)

// through starts one pooler and leads every database through it. In transaction
// mode wake-ups of other processes need the direct way.
func through(t testing.TB, mode string) way {
	pooler := dbtest.PgBouncer(t, dbtest.Superuser(t), mode)
	return func(url string) postgres.Config {
		c := postgres.Config{URL: sameDatabase(t, pooler, url), Log: quiet}
		if mode == "transaction" {
			c.DirectURL = url
		}
		return c
	}
}

// sameDatabase is the pooler's URL with the database of another.
func sameDatabase(t testing.TB, pooler, database string) string {
	t.Helper()
	p, err1 := url.Parse(pooler)
	d, err2 := url.Parse(database)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	p.Path = d.Path
	return p.String()
}

// subjects makes stores on fresh databases with the clock in the test's hand.
func subjects(w way) storetest.Factory {
	return func(t testing.TB, o storetest.Options) storetest.Subject {
		url := migrated(t)
		advance := dbtest.Clock(t, url)
		config := w(url)
		config.Hints, config.MaxConns = o.Hints, 8
		reopen := func(t testing.TB) storetest.Store { return open(t, config) }
		return storetest.Subject{
			Store: reopen(t), Advance: advance, Reopen: reopen, Steps: 600,
			Number:    func(t testing.TB, query string) int64 { return number[int64](t, url, query) },
			AfterLook: func(t testing.TB, watches int) { afterLook(t, url, watches) },
		}
	}
}

// migrated is the URL of a fresh database with the schema in it.
var migrated = dbtest.Template(func(url string) error {
	ctx := context.Background()
	s, err := postgres.Open(ctx, postgres.Config{URL: url, Pooling: "session"})
	if err != nil {
		return err
	}
	_, err = s.Migrate(ctx)
	return errors.Join(err, s.Close())
})

// open opens a store that is closed with the test.
func open(t testing.TB, c postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// number answers a query of one row and one column on a connection of its own.
func number[T any](t testing.TB, url, query string) (n T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
