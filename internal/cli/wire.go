package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/books"
	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/lookout"
	"github.com/directorybolt/directorybolt/internal/stale"
	"github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/submit/httpform"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
	"github.com/directorybolt/directorybolt/internal/telemetry"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// backend is a store as commands use it, of either dialect.
type backend interface {
	job.Store
	submit.Ledger
	submit.Pacer
	alert.Store
	auth.Keys
	auth.Sessions
	auth.Customers
	idempotency.Store
	submit.Witness
	evidence.Erasures

	// Secret returns the secret of that name; it is made when first asked for.
	Secret(ctx context.Context, name string) ([]byte, error)
	// Migrate applies what is pending and returns it.
	Migrate(ctx context.Context) ([]store.Migration, error)
	// MigrationStatus lists all migrations; it changes nothing.
	MigrationStatus(ctx context.Context) ([]store.Migration, error)
	Close() error
}

// house is what the rooms of one process are built from.
type house struct {
	config  config.Config
	log     *slog.Logger
	metrics *telemetry.Metrics // nil: nobody looks
	tracer  *telemetry.Tracer  // nil: no traces
}

// house loads the settings for a process that serves: it logs to stderr.
func (a *app) house() (house, error) {
	c, err := a.settings()
	h := house{config: c, log: newLogger(c, a.stderr), metrics: telemetry.NewMetrics()}
	if err == nil && c.OTLPEndpoint != "" {
		h.tracer, err = telemetry.NewTracer(c.OTLPEndpoint, thisBuild().Version, c.Secrets(), h.log)
	}
	return h, err
}

// errand loads the settings for a command that does one thing and is gone: what
// it has to say it says itself.
func (a *app) errand() (house, error) {
	c, err := a.settings()
	return house{config: c, log: slog.New(slog.DiscardHandler)}, err
}

func newLogger(c config.Config, w io.Writer) *slog.Logger {
	return telemetry.NewLogger(w, telemetry.LogOptions{Level: c.LogLevel, Format: c.LogFormat, Secrets: c.Secrets()})
}

// withStore opens the store that the settings name, for an errand, and closes it
// after. It takes no lock and migrates nothing.
func (a *app) withStore(ctx context.Context, use func(s backend) error) error {
	h, err := a.errand()
	if err != nil {
		return err
	}
	s, err := h.open(ctx)
	return closing(s, err, use)
}

// closing uses a store that was just opened, and closes it.
func closing(s backend, err error, use func(s backend) error) error {
	if err != nil {
		return err
	}
	err = use(s)
	if closed := s.Close(); err == nil {
		err = closed
	}
	return err
}

// open opens the store and checks its schema.
func (h house) open(ctx context.Context) (backend, error) {
	s, err := h.connect(ctx, mustExist)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openOwn opens the store for a process that runs everything: a SQLite store is
// locked, made if it is missing, and migrated; Postgres must be migrated.
func (h house) openOwn(ctx context.Context) (backend, error) {
	if h.config.DatabaseURL != "" {
		return h.open(ctx)
	}
	if err := makeDataDir(h.config.DataDir); err != nil {
		return nil, err
	}
	release, err := sqlite.LockDir(h.config.DataDir)
	if err != nil {
		return nil, err
	}
	s, err := h.connect(ctx, mayCreate)
	if err != nil {
		release()
		return nil, err
	}
	own := &ownStore{s, release}
	if _, err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, own.Close())
	}
	return own, nil
}

// ownStore is a store whose data directory is ours alone.
type ownStore struct {
	backend
	release func()
}

// Close closes the store, then gives the directory up.
func (s *ownStore) Close() error {
	defer s.release()
	return s.backend.Close()
}

// existence says what to do about a SQLite file that is not there.
type existence bool

const (
	mustExist existence = false
	mayCreate existence = true
)

// connect opens the store whatever its schema.
func (h house) connect(ctx context.Context, e existence) (backend, error) {
	if h.config.DatabaseURL != "" {
		return h.connectPostgres(ctx)
	}
	path := databasePath(h.config)
	if e == mustExist {
		if err := present(path); err != nil {
			return nil, err
		}
	}
	s, err := sqlite.Open(ctx, sqlite.Config{
		Path:        path,
		BackoffBase: h.config.BackoffBase,
		BackoffCap:  h.config.BackoffCap,
		Hints:       h.hints(),
		Log:         h.log,
		OnFenced:    h.metrics.WriteFenced,
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return s, nil
}

func (h house) connectPostgres(ctx context.Context) (backend, error) {
	s, err := postgres.Open(ctx, postgres.Config{
		URL:         h.config.DatabaseURL,
		DirectURL:   h.config.DatabaseDirectURL,
		Pooling:     h.config.DatabasePooling,
		BackoffBase: h.config.BackoffBase,
		BackoffCap:  h.config.BackoffCap,
		Hints:       h.hints(),
		Log:         h.log,
		OnFenced:    h.metrics.WriteFenced,
	})
	if err != nil {
		return nil, remedied(err, "see DATABASE_URL: directorybolt config print")
	}
	return s, nil
}

// databasePath is the SQLite file of a data directory.
func databasePath(c config.Config) string { return filepath.Join(c.DataDir, "directorybolt.db") }

// storeName says which store the settings choose, without secrets.
func storeName(c config.Config) string {
	if c.DatabaseURL != "" {
		return "postgres"
	}
	return databasePath(c)
}

// present reports a SQLite file that is not there.
func present(path string) error {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return remedied(fmt.Errorf("open the store: there is no database %s", path),
			"start: directorybolt all, or run: directorybolt migrate up; --data-dir and DATABASE_URL choose another")
	case err != nil:
		return remedied(fmt.Errorf("open the store: no database can be at %s: %w", path, cause(err)), "choose another directory with --data-dir or DATA_DIR")
	}
	return nil
}

// makeDataDir makes the data directory.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return remedied(fmt.Errorf("make the data directory %s: %w", dir, cause(err)), "choose another with --data-dir or DATA_DIR")
	}
	return nil
}

// checkSchema is an error when the schema is behind this binary.
func checkSchema(ctx context.Context, s backend) error {
	pending, err := pendingMigrations(ctx, s)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		err := fmt.Errorf("open the store: %s pending: %w", count(len(pending), "migration"), job.ErrSchema)
		return remedied(err, "run: directorybolt migrate up")
	}
	return nil
}

func pendingMigrations(ctx context.Context, s backend) ([]store.Migration, error) {
	all, err := s.MigrationStatus(ctx)
	return pendingOf(all), err
}

func pendingOf(all []store.Migration) []store.Migration {
	return slices.DeleteFunc(slices.Clone(all), func(m store.Migration) bool { return m.Applied })
}

// migrationSQL prints the migrations of a dialect; no database is asked.
func migrationSQL(d store.Dialect, from int64) (string, error) {
	if d == store.SQLite {
		return sqlite.MigrationSQL(from)
	}
	return postgres.MigrationSQL(from)
}

// backoff is the growing delay between attempts of a job and tries of a directory.
func (h house) backoff() backoff.Policy {
	return backoff.Policy{Base: h.config.BackoffBase, Cap: h.config.BackoffCap}
}

// process wires the worker with its handlers, the queue that wakes it, if there is one,
// the stale monitor, the monitor of the books, and the sweeper of evidence.
func (h house) process(ctx context.Context, s backend, catalog *directory.Catalog) (*process, error) {
	client := h.webClient()
	engine, err := submit.New(h.submitting(s, catalog, client))
	if err != nil {
		return nil, err
	}
	pool, queues, err := h.hinted(ctx, s, h.pool(s, map[string]job.Handler{
		job.KindOrder:   engine.Order(),
		job.KindRecheck: engine.Recheck(),
		job.KindCanary:  h.canaries(s, ""),
		job.KindNoop:    job.HandlerFunc(func(context.Context, job.Attempt) error { return nil }),
	}))
	if err != nil {
		return nil, err
	}
	monitor := h.monitor(s)
	return &process{worker: pool.Run, services: append(queues, monitor.Run, h.bookkeeper(s).Run, h.lookout(s).Run, h.sweeper(s).Run, h.tracer.Run), close: client.Close}, nil
}

// evidence is where the proofs of this machine's workers are.
func (h house) evidence() *evidence.Dir {
	return evidence.NewDir(filepath.Join(h.config.DataDir, "evidence"))
}

// sweeper removes the proofs of erased customers from this machine's disk; every process
// that keeps proofs there runs one.
func (h house) sweeper(s backend) *evidence.Sweeper {
	return evidence.NewSweeper(evidence.SweeperConfig{Dir: h.evidence(), Erasures: s, Log: h.log})
}

// submitting is how orders are performed. Canaries have a catalog of their own and
// visit nobody on the web: they need neither catalog nor client.
func (h house) submitting(s backend, catalog *directory.Catalog, client *webclient.Client) submit.Config {
	return submit.Config{
		Ledger:      s,
		Pacer:       s,
		Jobs:        s,
		Catalog:     catalog,
		Methods:     map[directory.Method]submit.Method{directory.MethodForm: httpform.New(client)},
		Evidence:    h.evidence(),
		Concurrency: h.config.SubmitConcurrency,
		Backoff:     h.backoff(),
		Schedule:    h.config.RecheckSchedule,
		Log:         h.log,
		Metrics:     h.metrics,
		Tracer:      h.tracer,
	}
}

// canaries performs canaries; name is what those for this worker alone are addressed to.
func (h house) canaries(s backend, name string) job.Handler {
	return submit.Canaries(h.submitting(s, nil, nil), s, name)
}

// pool is how a worker runs its handlers.
func (h house) pool(s backend, handlers map[string]job.Handler) worker.Config {
	return worker.Config{
		Store:       s,
		Handlers:    handlers,
		Concurrency: h.config.WorkerConcurrency,
		Heartbeat:   h.config.Heartbeat,
		Lease:       h.config.Lease,
		Poll:        h.config.PollInterval,
		DrainGrace:  max(h.config.DrainGrace, 1), // zero would be the pool's default
		Backoff:     h.backoff(),
		Rollups:     s,
		Version:     thisBuild().Version,
		Log:         h.log,
		Metrics:     h.metrics,
		Tracer:      h.tracer,
	}
}

// monitor is the stale monitor, as every process that has one runs it.
func (h house) monitor(s backend) *stale.Monitor {
	return stale.New(stale.Config{
		Store:      s,
		Lifelines:  s,
		Teller:     s,
		Passes:     s,
		Rollups:    s,
		Orphans:    s,
		Now:        s.Now,
		Interval:   h.config.LivenessInterval(),
		Lease:      h.config.Lease,
		StallAfter: h.config.StallAfter(),
		Log:        h.log,
		Metrics:    h.metrics,
	})
}

// bookkeeper is the monitor of the books, as every process that has one runs it: they take turns.
func (h house) bookkeeper(s backend) *books.Monitor {
	return books.New(books.Config{Store: s, Stall: h.config.StallAfter(), Log: h.log, Metrics: h.metrics})
}

// lookout watches the monitors of this process and of others; every process that has
// one runs it.
func (h house) lookout(s backend) *lookout.Lookout {
	return lookout.New(lookout.Config{
		Store:    s,
		Interval: h.config.LivenessInterval(),
		Waits: func(ctx context.Context, monitor string) (bool, error) {
			if monitor != job.MonitorStale {
				return false, nil
			}
			stuck, err := s.Stale(ctx, h.config.StallAfter(), 1)
			return len(stuck) > 0, err
		},
		Log:     h.log,
		Metrics: h.metrics,
	})
}

// webClient is what all methods visit directories with. It says honestly who
// comes, and reaches public addresses only, unless the settings allow more.
func (h house) webClient() *webclient.Client {
	return webclient.New(webclient.Config{
		UserAgent:  "DirectoryBolt/" + thisBuild().Version,
		ContactURL: h.config.ContactURL,
		Allow:      h.config.OutboundAllow,
	})
}
