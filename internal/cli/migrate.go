package cli

import (
	"context"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/store"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply the migrations that the database lacks."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and which of them the database has."`
	SQL    migrateSQLCmd    `cmd:"" name:"sql" help:"Print the migrations as SQL, to run them by hand."`
}

// Help shows how it is typed.
func (migrateCmd) Help() string {
	return examples("directorybolt migrate status", "directorybolt migrate up")
}

type migrateUpCmd struct{}

// Help shows how it is typed.
func (migrateUpCmd) Help() string {
	return "Two migrators at once do no harm. A migration that fails leaves no trace; those before it stay.\n\n" +
		examples("directorybolt migrate up", "DATABASE_URL=postgres://… directorybolt migrate up")
}

// Run migrates.
func (migrateUpCmd) Run(ctx context.Context, a *app) error {
	h, err := a.errand()
	if err != nil {
		return err
	}
	s, err := h.connect(ctx, mayCreate)
	return closing(s, err, func(s backend) error {
		applied, err := s.Migrate(ctx)
		if err := printMigrations(a, applied); err != nil {
			return err
		}
		if err == nil && len(applied) == 0 {
			a.say("the schema is up to date")
		}
		return err
	})
}

type migrateStatusCmd struct{}

// Help shows how it is typed.
func (migrateStatusCmd) Help() string {
	return "The exit status is 3 when migrations are pending.\n\n" + examples("directorybolt migrate status --json")
}

// Run lists the migrations.
func (migrateStatusCmd) Run(ctx context.Context, a *app) error {
	h, err := a.errand()
	if err != nil {
		return err
	}
	s, err := h.connect(ctx, mustExist)
	return closing(s, err, func(s backend) error {
		all, err := s.MigrationStatus(ctx)
		if err != nil {
			return err
		}
		if err := printMigrations(a, all); err != nil {
			return err
		}
		return tellPending(a, all)
	})
}

// tellPending says how many migrations are pending, and with which status.
func tellPending(a *app, all []store.Migration) error {
	pending := pendingOf(all)
	if len(pending) == 0 {
		return nil
	}
	a.say("%s pending; run: directorybolt migrate up", count(len(pending), "migration"))
	return exitWith(ExitNotFound)
}

func printMigrations(a *app, ms []store.Migration) error {
	return list(a, ms, []string{"VERSION", "TITLE", "APPLIED"}, func(m store.Migration) []string {
		applied := "pending"
		if m.Applied {
			applied = "applied"
			if !m.AppliedAt.IsZero() {
				applied = stamp(m.AppliedAt)
			}
		}
		return []string{strconv.FormatInt(m.Version, 10), m.Title, applied}
	})
}

type migrateSQLCmd struct {
	Dialect string `enum:"postgres,sqlite" default:"postgres" help:"postgres or sqlite; ${default} unless told."`
	From    int64  `default:"0" placeholder:"N" help:"Only the migrations after this version."`
}

// Help shows how it is typed.
func (migrateSQLCmd) Help() string {
	return "No database is asked. The SQL records what it applied, as migrate up does, and can be pasted whole into an SQL editor.\n\n" +
		examples("directorybolt migrate sql > schema.sql", "directorybolt migrate sql --from 2 | psql \"$DATABASE_URL\"")
}

// Run prints the SQL.
func (c migrateSQLCmd) Run(a *app) error {
	text, err := migrationSQL(store.Dialect(c.Dialect), c.From)
	if err != nil {
		return err
	}
	if a.JSON {
		return a.object(map[string]string{"dialect": c.Dialect, "sql": text})
	}
	return a.printf("%s", text)
}
