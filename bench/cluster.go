package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// cluster is a Postgres server of our own. Unlike the one of the tests it keeps
// what it promises: fsync, full_page_writes and synchronous_commit are on, or the
// figures would be of another product.
type cluster struct {
	dir, bin string
	port     int
	cmd      *exec.Cmd
	exited   chan struct{}
	guard    *exec.Cmd
	leash    io.Closer
	made     int
}

// guardScript outlives us for as long as it takes to stop the server and remove
// its directory, however we end.
const guardScript = `
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
	kill -QUIT "$pid" 2>/dev/null
	n=0
	while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
fi
rm -rf "$1"
`

// startCluster makes and starts a server in a new directory under tmp. Close ends
// it; so does the end of this process.
func startCluster(ctx context.Context, tmp string, statements bool) (*cluster, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return nil, errors.New("there is no Postgres under /usr/lib/postgresql; install it: apt-get install postgresql")
	}
	as, err := servant()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(tmp, "directorybolt-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for Postgres: %w", err)
	}
	c := &cluster{dir: dir, bin: filepath.Dir(found[len(found)-1])}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	if err := c.watch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.create(ctx, as, statements); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// servant is the user under which Postgres runs when we are root, which it refuses.
func servant() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find a user for Postgres, which may not run as root: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

func (c *cluster) watch() (err error) {
	c.guard = exec.Command("/bin/sh", "-c", guardScript, "guard", c.dir)
	c.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.leash, err = c.guard.StdinPipe(); err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	if err := c.guard.Start(); err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	return nil
}

func (c *cluster) create(ctx context.Context, as *syscall.Credential, statements bool) error {
	data := filepath.Join(c.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(c.bin, "initdb"), "-D", data, "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = c.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	c.port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()

	args := []string{"-D", data, "-p", strconv.Itoa(c.port), "-k", c.dir}
	for _, set := range serverSettings {
		args = append(args, "-c", set)
	}
	if statements {
		args = append(args, "-c", "shared_preload_libraries=pg_stat_statements", "-c", "track_io_timing=on")
	}
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.cmd = exec.Command(filepath.Join(c.bin, "postgres"), args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = c.dir, log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	c.exited = make(chan struct{})
	go func() { _ = c.cmd.Wait(); close(c.exited) }()
	return c.awaitAnswer(ctx)
}

// serverSettings are those of a small server that means it. What is not named is
// at its default: fsync, full_page_writes, synchronous_commit, autovacuum are on.
// Checkpoints are asked for before a sample, so that none falls into it.
var serverSettings = []string{
	"listen_addresses=127.0.0.1", "max_connections=200", "timezone=UTC",
	"shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=30min",
}

func (c *cluster) awaitAnswer(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := execute(ctx, c.url("postgres"), "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("start Postgres: it ended at once:\n%s", log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("start Postgres: no answer: %w", err)
		}
	}
}

func (c *cluster) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

// createDatabase makes an empty database.
func (c *cluster) createDatabase(ctx context.Context) (string, error) {
	c.made++
	name := fmt.Sprintf("bench%d", c.made)
	if err := execute(ctx, c.url("postgres"), "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return c.url(name), nil
}

func (c *cluster) dropDatabase(url string) error {
	name := strings.TrimSuffix(filepath.Base(url), "?sslmode=disable")
	return execute(context.Background(), c.url("postgres"), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

// version is what the server calls itself, and those settings that durability
// hangs on, as it has them.
func (c *cluster) version(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var version string
	if err := conn.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return "", err
	}
	said := []string{"Postgres " + version}
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "autovacuum", "shared_buffers"} {
		var value string
		if err := conn.QueryRow(ctx, "SHOW "+name).Scan(&value); err != nil {
			return "", err
		}
		said = append(said, name+" "+value)
	}
	return strings.Join(said, ", "), nil
}

// Close ends the server and removes its directory.
func (c *cluster) Close() {
	_ = c.leash.Close()
	_ = c.guard.Wait()
}

func execute(ctx context.Context, url string, statements ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for statement := range slices.Values(statements) {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%.60q: %w", statement, err)
		}
	}
	return nil
}
