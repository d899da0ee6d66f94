package store_test

import (
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, files map[string]string) (*store.Statements, error) {
	t.Helper()
	return store.ReadStatements(tree(files))
}

func TestStatementsEndWhereTheNextBegins(t *testing.T) {
	s, err := read(t, map[string]string{"jobs.sql": "-- All about jobs.\n\n" +
		"-- name: GetJob\n-- One job.\nSELECT 1;\n\n-- about the next\n-- name: ListJobs\nSELECT 2\nFROM jobs; -- all\n"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range s.Names() {
		got[name] = s.Get(name)
	}
	want := map[string]string{"GetJob": "-- One job.\nSELECT 1", "ListJobs": "SELECT 2\nFROM jobs; -- all"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	if got := s.File("GetJob"); got != "jobs.sql" {
		t.Errorf("file of GetJob = %q, want jobs.sql", got)
	}
}

func TestStatementFaultsNameFileAndLine(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"double", "-- name: A\nSELECT 1;\n-- name: A\nSELECT 2;\n", "jobs.sql:3: statement A is in jobs.sql already"},
		{"empty", "-- name: A\n-- nothing\n-- name: B\nSELECT 1;\n", "jobs.sql:2: statement A is empty"},
		{"nameless", "SELECT 1;\n", "jobs.sql:2: a statement without a name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(t, map[string]string{"jobs.sql": c.body})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want it to say %q", err, c.want)
			}
		})
	}
}

func TestBindReportsMissingAndUnusedStatements(t *testing.T) {
	s, err := read(t, map[string]string{"jobs.sql": "-- name: A\nSELECT 1;\n-- name: B\nSELECT 2;\n"})
	if err != nil {
		t.Fatal(err)
	}
	var bound struct{ A, C string }
	err = s.Bind(&bound)
	if err == nil || bound.A != "SELECT 1" {
		t.Fatalf("bound %+v with error %v, want A bound and an error", bound, err)
	}
	for _, want := range []string{"no statement C", "statement B is used by nobody"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want it to say %q", err, want)
		}
	}
}

func TestGetOfAnUnknownStatementPanics(t *testing.T) {
	s, err := read(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Get of an unknown statement returned")
		}
	}()
	s.Get("Nothing")
}
