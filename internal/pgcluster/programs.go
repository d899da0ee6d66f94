//go:build unix

package pgcluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
)

// programs finds the directory of the server programs, and has them installed where
// that is allowed.
func programs(install func() error) (string, error) {
	if dir, ok := serverBin(); ok {
		return dir, nil
	}
	if install == nil {
		return "", ErrMissing
	}
	if err := install(); err != nil {
		return "", err
	}
	if dir, ok := serverBin(); ok {
		return dir, nil
	}
	return "", fmt.Errorf("after their installation: %w", ErrMissing)
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

// Servant returns the credential under which servers run, nil for our own. Both
// servers refuse to run as root.
func Servant() (*syscall.Credential, error) {
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

// ServantDir makes a temporary directory that belongs to the servers' user.
func ServantDir(as *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", "directorybolt-postgres-")
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
