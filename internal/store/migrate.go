package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// Dialect names a kind of database.
type Dialect string

const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// VersionTable is where applied migrations are recorded, in goose's own layout.
const VersionTable = goose.DefaultTablename

// Migration is one numbered step of the schema.
type Migration struct {
	Version   int64     `json:"version"`
	Title     string    `json:"title"` // "jobs" of 0001_jobs.sql
	Applied   bool      `json:"applied"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

// String is the file's name without its extension: "0001_jobs".
func (m Migration) String() string { return fmt.Sprintf("%04d_%s", m.Version, m.Title) }

// Lock keeps other migrators of the same database away until release is called.
// It waits for them as long as ctx lasts. It must not use the connection that the
// migrations run on.
type Lock func(ctx context.Context) (release func() error, err error)

// Migrator brings a database up to the schema of this binary. Migrations go one
// way; two migrators at once, in any processes, apply each migration once.
type Migrator struct {
	dialect Dialect
	db      *sql.DB
	files   fs.FS
	lock    Lock
	steps   []step
}

// step is a migration and the file it stands in.
type step struct {
	Migration
	file string
}

// NewMigrator reads the migrations at the root of files, NNNN_title.sql each, and
// refuses a file that is out of form. db may be nil when only [Migrator.SQL] is
// wanted.
func NewMigrator(d Dialect, db *sql.DB, files fs.FS, lock Lock) (*Migrator, error) {
	if d != Postgres && d != SQLite {
		return nil, fmt.Errorf("migrate: unknown dialect %q, want %q or %q", d, Postgres, SQLite)
	}
	steps, err := readSteps(files)
	if err != nil {
		return nil, fmt.Errorf("read %s migrations: %w", d, err)
	}
	return &Migrator{dialect: d, db: db, files: files, lock: lock, steps: steps}, nil
}

// Up applies what is pending, in order, and returns what it applied. When one
// fails, those before it stay applied and the failing one leaves no trace.
func (m *Migrator) Up(ctx context.Context) (applied []Migration, err error) {
	release, err := m.lock(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock the schema: %w", err)
	}
	defer func() { err = errors.Join(err, release()) }()

	provider, err := goose.NewProvider(m.gooseDialect(), m.db, m.files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
		err = fmt.Errorf("apply migration %s: %w", path.Base(partial.Failed.Source.Path), partial.Err)
	}
	for _, r := range results {
		i := slices.IndexFunc(m.steps, func(s step) bool { return s.Version == r.Source.Version })
		done := m.steps[i].Migration
		done.Applied = true
		applied = append(applied, done)
	}
	return applied, err
}

// Status lists every migration of this binary and whether the database has it.
// It changes nothing, also in a database that was never migrated.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	at, err := m.applied(ctx)
	if err != nil {
		return nil, fmt.Errorf("read schema version: %w", err)
	}
	list := make([]Migration, len(m.steps))
	for i, s := range m.steps {
		list[i] = s.Migration
		list[i].AppliedAt, list[i].Applied = at[s.Version]
	}
	return list, nil
}

// Pending lists the migrations that the database lacks. It changes nothing.
func (m *Migrator) Pending(ctx context.Context) ([]Migration, error) {
	all, err := m.Status(ctx)
	return slices.DeleteFunc(all, func(s Migration) bool { return s.Applied }), err
}

// SQL prints the migrations above version from as plain SQL that a person can run
// by hand, each in a transaction with the row that records it, so that [Migrator.Up]
// finds them applied. Running a step twice fails and changes nothing.
func (m *Migrator) SQL(from int64) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "-- DirectoryBolt schema for %s, migrations after %04d.\n", m.dialect, from)
	b.WriteString("-- Paste it whole. A step that was applied before stops it and changes nothing.\n\n")
	b.WriteString(m.versionTableSQL())
	for _, s := range m.steps {
		if s.Version <= from {
			continue
		}
		body, err := fs.ReadFile(m.files, s.file)
		if err != nil {
			return "", fmt.Errorf("read migration %s: %w", s.file, err)
		}
		m.writeStep(&b, s, string(body))
	}
	return b.String(), nil
}

func (m *Migrator) writeStep(b *strings.Builder, s step, body string) {
	alone := strings.Contains(body, "-- +goose NO TRANSACTION")
	fmt.Fprintf(b, "\n-- %s\n", s.Migration)
	if alone {
		b.WriteString("-- Run this step by itself, outside a transaction.\n")
	} else {
		b.WriteString("BEGIN;\n")
	}
	fmt.Fprintf(b, "%s\n", strings.TrimSpace(withoutAnnotations(body)))
	fmt.Fprintf(b, "INSERT INTO %s (version_id, is_applied) VALUES (%d, %s);\n", VersionTable, s.Version, m.literalTrue())
	if !alone {
		b.WriteString("COMMIT;\n")
	}
}

// versionTableSQL makes goose's table, with its row zero, as goose itself would.
func (m *Migrator) versionTableSQL() string {
	columns := "id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,\n" +
		"    is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now'))"
	if m.dialect == Postgres {
		columns = "id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL,\n" +
			"    is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now()"
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (\n    %s\n);\n"+
		"INSERT INTO %[1]s (version_id, is_applied)\n"+
		"SELECT 0, %[3]s WHERE NOT EXISTS (SELECT 1 FROM %[1]s WHERE version_id = 0);\n",
		VersionTable, columns, m.literalTrue())
}

func (m *Migrator) literalTrue() string {
	if m.dialect == Postgres {
		return "true"
	}
	return "1"
}

func (m *Migrator) gooseDialect() goose.Dialect {
	if m.dialect == Postgres {
		return goose.DialectPostgres
	}
	return goose.DialectSQLite3
}

// applied maps the versions the database has to the time they were applied.
// Goose's own status would make the version table as a side effect.
func (m *Migrator) applied(ctx context.Context) (map[int64]time.Time, error) {
	exists := `SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = '` + VersionTable + `'`
	if m.dialect == Postgres {
		exists = `SELECT to_regclass('` + VersionTable + `') IS NOT NULL`
	}
	var there bool
	if err := m.db.QueryRowContext(ctx, exists).Scan(&there); err != nil || !there {
		return nil, err
	}
	rows, err := m.db.QueryContext(ctx, `SELECT version_id, is_applied, tstamp FROM `+VersionTable+` ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	at := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var is bool
		var when sql.NullTime
		if err := rows.Scan(&version, &is, &when); err != nil {
			return nil, err
		}
		if is {
			at[version] = when.Time.UTC()
		} else {
			delete(at, version)
		}
	}
	return at, rows.Err()
}

// readSteps lists the migration files by version and checks their form.
func readSteps(files fs.FS) ([]step, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	steps := make([]step, 0, len(names))
	for _, name := range names {
		s, err := readStep(files, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b step) int { return int(a.Version - b.Version) })
	for i, s := range steps {
		if s.Version != int64(i+1) {
			return nil, fmt.Errorf("%s: number %04d expected here; numbers run from 0001 without gap or double", s.file, i+1)
		}
	}
	return steps, nil
}

func readStep(files fs.FS, name string) (step, error) {
	number, title, ok := strings.Cut(strings.TrimSuffix(name, ".sql"), "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || len(number) != 4 || title == "" {
		return step{}, errors.New("name it NNNN_title.sql")
	}
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return step{}, err
	}
	if !strings.HasPrefix(string(body), "-- +goose Up\n") {
		return step{}, errors.New(`the first line must be "-- +goose Up"`)
	}
	if strings.Contains(string(body), "-- +goose Down") {
		return step{}, errors.New("migrations go one way: a person who pastes the file would run its Down part too")
	}
	return step{Migration{Version: version, Title: title}, name}, nil
}

func withoutAnnotations(body string) string {
	lines := slices.DeleteFunc(strings.Split(body, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "-- +goose ")
	})
	return strings.Join(lines, "\n")
}
