package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/jackc/pgx/v5"
)

var atRelease = flag.Bool("update", false, "at a release: keep its statements for the next one's test")

// TestTheStatementsOfTheReleaseBeforeRunOnThisSchema prepares each of them: tables,
// columns and types are still there. testdata/previous has those of the release
// before; -update, at a release, puts the present ones in their place.
func TestTheStatementsOfTheReleaseBeforeRunOnThisSchema(t *testing.T) {
	const dir = "testdata/previous"
	if *atRelease {
		keepStatements(t, dir)
	}
	previous, err := store.ReadStatements(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(previous.Names()) < 100 {
		t.Fatalf("only %d statements in %s", len(previous.Names()), dir)
	}
	conn, err := pgx.Connect(t.Context(), migrated(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, name := range previous.Names() {
		if _, err := conn.Prepare(t.Context(), name, previous.Get(name)); err != nil {
			t.Errorf("%s, %s: the release before would fail on this schema: %v", previous.File(name), name, err)
		}
	}
}

func keepStatements(t *testing.T, dir string) {
	t.Helper()
	now, err := store.ReadStatements(os.DirFS("queries"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("-- The statements of the release before. Written at a release by: go test ./internal/store/postgres -run ReleaseBefore -update\n")
	for _, name := range now.Names() {
		fmt.Fprintf(&b, "\n-- name: %s\n%s;\n", name, now.Get(name))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/statements.sql", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
