package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout bounds the start and the stop of a server on a busy machine.
const startTimeout = 60 * time.Second

// Cluster is a throwaway Postgres server of its own on a port of 127.0.0.1.
// Its methods are for one goroutine at a time.
type Cluster struct {
	dir   string
	bin   string
	port  int
	as    *syscall.Credential
	guard *guard

	cmd    *exec.Cmd
	exited chan struct{}
}

// NewCluster starts a cluster that ends with the test, for tests that stop,
// restart or kill the database. Others use [Postgres].
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c, err := StartCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// StartCluster makes and starts a cluster. Close ends it; so does the end of
// this process.
func StartCluster() (*Cluster, error) {
	bin, err := program(serverBin)
	if err != nil {
		return nil, err
	}
	as, err := servant()
	if err != nil {
		return nil, err
	}
	dir, err := servantDir(as)
	if err != nil {
		return nil, fmt.Errorf("make a directory for Postgres: %w", err)
	}
	c := &Cluster{dir: dir, bin: bin, as: as}
	if c.guard, err = startGuard(dir, filepath.Join(c.data(), "postmaster.pid")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.create(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// create initialises the data directory and starts the server for the first
// time. The port was free a moment ago; another process may have taken it.
func (c *Cluster) create() error {
	initdb := exec.Command(filepath.Join(c.bin, "initdb"), "-D", c.data(), "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir = c.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	var err error
	for range 5 {
		if c.port, err = freePort(); err != nil {
			return err
		}
		if err = c.Start(); err == nil {
			return nil
		}
	}
	return err
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// URL names a database of the cluster, as its superuser.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

// Start starts the server on the port it always had and returns when it answers.
func (c *Cluster) Start() error {
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	defer log.Close()
	// synchronous_commit stays on: what was committed must survive Kill, and
	// without fsync it costs nothing.
	c.cmd = exec.Command(filepath.Join(c.bin, "postgres"), "-D", c.data(), "-p", strconv.Itoa(c.port), "-k", c.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300", "-c", "fsync=off", "-c", "full_page_writes=off",
		"-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB", "-c", "timezone=UTC")
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = c.dir, log, log
	// A group of its own: the terminal's interrupt must not end the server before the tests.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as, Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	c.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(c.cmd, c.exited)
	return c.awaitAnswer()
}

func (c *Cluster) awaitAnswer() error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := ping(c.URL("postgres"))
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("Postgres ended at once:\n%s", c.logTail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("Postgres does not answer after %s: %w\n%s", startTimeout, err, c.logTail())
		}
	}
}

func (c *Cluster) logTail() []byte {
	log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
	return log[max(0, len(log)-2000):]
}

// Stop shuts the server down as an administrator would: sessions are ended,
// what was committed is kept.
func (c *Cluster) Stop() error { return c.end(syscall.SIGINT) }

// Kill ends the server and all its sessions without a word, as a crash would.
func (c *Cluster) Kill() error { return c.end(syscall.SIGQUIT) }

// Restart is Stop and Start.
func (c *Cluster) Restart() error {
	if err := c.Stop(); err != nil {
		return err
	}
	return c.Start()
}

func (c *Cluster) end(sig syscall.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	select {
	case <-c.exited:
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("Postgres still runs %s after it was told to stop", startTimeout)
	}
}

// Close ends the server, whatever its state, and removes its directory.
func (c *Cluster) Close() { c.guard.release() }

// CreateDatabase makes a database like the one named template and returns its URL.
// The superuser's URL may name any other database of the cluster.
func CreateDatabase(ctx context.Context, superuserURL, template string) (url string, drop func() error, err error) {
	name := fmt.Sprintf("t%d_%d_%d", os.Getpid(), time.Now().UnixNano(), databases.next())
	if err := execute(ctx, superuserURL, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		return "", nil, fmt.Errorf("create test database: %w", err)
	}
	drop = func() error {
		return execute(context.WithoutCancel(ctx), superuserURL, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	url, err = withDatabase(superuserURL, name)
	return url, drop, err
}

// counter tells databases of one nanosecond apart.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

var databases counter

func ping(url string) error { return execute(context.Background(), url, "SELECT 1") }

func execute(ctx context.Context, url, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Freeze stops the server and all its sessions in the middle of whatever they do, as a
// machine that is out of memory or disk would. Thaw lets them go on.
func (c *Cluster) Freeze() error { return c.signalAll(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (c *Cluster) Thaw() error { return c.signalAll(syscall.SIGCONT) }

// signalAll signals the server first, which then makes no more sessions, and those it has.
func (c *Cluster) signalAll(sig syscall.Signal) error {
	server := c.cmd.Process.Pid
	if err := syscall.Kill(server, sig); err != nil {
		return fmt.Errorf("signal Postgres: %w", err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", server))
	if err != nil {
		return fmt.Errorf("list the sessions of Postgres: %w", err)
	}
	for _, text := range bytes.Fields(children) {
		pid, err := strconv.Atoi(string(text))
		if err != nil {
			return fmt.Errorf("list the sessions of Postgres: %w", err)
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal session %d of Postgres: %w", pid, err)
		}
	}
	return nil
}
