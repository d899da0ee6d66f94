package check

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/dbtest"
)

const installed = "/usr/local/bin/directorybolt"

// units copies the units with the program where it is here, as they would be found
// installed.
func units(t *testing.T) (dir string, names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy/systemd/*"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%d units, error %v", len(files), err)
	}
	dir = t.TempDir()
	for _, file := range files {
		name := filepath.Base(file)
		text := strings.ReplaceAll(read(t, "deploy/systemd/"+name), installed, binary)
		write(t, filepath.Join(dir, name), text)
		names = append(names, name)
	}
	return dir, names
}

func TestSystemdTakesTheUnits(t *testing.T) {
	dir, names := units(t)
	for i, name := range names {
		names[i] = filepath.Join(dir, strings.Replace(name, "@.", "@1.", 1))
	}
	if err := os.Rename(filepath.Join(dir, "directorybolt-worker@.service"), filepath.Join(dir, "directorybolt-worker@1.service")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("systemd-analyze", append([]string{"verify", "--man=no", "--recursive-errors=no"}, names...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// The hardening is worth what systemd says it is: 0 is nothing left open, 10 all.
func TestTheUnitsLeaveLittleOpen(t *testing.T) {
	dir, names := units(t)
	for _, name := range names {
		if !strings.HasSuffix(name, ".service") {
			continue
		}
		cmd := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", filepath.Join(dir, name))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s is exposed by more than 2.0: %v\n%s", name, err, out)
		}
	}
}

var (
	execStart   = regexp.MustCompile(`(?m)^ExecStart=(\S+) (.+)$`)
	environment = regexp.MustCompile(`(?m)^Environment=(.+)$`)
)

func TestTheUnitsStartWhatThereIs(t *testing.T) {
	started := map[string]bool{}
	_, names := units(t)
	for _, name := range names {
		text := read(t, "deploy/systemd/"+name)
		if !strings.HasSuffix(name, ".service") {
			continue
		}
		m := execStart.FindStringSubmatch(text)
		if m == nil || m[1] != installed {
			t.Errorf("%s starts %v, want %s", name, m, installed)
			continue
		}
		checkCommand(t, name, strings.Fields(m[2]))
		started[m[2]] = true
		for _, line := range environment.FindAllStringSubmatch(text, -1) {
			for _, pair := range strings.Fields(line[1]) {
				key, _, _ := strings.Cut(pair, "=")
				if s, ok := config.Named(strings.TrimSuffix(key, "_FILE")); !ok || strings.HasSuffix(key, "_FILE") && !s.Secret {
					t.Errorf("%s: %s is no setting", name, key)
				}
			}
		}
	}
	for _, role := range []string{"api", "work", "stale-monitor", "dlq-monitor", "migrate up"} {
		if !started[role] {
			t.Errorf("no unit starts %s", role)
		}
	}
}

// TestARoleTellsTheServiceManager runs a role as Type=notify does.
func TestARoleTellsTheServiceManager(t *testing.T) {
	url := dbtest.Postgres(t)
	address := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	env := []string{"NOTIFY_SOCKET=" + address, "DATABASE_URL=" + url, "DATA_DIR=" + t.TempDir(), "PORT=0"}
	migrate := exec.Command(binary, "migrate", "up")
	migrate.Env = env
	run(t, migrate)
	catalog, err := filepath.Abs(filepath.Join(root, "examples/catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "CATALOG="+catalog)
	for _, role := range []string{"api", "work", "stale-monitor", "dlq-monitor", "all"} {
		cmd := exec.Command(binary, role)
		cmd.Env, cmd.SysProcAttr = env, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if got := told(t, manager); got != "READY=1" {
			t.Errorf("%s: told %q, want READY=1", role, got)
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if got := told(t, manager); got != "STOPPING=1" {
			t.Errorf("%s: told %q, want STOPPING=1", role, got)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

func told(t *testing.T, manager *net.UnixConn) string {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := manager.Read(b)
	if err != nil {
		t.Errorf("wait for a word of the process: %v", err)
	}
	return string(b[:n])
}
