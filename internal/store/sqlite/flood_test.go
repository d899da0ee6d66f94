package sqlite_test

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

// TestAFloodOfDeadLettersIsOneDigest: 5000 at once, of a thousand reasons, each of
// another customer.
func TestAFloodOfDeadLettersIsOneDigest(t *testing.T) {
	t.Parallel()
	const letters, reasons = 5000, 1000
	path := filepath.Join(t.TempDir(), "directorybolt.db")
	c := &clock{}
	s := openStore(t, sqlite.Config{Path: path, Clock: c.now})
	flood(t, path, letters, reasons)
	g := alert.NewGate(alert.GateConfig{
		Store: s, Settle: time.Hour, Log: slog.New(slog.DiscardHandler), Audiences: []alert.Audience{{Channel: "slack"}},
	})
	for range 2 {
		if _, err := g.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.advance(time.Hour)
	}
	said, err := s.Undelivered(t.Context(), 10)
	if err != nil || len(said) != 1 {
		t.Fatalf("%d messages, error %v, want 1", len(said), err)
	}
	m := said[0].Message
	if m.Count != letters || m.Alerts != reasons || m.ValueCents != letters*14900 {
		t.Errorf("it speaks of %d letters in %d groups and %d cents", m.Count, m.Alerts, m.ValueCents)
	}
}

func flood(t *testing.T, path string, letters, reasons int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(`
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO outbox (id, kind, key, payload, not_before, created_at)
SELECT printf('00000000-0000-7000-8000-%012d', i), 'alert', 'k' || i,
       json_object('alert', 'dead_letters', 'group', 'reason ' || (i % ?2), 'signature', 'reason ' || (i % ?2), 'value_cents', 14900,
           'cause', 'status 404',
           'job_ids', json_array(printf('00000000-0000-7000-8000-%012d', i)),
           'customer_id', printf('00000000-0000-7000-9000-%012d', i)), 0, strftime('%s', 'now') * 1000000
  FROM n`, letters, reasons)
	if err != nil {
		t.Fatal(err)
	}
}
