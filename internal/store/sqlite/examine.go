package sqlite

import (
	"context"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/store"
)

// Examine looks at the file. That it can be written, and keeps a log, was proved when it
// was opened. It changes nothing, and works before the first migration too.
func (s *Store) Examine(ctx context.Context) (found store.Symptoms, err error) {
	version, err := one(s.read(ctx), func(r row) (v string, err error) {
		err = r.Scan(&v)
		return v, err
	}, "SELECT sqlite_version()")
	if err != nil {
		return nil, fmt.Errorf("examine the store: %w", s.explain(err))
	}
	found.Add("version", store.Good, "SQLite "+version, "")
	found.Add("writable", store.Good, s.path, "")
	return found, nil
}
