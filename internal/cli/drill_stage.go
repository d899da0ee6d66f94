package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/drill"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/pgcluster"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// stage is where a drill takes place: a store, and how processes on it are started.
type stage struct {
	name     string // for people
	settings config.Config
	store    backend
	program  string   // our own binary
	env      []string // of the processes
	cwd      string   // of the processes
	dir      string   // their logs, and what else is thrown away
	keep     bool     // do not throw it away
	logs     []*os.File

	cluster *pgcluster.Cluster // ours; nil: none
	own     bool               // the stack is the drill's own
}

// stageHere is the configured system.
func (a *app) stageHere(settings config.Config, s backend) (*stage, error) {
	st, err := newStage()
	if err != nil {
		return nil, err
	}
	st.name, st.settings, st.store = "the configured store, "+storeName(settings), settings, s
	// What was given as flags reaches the processes too.
	st.env = a.env
	for name, value := range a.flags {
		st.env = append(st.env, name+"="+value)
	}
	if a.Config != "" {
		st.env = append(st.env, config.FileVariable+"="+a.Config)
	}
	return st, nil
}

func newStage() (*stage, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find our own binary: %w", err)
	}
	dir, err := os.MkdirTemp("", "directorybolt-drill-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the drill: %w", err)
	}
	return &stage{program: program, dir: dir}, nil
}

// quick are the settings of a stack of the drill's own: ten times faster than the
// defaults, so that a drill is over while somebody watches.
func quick(dir string) map[string]string {
	return map[string]string{
		"DATA_DIR":                dir,
		"LEASE":                   "2s",
		"HEARTBEAT":               "400ms",
		"CHECK_INTERVAL_SECONDS":  "0.5",
		"POLL_INTERVAL":           "100ms",
		"STALE_THRESHOLD_MINUTES": "0.1",
		"BACKOFF_BASE":            "100ms",
		"BACKOFF_CAP":             "1s",
		"LOG_FORMAT":              "json",
	}
}

// stageOwn starts a stack: a SQLite file, or a Postgres whose clock may jump. Nothing
// that is set on this machine for real orders reaches it.
func (a *app) stageOwn(ctx context.Context, postgres, clock bool) (*stage, error) {
	st, err := newStage()
	if err != nil {
		return nil, err
	}
	st.own, st.cwd, st.name = true, st.dir, "a stack of its own, SQLite"
	if err := st.open(ctx, postgres, clock); err != nil {
		st.strike()
		return nil, err
	}
	return st, nil
}

func (st *stage) open(ctx context.Context, postgres, clock bool) (err error) {
	set := quick(filepath.Join(st.dir, "data"))
	if postgres {
		if st.cluster, err = startPostgres(clock); err != nil {
			return err
		}
		st.name = "a stack of its own, Postgres"
		set["DATABASE_URL"] = st.cluster.URL("postgres")
	}
	nothing := func(string) ([]byte, error) { return nil, os.ErrNotExist }
	if st.settings, _, err = config.Load(config.Sources{Args: set, ReadFile: nothing}); err != nil {
		return err
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		st.env = append(st.env, name+"="+os.Getenv(name))
	}
	for name, value := range set {
		st.env = append(st.env, name+"="+value)
	}
	if err := makeDataDir(st.settings.DataDir); err != nil {
		return err
	}
	h := house{config: st.settings, log: slog.New(slog.DiscardHandler)}
	if st.store, err = h.connect(ctx, mayCreate); err != nil {
		return err
	}
	_, err = st.store.Migrate(ctx)
	return err
}

// startPostgres starts a server that is thrown away.
func startPostgres(clock bool) (*pgcluster.Cluster, error) {
	var c pgcluster.Config
	if clock {
		path, ok := pgcluster.FakeTime()
		if !ok {
			return nil, remedied(errors.New("jump a clock: libfaketime is not on this machine"), "install it, on Debian: apt-get install libfaketime")
		}
		c.Clock = path
	}
	cluster, err := pgcluster.Start(c)
	return cluster, needsPostgres(err)
}

// strike takes the stage down.
func (st *stage) strike() {
	if st.own && st.store != nil {
		_ = st.store.Close()
	}
	if st.cluster != nil {
		st.cluster.Close()
	}
	for _, log := range st.logs {
		_ = log.Close()
	}
	if !st.keep {
		_ = os.RemoveAll(st.dir)
	}
}

// keepLogs leaves what the drill's processes said to whoever must find out.
func (st *stage) keepLogs(a *app) {
	st.keep = true
	a.say("the logs of the drill's processes are in %s", st.dir)
}

// config is that of a drill on this stage.
func (st *stage) config(a *app, s drill.Scenario) drill.Config {
	c := drill.Config{
		Scenario: s,
		Store:    st.store,
		Canary:   st.canary,
		Worker:   st.worker,
		Lease:    st.settings.Lease,
		Interval: st.settings.LivenessInterval(),
		Stall:    st.settings.StallAfter(),
	}
	if st.own {
		c.Monitor = func() *exec.Cmd { return st.command("monitor", nil, "stale-monitor") }
	}
	if st.cluster != nil {
		c.Database = st.cluster
	}
	return c
}

func (st *stage) canary(ctx context.Context, c drill.Canary) (job.Spec, error) {
	customer, err := st.store.EnsureCustomer(ctx, submit.CanaryCustomer)
	if err != nil {
		return job.Spec{}, err
	}
	return submit.CanarySpec(customer, submit.Canary{Directories: c.Directories, Hold: c.Hold, Hang: c.Hang, Only: c.Only}, defaultActor())
}

func (st *stage) worker(w drill.Worker) *exec.Cmd {
	var env []string
	if w.Database != "" {
		env = append(env, "DATABASE_URL="+strings.Replace(st.settings.DatabaseURL, st.cluster.Address(), w.Database, 1))
	}
	if w.Eager {
		env = append(env, "POLL_INTERVAL=10ms")
	}
	role, _, _ := strings.Cut(w.Name, "/")
	return st.command(role, env, "__drill-work", "--name", w.Name)
}

// command is one of our own processes, whose log is kept as long as the stage stands.
func (st *stage) command(role string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(st.program, args...)
	cmd.Env, cmd.Dir = append(append([]string{}, st.env...), env...), st.cwd
	// A drill whose logs cannot be kept is a drill all the same.
	if log, err := os.Create(filepath.Join(st.dir, role+".log")); err == nil {
		cmd.Stdout, cmd.Stderr = log, log
		st.logs = append(st.logs, log)
	}
	return cmd
}
