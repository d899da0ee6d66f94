package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the key under which migrators keep each other away: "dbolt".
const migrationLock = 0x64626f6c74

// lockPoll is how often a migrator asks for the lock. It does not wait for it in
// the database: waiters would hold the connections of a pooler that the one who
// has the lock needs.
const lockPoll = 100 * time.Millisecond

// A migration waits for a table in use for as long as its lock_timeout, since all who
// come later wait behind it; then it gives up, lets them pass and is tried again.
const (
	lockTries = 30
	lockPause = time.Second
)

// migrations is the folder of files, from which embed.FS cannot fail to read.
func migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err)
	}
	return files
}

// MigrationSQL prints the migrations above version from as plain SQL.
func MigrationSQL(from int64) (string, error) {
	m, err := store.NewMigrator(store.Postgres, nil, migrations(), nil)
	if err != nil {
		return "", err
	}
	return m.SQL(from)
}

// Migrate brings the schema up to date and returns what it applied. Any number of
// processes may do so at once; each migration is applied once. It goes on trying for
// about two minutes while somebody uses a table that changes.
func (s *Store) Migrate(ctx context.Context) (applied []store.Migration, err error) {
	for try := 1; ; try++ {
		err = s.migrator(func(m *store.Migrator) error {
			done, err := m.Up(ctx)
			applied = append(applied, done...)
			return err
		})
		if err == nil {
			return applied, nil
		}
		if !hasCode(err, codeLockNotAvailable) {
			return applied, fmt.Errorf("migrate Postgres: %w", readable(err))
		}
		if try == lockTries {
			return applied, fmt.Errorf("migrate Postgres: somebody uses the table and does not let go, see the view pg_stat_activity: %w", err)
		}
		s.config.Log.InfoContext(ctx, "a table that changes is in use, will try again", "error", err.Error(), "try", try)
		select {
		case <-ctx.Done():
			return applied, fmt.Errorf("migrate Postgres: %w", context.Cause(ctx))
		case <-time.After(lockPause):
		}
	}
}

// MigrationStatus lists every migration and whether the database has it. It asks through
// the pool: health does so every few seconds.
func (s *Store) MigrationStatus(ctx context.Context) (list []store.Migration, err error) {
	db := stdlib.OpenDBFromPool(s.pool)
	m, err := store.NewMigrator(store.Postgres, db, migrations(), s.lockSchema)
	if err == nil {
		list, err = m.Status(ctx)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, fmt.Errorf("read migrations of Postgres: %w", readable(err))
	}
	return list, nil
}

// CheckSchema returns job.ErrSchema when a migration of this binary is missing.
func (s *Store) CheckSchema(ctx context.Context) error {
	list, err := s.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	for _, m := range list {
		if !m.Applied {
			return fmt.Errorf("migration %s is not applied; run: directorybolt migrate up: %w", m, job.ErrSchema)
		}
	}
	return nil
}

// migrator hands out a runner on connections of its own: building an index may take
// longer than the pool's settings allow any statement.
func (s *Store) migrator(act func(*store.Migrator) error) error {
	config := s.direct.Copy()
	if config.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement {
		config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	}
	db := stdlib.OpenDB(*config)
	m, err := store.NewMigrator(store.Postgres, db, migrations(), s.lockSchema)
	if err == nil {
		err = act(m)
	}
	return errors.Join(err, db.Close())
}

// lockSchema takes a lock that lasts as long as a transaction, which a transaction
// pooler keeps on one server session.
func (s *Store) lockSchema(ctx context.Context) (release func() error, err error) {
	config := s.direct.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	for {
		locked, err := tryLock(ctx, conn)
		if err != nil {
			return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
		}
		if locked {
			return func() error { return conn.Close(context.WithoutCancel(ctx)) }, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process migrates: %w", context.Cause(ctx)), conn.Close(context.WithoutCancel(ctx)))
		case <-time.After(lockPoll):
		}
	}
}

// tryLock begins the transaction that holds the lock, or none. Its end is the end
// of the connection: there is nothing in it to commit.
func tryLock(ctx context.Context, conn *pgx.Conn) (bool, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	// The transaction idles while migrations run elsewhere.
	if _, err := tx.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return false, err
	}
	var locked bool
	err = tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(migrationLock)).Scan(&locked)
	if err != nil || locked {
		return locked, err
	}
	return false, tx.Rollback(ctx)
}
