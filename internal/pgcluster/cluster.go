//go:build unix

package pgcluster

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
	"syscall"
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
	clock string
	guard *Guard

	cmd    *exec.Cmd
	exited chan struct{}
}

// Start makes and starts a cluster. Close ends it; so does the end of this process.
func Start(cfg Config) (*Cluster, error) {
	bin, err := programs(cfg.Install)
	if err != nil {
		return nil, err
	}
	as, err := Servant()
	if err != nil {
		return nil, err
	}
	dir, err := ServantDir(as)
	if err != nil {
		return nil, fmt.Errorf("make a directory for Postgres: %w", err)
	}
	c := &Cluster{dir: dir, bin: bin, as: as, clock: cfg.Clock}
	if c.guard, err = StartGuard(dir, filepath.Join(c.data(), "postmaster.pid")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := errors.Join(c.Jump(0), c.create()); err != nil {
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
		if c.port, err = FreePort(); err != nil {
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

// Address is the server's host and port.
func (c *Cluster) Address() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }

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
	c.cmd.Env = append(os.Environ(), c.clockEnv()...)
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
			return fmt.Errorf("the Postgres server ended at once:\n%s", c.logTail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the Postgres server does not answer after %s: %w\n%s", startTimeout, err, c.logTail())
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
		return fmt.Errorf("the Postgres server still runs %s after it was told to stop", startTimeout)
	}
}

// PID is the server's own process.
func (c *Cluster) PID() int { return c.cmd.Process.Pid }

// Dir is the cluster's directory, which the server's user may read and write.
func (c *Cluster) Dir() string { return c.dir }

// Close ends the server, whatever its state, and removes its directory.
func (c *Cluster) Close() { c.guard.Release() }

func ping(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// FreePort is a port of 127.0.0.1 that nobody listens on at this moment.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
