package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
	driver "modernc.org/sqlite"
)

// Config says which file a store keeps and how.
type Config struct {
	// Path of the database file. It is made when missing, and so is its directory.
	Path string
	// Hints makes every change that makes a job due commit an outbox hint with it.
	Hints bool
	// Clock is the store's clock; nil means time.Now. Only tests set it.
	Clock func() time.Time
	// Log is told what no caller hears about; nil discards it.
	Log *slog.Logger
	// OnFenced, if set, is called once for each write that was refused because its
	// lease was lost, with the verb. It may be called concurrently.
	OnFenced func(verb string)
	// BackoffBase and BackoffCap bound the delay after the second and later crashes
	// of a job, and the time a host's breaker stays open; zero means 30 s and 15 min.
	BackoffBase, BackoffCap time.Duration
	// Readers is how many reads run at once; zero means 4.
	Readers int
	// MaxBytes limits the size of the file; zero means the disk does.
	MaxBytes int64
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.Path == "" {
		faults = append(faults, &job.InvalidError{Field: "path", Reason: "name the database file"})
	}
	if c.Readers < 0 {
		faults = append(faults, &job.InvalidError{Field: "readers", Reason: "must not be negative"})
	}
	if c.MaxBytes < 0 {
		faults = append(faults, &job.InvalidError{Field: "max_bytes", Reason: "must not be negative"})
	}
	return errors.Join(faults...)
}

// Store is a SQLite file with jobs in it. All methods may be called concurrently,
// and from several processes on one host.
type Store struct {
	path     string
	hints    bool
	clock    func() time.Time
	log      *slog.Logger
	onFenced func(string)
	waits    backoff.Policy // after a crash, and of an open breaker

	writer *writer  // all writes but the heartbeat
	pulse  *session // the heartbeat's own connection
	reads  *reader
	wakes  *wakes
	claims claimCounter
}

var (
	_ job.Store     = (*Store)(nil)
	_ submit.Ledger = (*Store)(nil)
	_ submit.Pacer  = (*Store)(nil)
	_ alert.Store   = (*Store)(nil)
)

// Open opens the file, or makes it. It does not apply migrations; see
// [Store.Migrate]. When the file cannot be used, the error says which one, why,
// and what to do: it is job.ErrReadOnly or job.ErrFull where that is the reason.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	s := &Store{path: path, hints: c.Hints, clock: c.Clock, log: c.Log, onFenced: c.OnFenced}
	s.waits = backoff.Policy{Base: cmp.Or(c.BackoffBase, submit.BreakerOpen), Cap: cmp.Or(c.BackoffCap, submit.BreakerOpenCap)}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.onFenced == nil {
		s.onFenced = func(string) {}
	}
	if err := s.connect(ctx, c); err != nil {
		_ = s.disconnect() // what failed is told already
		return nil, s.explain(err)
	}
	go s.writer.run()
	return s, nil
}

func makeDirectory(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		return fmt.Errorf("make the data directory %s: %w; choose a directory that this user may write (DATA_DIR)", dir, err)
	}
	return nil
}

// connect opens the writer first: it makes the file and puts it in WAL mode, and
// proves that the file can be written.
func (s *Store) connect(ctx context.Context, c Config) error {
	// A commit syncs the log's data and size, which is what durability needs; the
	// file's timestamps, which fsync writes too, it does not. Where the system has no
	// fdatasync, fsync stays.
	_, _ = driver.Fdatasync(true)

	writing, err := openSession(ctx, s.path, c.MaxBytes)
	if err != nil {
		return err
	}
	s.writer = newWriter(s, writing)
	if err := s.requireWAL(ctx, writing); err != nil {
		return err
	}
	if err := writing.prove(); err != nil {
		return err
	}
	if s.pulse, err = openSession(ctx, s.path, c.MaxBytes); err != nil {
		return err
	}
	if s.reads, err = openReader(ctx, s.path, c.Readers); err != nil {
		return err
	}
	s.wakes = newWakes(s)
	return nil
}

// requireWAL switches the log on. A filesystem without shared memory for files
// leaves the journal as it was.
func (s *Store) requireWAL(ctx context.Context, ses *session) error {
	mode, err := ses.journalWAL(ctx)
	if err != nil {
		return err
	}
	if mode != "wal" {
		return s.noWAL(nil)
	}
	return nil
}

// Close waits for the writes under way, folds the log into the file and closes
// it. Every later call fails. A second Close does nothing.
func (s *Store) Close() error {
	if !s.writer.stop() {
		return nil
	}
	s.writer.turn <- struct{}{} // a heartbeat under way ends first; later ones see that the store is closed
	s.wakes.stop()
	// Other processes may be reading; then the log stays, and the last one to close
	// folds it in.
	if err := s.writer.ses.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		s.log.Warn("checkpoint at close failed; the log is folded in at the next open", "path", s.path, "error", err)
	}
	return s.disconnect()
}

func (s *Store) disconnect() error {
	var faults []error
	if s.reads != nil {
		faults = append(faults, s.reads.close())
	}
	if s.pulse != nil {
		faults = append(faults, s.pulse.close())
	}
	if s.writer != nil {
		faults = append(faults, s.writer.ses.close())
	}
	return errors.Join(faults...)
}

// dsn names the file in a form in which no character of the path means anything.
// Sorting happens in memory: a full disk must not stop a read.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{
		"synchronous(FULL)", "foreign_keys(ON)", "temp_store(MEMORY)",
	}, pragmas...)}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + q.Encode()
}

func openDB(path string, connections int, pragmas ...string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(path, pragmas...))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
