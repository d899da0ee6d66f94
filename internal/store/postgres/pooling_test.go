package postgres_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/jackc/pgx/v5"
)

func TestOpenProvesHowItIsPooled(t *testing.T) {
	url := dbtest.Postgres(t)
	session, transaction := dbtest.PgBouncer(t, url, "session"), dbtest.PgBouncer(t, url, "transaction")
	for name, c := range map[string]struct {
		config postgres.Config
		want   postgres.Mode
		says   string // in the log, if anything
	}{
		"no pooler":                      {postgres.Config{URL: url}, postgres.Session, ""},
		"session pooler":                 {postgres.Config{URL: session}, postgres.Session, ""},
		"transaction pooler":             {postgres.Config{URL: transaction, Pooling: "auto"}, postgres.Transaction, "DATABASE_DIRECT_URL"},
		"transaction pooler, direct URL": {postgres.Config{URL: transaction, DirectURL: url}, postgres.Transaction, "direct connection"},
		"a hint that is not true":        {postgres.Config{URL: url + "&pgbouncer=true&connection_limit=1"}, postgres.Session, "gives sessions"},
		"as the operator says":           {postgres.Config{URL: url, Pooling: "transaction"}, postgres.Transaction, "as configured"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c.config.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := open(t, c.config)
			if got := s.Mode(); got != c.want {
				t.Errorf("got mode %s, want %s; log: %s", got, c.want, &log)
			}
			if lines := strings.Count(log.String(), "\n"); !strings.Contains(log.String(), c.says) || (c.says == "") != (lines == 0) || lines > 1 {
				t.Errorf("log is %q, want %q in it, and nothing twice", &log, c.says)
			}
		})
	}
}

// A busy pooler gives two clients two backends; what they hear of each other decides.
func TestANotificationIsHeardInSessionsOnly(t *testing.T) {
	url := dbtest.Postgres(t)
	for mode, want := range map[string]bool{"session": true, "transaction": false} {
		t.Run(mode, func(t *testing.T) {
			through := dbtest.PgBouncer(t, url, mode)
			heard, err := postgres.Hears(t.Context(), plainConn(t, through), plainConn(t, through))
			if err != nil || heard != want {
				t.Errorf("got %t, %v, want %t", heard, err, want)
			}
		})
	}
}

// plainConn is a connection that works through any pooler.
func plainConn(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func TestManyCallersThroughATransactionPooler(t *testing.T) {
	const callers, each = 16, 25
	s := open(t, postgres.Config{URL: dbtest.PgBouncer(t, migrated(t), "transaction"), Log: quiet, MaxConns: callers})
	worker := register(t, s)
	woken := s.Wake(t.Context())
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				if _, err := s.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
					t.Error(err)
				}
				jobs, err := s.Claim(t.Context(), job.ClaimRequest{Worker: worker, Limit: 1, Kinds: []string{job.KindNoop}})
				if err != nil {
					t.Error(err)
				}
				for _, j := range jobs {
					if lost, err := s.Complete(t.Context(), j.Lease()); err != nil || len(lost) > 0 {
						t.Errorf("complete: lost %v, error %v", lost, err)
					}
				}
			}
		})
	}
	all.Wait()
	left := drain(t, s, 1, 100)
	counts, err := s.Counts(t.Context())
	if err != nil || counts[job.Completed] != callers*each {
		t.Errorf("completed %d of %d (%d at the end), error %v", counts[job.Completed], callers*each, left, err)
	}
	select {
	case <-woken:
	default:
		t.Error("without a direct URL this process did not hear itself")
	}
}
