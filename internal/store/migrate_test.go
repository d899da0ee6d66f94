package store_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/directorybolt/directorybolt/internal/store"
)

const up = "-- +goose Up\nSELECT 1;\n"

func TestMigrationFilesOutOfFormAreNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no number", map[string]string{"jobs.sql": up}, "jobs.sql: name it NNNN_title.sql"},
		{"short number", map[string]string{"1_jobs.sql": up}, "1_jobs.sql: name it NNNN_title.sql"},
		{"no title", map[string]string{"0001_.sql": up}, "0001_.sql: name it NNNN_title.sql"},
		{"gap", map[string]string{"0001_a.sql": up, "0003_c.sql": up}, "0003_c.sql: number 0002 expected"},
		{"double", map[string]string{"0001_a.sql": up, "0001_b.sql": up}, "number 0002 expected"},
		{"no header", map[string]string{"0001_a.sql": "SELECT 1;\n"}, `0001_a.sql: the first line must be "-- +goose Up"`},
		{"way down", map[string]string{"0001_a.sql": up + "-- +goose Down\nDROP TABLE jobs;\n"}, "0001_a.sql: migrations go one way"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := store.NewMigrator(store.Postgres, nil, tree(c.files), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want it to say %q", err, c.want)
			}
		})
	}
}

func TestAnUnknownDialectIsRefused(t *testing.T) {
	if _, err := store.NewMigrator("mysql", nil, tree(nil), nil); err == nil || !strings.Contains(err.Error(), `"mysql"`) {
		t.Errorf("error = %v, want one that names the dialect", err)
	}
}

func TestPrintedSQLBeginsAfterTheVersionAndRecordsEachStep(t *testing.T) {
	m, err := store.NewMigrator(store.Postgres, nil, tree(map[string]string{
		"0001_a.sql": "-- +goose Up\nCREATE TABLE a (x int);\n",
		"0002_b.sql": "-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE b (x int);\n-- +goose StatementEnd\n",
		"0003_c.sql": "-- +goose Up\n-- +goose NO TRANSACTION\nCREATE INDEX CONCURRENTLY c ON b (x);\n",
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.SQL(1)
	if err != nil {
		t.Fatal(err)
	}
	_, steps, _ := strings.Cut(text, "\n\n-- 0002_b\n")
	const want = `BEGIN;
CREATE TABLE b (x int);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (2, true);
COMMIT;

-- 0003_c
-- Run this step by itself, outside a transaction.
CREATE INDEX CONCURRENTLY c ON b (x);
INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, true);
`
	if steps != want {
		t.Errorf("steps are\n%s\nwant\n%s", steps, want)
	}
	if strings.Contains(text, "CREATE TABLE a") || strings.Contains(text, "+goose") {
		t.Errorf("the text has a step that is applied, or goose's own marks:\n%s", text)
	}
}

func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, body := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return fsys
}
