package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/jackc/pgx/v5"
)

// What is expected of the database.
const (
	oldestServer = 13
	// spareConnections are wanted for one process of each role: a worker has up to 14.
	spareConnections = 40
)

// Examine looks at what a deploy needs of the database: version, rights, room. It changes
// nothing, and works before the first migration too.
func (s *Store) Examine(ctx context.Context) (store.Symptoms, error) {
	var found store.Symptoms
	for _, look := range []func(context.Context, *store.Symptoms) error{
		s.examineServer, s.examineWay, s.examineRights, s.examineRoom,
	} {
		if err := look(ctx, &found); err != nil {
			return found, fmt.Errorf("examine Postgres: %w", readable(err))
		}
	}
	return found, nil
}

func (s *Store) examineServer(ctx context.Context, found *store.Symptoms) error {
	var number int
	var version string
	var readOnly, standby bool
	const ask = `SELECT current_setting('server_version_num')::int, current_setting('server_version'),
		current_setting('transaction_read_only')::bool, pg_is_in_recovery()`
	if err := s.pool.QueryRow(ctx, ask).Scan(&number, &version, &readOnly, &standby); err != nil {
		return err
	}
	found.Is(number/10_000 >= oldestServer, "version", store.Bad, "Postgres "+version, fmt.Sprintf("upgrade to Postgres %d or later", oldestServer))
	switch {
	case standby:
		found.Add("writable", store.Bad, "this is a standby", "point DATABASE_URL at the primary")
	case readOnly:
		found.Add("writable", store.Bad, "transactions are read-only", "take default_transaction_read_only away from the role or the database")
	default:
		found.Add("writable", store.Good, "yes", "")
	}
	return nil
}

// examineWay looks at the way to the database: encryption and pooling.
func (s *Store) examineWay(ctx context.Context, found *store.Symptoms) error {
	host := s.pool.Config().ConnConfig.Host
	var encrypted bool
	if err := s.pool.QueryRow(ctx, `SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)`).Scan(&encrypted); err != nil {
		return err
	}
	// Between a pooler and the server it may be another way than between us and the pooler.
	encrypted = encrypted || s.pool.Config().ConnConfig.TLSConfig != nil
	switch ip := net.ParseIP(host); {
	case encrypted:
		found.Add("encryption", store.Good, "TLS", "")
	case strings.HasPrefix(host, "/") || host == "localhost" || ip.IsLoopback():
		found.Add("encryption", store.Good, "none, and it is this machine", "")
	default:
		found.Add("encryption", store.Weak, "none", "add sslmode=require to DATABASE_URL, or verify-full with sslrootcert")
	}
	switch {
	case s.mode == Session:
		found.Add("pooling", store.Good, "session", "")
	case s.config.DirectURL != "":
		found.Add("pooling", store.Good, "transaction, and DATABASE_DIRECT_URL goes past it", "")
	default:
		found.Add("pooling", store.Weak, "transaction: no wake-ups, and dead workers are found by their lease alone",
			"set DATABASE_DIRECT_URL to the direct connection or the session pooler (Supabase: port 5432)")
	}
	return nil
}

// examineRights looks at what the role may do.
func (s *Store) examineRights(ctx context.Context, found *store.Symptoms) error {
	var role, schema string
	var create bool
	const ask = `SELECT current_user, coalesce(current_schema(), ''), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`
	if err := s.pool.QueryRow(ctx, ask).Scan(&role, &schema, &create); err != nil {
		return err
	}
	found.Is(schema != "", "schema", store.Bad, cmp.Or(schema, "none that role "+role+" may use"), "CREATE SCHEMA public, or set a search_path for the role")
	found.Is(create, "rights to migrate", store.Weak, fmt.Sprintf("role %s may%s make tables in schema %q", role, not(create), schema),
		"run migrations as the owner, or paste: directorybolt migrate sql")
	rows, err := s.pool.Query(ctx, lackingRights, tables(), appendOnly)
	if err != nil {
		return err
	}
	lacking, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	seen := "role " + role + " has all that it needs"
	if len(lacking) > 0 {
		seen = "role " + role + " may not " + strings.Join(lacking, ", ")
	}
	found.Is(len(lacking) == 0, "rights to work", store.Bad, seen, "connect as the owner of the tables, or as service_role")
	return nil
}

// appendOnly are the tables from which rights were taken on purpose: what stands there
// is not changed, and deleted by nobody but retention, if at all.
var appendOnly = []string{"canary_arrivals", "erased_evidence", "events", "journal", "secrets"}

// lackingRights are those that the role has not, to tables and functions that are there.
const lackingRights = `
SELECT 'fully use ' || name
  FROM unnest($1::text[]) AS name
 WHERE to_regclass(name) IS NOT NULL
   AND NOT (has_table_privilege(to_regclass(name), 'SELECT') AND has_table_privilege(to_regclass(name), 'INSERT')
            AND (name = ANY ($2::text[])
                 OR has_table_privilege(to_regclass(name), 'UPDATE') AND has_table_privilege(to_regclass(name), 'DELETE')))
UNION ALL
SELECT 'call ' || proname
  FROM pg_proc
 WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'directorybolt%'
   AND NOT has_function_privilege(oid, 'EXECUTE')
 ORDER BY 1`

// examineRoom looks at how many connections are left.
func (s *Store) examineRoom(ctx context.Context, found *store.Symptoms) error {
	var most, used int
	const ask = `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int`
	if err := s.pool.QueryRow(ctx, ask).Scan(&most, &used); err != nil {
		return err
	}
	found.Is(most-used >= spareConnections, "connections", store.Weak, fmt.Sprintf("%d of %d are used", used, most),
		"a worker has up to 14, an API or a monitor fewer: raise max_connections, or connect through a pooler")
	return nil
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// tables are those that the migrations make.
func tables() []string {
	var names []string
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic(err) // they are part of the binary
	}
	for _, e := range entries {
		text, err := migrationFiles.ReadFile("migrations/" + e.Name())
		if err != nil {
			panic(err)
		}
		for _, m := range createTable.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return names
}

func not(yes bool) string {
	if yes {
		return ""
	}
	return " not"
}
