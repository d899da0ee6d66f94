package sqlite

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/directorybolt/directorybolt/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed queries/*.sql
var queries embed.FS

// Migrations are the files of this dialect.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name above is fixed
	}
	return sub
}

// Migrate brings the file up to the schema of this binary and returns what it
// applied. Any number of processes may call it at once.
func (s *Store) Migrate(ctx context.Context) (applied []store.Migration, err error) {
	err = s.migrator(ctx, func(m *store.Migrator) (err error) {
		applied, err = m.Up(ctx)
		return err
	})
	return applied, err
}

// MigrationStatus lists every migration of this binary and whether the file has it.
func (s *Store) MigrationStatus(ctx context.Context) (all []store.Migration, err error) {
	err = s.migrator(ctx, func(m *store.Migrator) (err error) {
		all, err = m.Status(ctx)
		return err
	})
	return all, err
}

// MigrationSQL prints the migrations above version from as plain SQL.
func MigrationSQL(from int64) (string, error) {
	m, err := store.NewMigrator(store.SQLite, nil, Migrations(), nil)
	if err != nil {
		return "", err
	}
	return m.SQL(from)
}

// migrator hands out a migrator on a connection of its own.
func (s *Store) migrator(ctx context.Context, use func(*store.Migrator) error) (err error) {
	db, err := openDB(s.path, 1, "busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	lock := func(ctx context.Context) (func() error, error) { return lockFile(ctx, s.path+".migrate.lock") }
	m, err := store.NewMigrator(store.SQLite, db, Migrations(), lock)
	if err != nil {
		return err
	}
	if err := use(m); err != nil {
		return s.explain(err)
	}
	return nil
}

func (s *Store) pendingMigrations(ctx context.Context) (pending []store.Migration, err error) {
	m, err := store.NewMigrator(store.SQLite, s.reads.db, Migrations(), nil)
	if err != nil {
		return nil, err
	}
	return m.Pending(ctx)
}
