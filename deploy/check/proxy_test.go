package check

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
)

// TestTheProxyHoldsRequestsWhileTheAPIIsReplaced runs Caddy with our Caddyfile before
// one API, and replaces that under load as compose does: the old one ends before the
// new one begins.
func TestTheProxyHoldsRequestsWhileTheAPIIsReplaced(t *testing.T) {
	catalog, err := filepath.Abs(filepath.Join(root, "examples/catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	port, front := freePort(t), fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	api := fmt.Sprintf("http://127.0.0.1:%d", port)
	env := []string{"DATABASE_URL=" + dbtest.Postgres(t), "CATALOG=" + catalog, "DATA_DIR=" + t.TempDir(), fmt.Sprintf("PORT=%d", port),
		"DRAIN_DELAY=2s", "RATE_LIMITS=public=1000000/1m", "RATE_LIMIT_TIMEOUT=10s"}
	migrate := exec.Command(binary, "migrate", "up")
	migrate.Env = env
	run(t, migrate)

	home := t.TempDir()
	caddy := process(t, "caddy", exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", filepath.Join(root, "deploy/Caddyfile")),
		"HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "SITE="+front, fmt.Sprintf("API_UPSTREAMS=127.0.0.1:%d", port))
	served := process(t, "api", exec.Command(binary, "api"), env...)
	all := []*container{caddy, served}
	await(t, "the API is ready", all, func() bool { return status(api+"/readyz") == http.StatusOK })
	await(t, "the proxy reaches it", all, func() bool { return status(front+"/readyz") == http.StatusOK })

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var answered atomic.Int64
	client := &http.Client{Timeout: time.Minute}
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				res, err := client.Get(front + "/api/session") // nobody is signed in
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				_ = res.Body.Close()
				if res.StatusCode != http.StatusUnauthorized {
					t.Errorf("a request is answered with %s", res.Status)
					return
				}
				answered.Add(1)
			}
		})
	}
	more := func() {
		before := answered.Load()
		await(t, "requests are answered", all, func() bool { return answered.Load() > before+100 || t.Failed() })
	}
	for range 2 {
		more()
		_ = served.cmd.Process.Signal(syscall.SIGTERM)
		<-served.done
		served = process(t, "api", exec.Command(binary, "api"), env...)
		all = append(all, served)
	}
	more()
	stop()
	clients.Wait()
	if t.Failed() {
		for _, c := range all {
			t.Logf("%s:\n%s", c.name, c.output())
		}
	}
}

// process starts a program that ends with the test.
func process(t *testing.T, name string, cmd *exec.Cmd, env ...string) *container {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := &container{name: name, cmd: cmd, log: log.Name(), done: make(chan struct{})}
	cmd.Env = append(append(cmd.Env, "PATH="+os.Getenv("PATH")), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-c.done
	})
	return c
}
