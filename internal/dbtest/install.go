package dbtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
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

// bouncer finds pgbouncer, installing it where that is allowed.
func bouncer() (string, error) {
	if path, ok := pgbouncerBin(); ok {
		return path, nil
	}
	if err := install(); err != nil {
		return "", err
	}
	if path, ok := pgbouncerBin(); ok {
		return path, nil
	}
	return "", errors.New("pgbouncer was installed but is not where Debian puts it; run: " + aptLine)
}

func pgbouncerBin() (string, bool) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}
