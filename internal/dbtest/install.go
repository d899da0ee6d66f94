package dbtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"syscall"
)

const aptLine = "apt-get update && apt-get install -y --no-install-recommends postgresql pgbouncer"

// install runs apt once in a process; it may only when it is root.
var install = sync.OnceValue(func() error {
	if os.Geteuid() != 0 {
		return errors.New("Postgres and pgbouncer are needed; install them with: sudo sh -c '" + aptLine + "'")
	}
	cmd := exec.Command("sh", "-c", "apt-get update -q && apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 postgresql pgbouncer")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("Postgres and pgbouncer are needed and could not be installed (%w); run: %s\n%s", err, aptLine, bytes.TrimSpace(out))
	}
	return nil
})

// program finds a server program, installing it where that is allowed.
func program(find func() (string, bool)) (string, error) {
	if path, ok := find(); ok {
		return path, nil
	}
	if err := install(); err != nil {
		return "", err
	}
	if path, ok := find(); ok {
		return path, nil
	}
	return "", errors.New("Postgres and pgbouncer were installed but are not where Debian puts them; run: " + aptLine)
}

// serverBin finds the directory of the newest Postgres, which Debian keeps off PATH.
func serverBin() (string, bool) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		sort.Slice(found, func(i, j int) bool { return majorOf(found[i]) < majorOf(found[j]) })
		return filepath.Dir(found[len(found)-1]), true
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), true
	}
	return "", false
}

func majorOf(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

func pgbouncerBin() (string, bool) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// servant returns the credential under which servers run, nil for our own. Both
// servers refuse to run as root.
func servant() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("look up user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("servers may not run as root, and there is no user postgres or nobody")
}

// servantDir makes a temporary directory that belongs to the servers' user.
func servantDir(as *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", "directorybolt-test-")
	if err != nil {
		return "", err
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}
