package postgres_test

import (
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/directorybolt/directorybolt/internal/ratelimit/ratelimittest"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/google/go-cmp/cmp"
)

func TestRateLimits(t *testing.T) { ratelimittest.Run(t, limitSubjects(direct)) }

func TestRateLimitsThroughTransactionPooler(t *testing.T) {
	ratelimittest.Run(t, limitSubjects(through(t, "transaction")))
}

// limitSubjects makes logs in fresh databases whose clock stands still.
func limitSubjects(w way) ratelimittest.Factory {
	return func(t testing.TB) ratelimittest.Subject {
		url := migrated(t)
		set := dbtest.StoppedClock(t, url)
		config := w(url)
		config.MaxConns = 2
		reopen := func(t testing.TB) ratelimit.Storage { return openLimits(t, open(t, config), postgres.LimitsConfig{}) }
		return ratelimittest.Subject{
			Storage: reopen(t), Set: set, Reopen: reopen,
			Logs: func(t testing.TB) int { return number[int](t, url, "SELECT count(*) FROM rate_limit") },
		}
	}
}

// openLimits opens logs that are closed with the test.
func openLimits(t testing.TB, s *postgres.Store, c postgres.LimitsConfig) *postgres.Limits {
	t.Helper()
	l, err := s.Limits(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// What a durable policy let pass, a crash of the server does not forget, though the
// connections do not wait for the disk otherwise.
func TestADurableStampOutlivesACrash(t *testing.T) {
	c := dbtest.NewCluster(t)
	s := open(t, direct(c.URL("postgres")))
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := openLimits(t, s, postgres.LimitsConfig{})
	ask := ratelimit.Ask{Key: ratelimit.Key{1}, N: 3, Limit: 5, Window: 15 * time.Minute, Durable: true}
	if _, err := l.Admit(t.Context(), []ratelimit.Ask{ask}); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is back", func() error {
		got, err := l.Admit(t.Context(), []ratelimit.Ask{ask})
		if err == nil && got[0].Granted != 2 {
			t.Errorf("%d granted after the crash, want 2", got[0].Granted)
		}
		return err
	})
}

func TestASecretIsMadeOnceForAllProcesses(t *testing.T) {
	url := migrated(t)
	a, err := open(t, direct(url)).Secret(t.Context(), "rate_limit")
	if err != nil || len(a) != 32 {
		t.Fatalf("%d bytes, error %v", len(a), err)
	}
	b, err := open(t, direct(url)).Secret(t.Context(), "rate_limit")
	if d := cmp.Diff(a, b); d != "" || err != nil {
		t.Errorf("another process has another secret, error %v", err)
	}
	c, err := open(t, direct(url)).Secret(t.Context(), "other")
	if d := cmp.Diff(a, c); d == "" || err != nil {
		t.Errorf("another name has the same secret, error %v", err)
	}
}
