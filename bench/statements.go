package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
)

// saveStatements writes what the server spent on each statement of a database,
// most expensive first.
func saveStatements(ctx context.Context, url, path string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT calls, rows, total_exec_time, max_exec_time, shared_blks_hit, shared_blks_dirtied, wal_records, wal_bytes::bigint, query
		  FROM pg_stat_statements s
		  JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
		 ORDER BY total_exec_time DESC
		 LIMIT 12`)
	if err != nil {
		return err
	}
	var b strings.Builder
	var calls, count, hit, dirtied, records, bytes int64
	var total, worst float64
	var query string
	_, err = pgx.ForEachRow(rows, []any{&calls, &count, &total, &worst, &hit, &dirtied, &records, &bytes, &query}, func() error {
		fmt.Fprintf(&b, "%10.1f ms, %d calls, %d rows, worst %.1f ms, %.1f µs/row, blocks hit %d dirtied %d, WAL %d records %d bytes\n%s\n\n",
			total, calls, count, worst, 1000*total/float64(max(count, 1)), hit, dirtied, records, bytes, query)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read statement statistics: %w", err)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
