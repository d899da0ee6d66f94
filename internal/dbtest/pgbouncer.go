package dbtest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/pgcluster"
)

// bouncerIni leaves pgbouncer as strict as it comes: a startup parameter that it
// does not know is refused, as hosted poolers do.
const bouncerIni = `[databases]
* = host=%s port=%s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = %s
max_client_conn = 500
default_pool_size = 20
logfile = %s
pidfile = %s
`

// PgBouncer starts a real pgbouncer in front of the database of the URL and
// returns the URL through it. Mode is "session" or "transaction". It ends with
// the test.
func PgBouncer(t testing.TB, databaseURL, mode string) string {
	t.Helper()
	var through string
	var err error
	for range 5 { // the free port may be taken by another process before pgbouncer has it
		var g *pgcluster.Guard
		if through, g, err = startBouncer(databaseURL, mode); err == nil {
			t.Cleanup(g.Release)
			return through
		}
	}
	t.Fatal(err)
	return ""
}

func startBouncer(databaseURL, mode string) (string, *pgcluster.Guard, error) {
	bin, err := bouncer()
	if err != nil {
		return "", nil, err
	}
	target, err := url.Parse(databaseURL)
	if err != nil {
		return "", nil, errors.New("put pgbouncer in front of a database: its URL cannot be read")
	}
	as, err := pgcluster.Servant()
	if err != nil {
		return "", nil, err
	}
	dir, err := pgcluster.ServantDir(as)
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for pgbouncer: %w", err)
	}
	port, err := pgcluster.FreePort()
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	g, err := pgcluster.StartGuard(dir, filepath.Join(dir, "pid"))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	through := *target
	through.Host = fmt.Sprintf("127.0.0.1:%d", port)
	if err := runBouncer(bin, dir, as, target, port, mode, through.String()); err != nil {
		g.Release()
		return "", nil, err
	}
	return through.String(), g, nil
}

func runBouncer(bin, dir string, as *syscall.Credential, target *url.URL, port int, mode, through string) error {
	users, log := filepath.Join(dir, "users"), filepath.Join(dir, "log")
	ini := fmt.Sprintf(bouncerIni, target.Hostname(), target.Port(), port, users, mode, log, filepath.Join(dir, "pid"))
	err := errors.Join(
		os.WriteFile(users, fmt.Appendf(nil, "%q \"\"\n", target.User.Username()), 0o644),
		os.WriteFile(filepath.Join(dir, "ini"), []byte(ini), 0o644))
	if err != nil {
		return fmt.Errorf("configure pgbouncer: %w", err)
	}
	cmd := exec.Command(bin, "-q", filepath.Join(dir, "ini"))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start pgbouncer: %w", err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()

	deadline := time.Now().Add(startTimeout)
	for {
		err := ping(through)
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			said, _ := os.ReadFile(log)
			return fmt.Errorf("pgbouncer ended at once:\n%s", said)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("pgbouncer does not answer after %s: %w", startTimeout, err)
		}
	}
}
