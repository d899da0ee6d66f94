package sqlite_test

import (
	"database/sql"
	"testing"

	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

func TestMigratingTwiceChangesNothing(t *testing.T) {
	path := newFile(t)
	s := openStore(t, sqlite.Config{Path: path})
	before := number(t, path, "PRAGMA schema_version")
	again, err := s.Migrate(t.Context())
	if err != nil || len(again) != 0 {
		t.Errorf("a second migration applied %v, error %v", again, err)
	}
	if after := number(t, path, "PRAGMA schema_version"); after != before {
		t.Errorf("schema version went from %d to %d", before, after)
	}
}

func TestPastedSQLIsTheSchemaAndIsRefusedASecondTime(t *testing.T) {
	pasted, migrated := newFile(t), newFile(t)
	text, err := sqlite.MigrationSQL(0)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+pasted)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(text); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(text); err == nil {
		t.Error("the same steps went in twice")
	}
	if _, err := db.Exec("ROLLBACK"); err != nil { // of the step that stopped the second paste
		t.Fatal(err)
	}

	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: pasted})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	applied, err := s.Migrate(t.Context())
	if err != nil || len(applied) != 0 {
		t.Errorf("after the paste, migrate applied %v, error %v", applied, err)
	}
	enqueue(t, s, 1)

	openStore(t, sqlite.Config{Path: migrated})
	const objects = "SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'index')"
	if p, m := number(t, pasted, objects), number(t, migrated, objects); p != m {
		t.Errorf("%d tables and indexes by paste, %d by migration", p, m)
	}
	if n := number(t, pasted, "SELECT count(*) FROM goose_db_version"); n != number(t, migrated, "SELECT count(*) FROM goose_db_version") {
		t.Errorf("%d version rows by paste", n)
	}
}
