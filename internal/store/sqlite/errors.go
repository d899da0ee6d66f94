package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/directorybolt/directorybolt/internal/job"
	driver "modernc.org/sqlite"
	code "modernc.org/sqlite/lib"
)

// errClosed answers calls after Close.
var errClosed = errors.New("the store is closed")

// codeOf is SQLite's own code of an error, extended, and its first byte, which
// names the family. Both are zero when SQLite did not say it.
func codeOf(err error) (extended, family int) {
	var e *driver.Error
	if !errors.As(err, &e) {
		return 0, 0
	}
	return e.Code(), e.Code() & 0xff
}

// isBusy: another connection holds what this one needs, and will let go of it.
func isBusy(err error) bool {
	_, family := codeOf(err)
	return family == code.SQLITE_BUSY || family == code.SQLITE_LOCKED || family == code.SQLITE_PROTOCOL
}

// isDouble: a unique index or a primary key refused the row.
func isDouble(err error) bool {
	extended, _ := codeOf(err)
	return extended == code.SQLITE_CONSTRAINT_UNIQUE || extended == code.SQLITE_CONSTRAINT_PRIMARYKEY
}

// explain turns what SQLite says about the file into a sentence that names the
// file and the remedy, with the error of the job room that callers match.
func (s *Store) explain(err error) error {
	extended, family := codeOf(err)
	switch {
	case family == 0:
		return err
	case extended == code.SQLITE_IOERR_SHMOPEN, extended == code.SQLITE_IOERR_SHMMAP,
		extended == code.SQLITE_IOERR_SHMLOCK, extended == code.SQLITE_READONLY_CANTINIT:
		return s.noWAL(err)
	case family == code.SQLITE_FULL, extended == code.SQLITE_IOERR_SHMSIZE:
		return fmt.Errorf("%w: no room for %s; free disk space there, nothing was lost (%w)", job.ErrFull, s.path, err)
	case family == code.SQLITE_READONLY, family == code.SQLITE_PERM:
		return fmt.Errorf("%w: %s or its directory cannot be written; give this user the right to, or choose another DATA_DIR (%w)",
			job.ErrReadOnly, s.path, err)
	case family == code.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: the database file %s cannot be opened or made; its directory %s must exist and be writable for this user (%w)",
			job.ErrReadOnly, s.path, filepath.Dir(s.path), err)
	case family == code.SQLITE_NOTADB:
		return fmt.Errorf("%s is not a SQLite database; move it away or choose another DATA_DIR (%w)", s.path, err)
	case family == code.SQLITE_CORRUPT:
		return fmt.Errorf("the database %s is damaged; stop every process that uses it and restore a backup (%w)", s.path, err)
	case isBusy(err):
		return fmt.Errorf("another process has held %s for longer than %s; find it with: fuser %s (%w)", s.path, patience, s.path, err)
	case family == code.SQLITE_ERROR:
		return s.explainStatement(err)
	}
	return fmt.Errorf("database %s: %w", s.path, err)
}

func (s *Store) noWAL(err error) error {
	sentence := fmt.Errorf("the filesystem of %s cannot hold a SQLite database that several processes use (no shared memory for its write-ahead log); "+
		"choose a DATA_DIR on a local disk", filepath.Dir(s.path))
	if err == nil {
		return sentence
	}
	return fmt.Errorf("%w (%w)", sentence, err)
}

// explainStatement looks why SQLite refused a statement as such. It has one code
// for a missing table and for bad SQL; the schema's version tells them apart.
func (s *Store) explainStatement(err error) error {
	if s.reads == nil {
		return err
	}
	pending, ask := s.pendingMigrations(context.Background())
	if ask != nil || len(pending) == 0 {
		return fmt.Errorf("database %s: %w", s.path, err)
	}
	return fmt.Errorf("%w: %s lacks migration %s; run: directorybolt migrate up (%w)", job.ErrSchema, s.path, pending[0], err)
}
