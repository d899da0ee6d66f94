package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/jackc/pgx/v5"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// topology runs the services of a compose file as plain processes. What a container
// would see at a path or under a host's name is put in its place: files of secrets,
// volumes, the emulator of SQS.
type topology struct {
	project
	t     *testing.T
	hosts *strings.Replacer // what stands in a setting, and what takes its place
	data  string
}

// container is a service's process.
type container struct {
	name string
	cmd  *exec.Cmd
	log  string
	url  string // where it answers
	done chan struct{}
}

// environment is what the process of a service is given: that of the compose file and
// nothing of ours.
func (top topology) environment(s types.ServiceConfig) []string {
	top.t.Helper()
	var env []string
	for key, value := range s.Environment {
		if value == nil {
			top.t.Errorf("%s: %s is handed through from whoever starts it", s.Name, key)
			continue
		}
		env = append(env, key+"="+top.inside(s, *value))
	}
	return env
}

// inside is a value with the paths and hosts of a container turned into ours.
func (top topology) inside(s types.ServiceConfig, value string) string {
	for _, secret := range s.Secrets {
		if value == "/run/secrets/"+secret.Source {
			return top.Secrets[secret.Source].File
		}
	}
	for _, v := range s.Volumes {
		if value == v.Target && v.Type == types.VolumeTypeBind {
			return v.Source
		}
	}
	if value == "/data" { // an anonymous volume of the image, or a named one
		return top.data
	}
	return top.hosts.Replace(value)
}

// command is a process of a service; other words may take the place of its own, as
// with `docker compose run`.
func (top topology) command(service string, words ...string) *exec.Cmd {
	top.t.Helper()
	s, ok := top.Services[service]
	if !ok {
		top.t.Fatalf("there is no service %s", service)
	}
	if len(words) == 0 {
		words = s.Command
	}
	cmd := exec.Command(binary, words...)
	cmd.Dir, cmd.Env = top.data, top.environment(s)
	return cmd
}

// up starts a service that stays. Each container has a port 8080 of its own; here its
// process takes a free one.
func (top topology) up(service string) *container {
	top.t.Helper()
	cmd, port, listens := top.command(service), freePort(top.t), false
	for i, kv := range cmd.Env {
		switch kv {
		case "PORT=8080":
			cmd.Env[i], listens = fmt.Sprintf("PORT=%d", port), true
		case "PROBE_ADDRESS=127.0.0.1:8080":
			cmd.Env[i] = fmt.Sprintf("PROBE_ADDRESS=127.0.0.1:%d", port)
		}
	}
	for _, published := range top.Services[service].Ports {
		if published.Target != 8080 || !listens {
			top.t.Errorf("%s publishes port %d and listens on another: %v", service, published.Target, cmd.Env)
		}
	}
	c := process(top.t, service, cmd)
	c.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	return c
}

func (c *container) output() string {
	b, _ := os.ReadFile(c.log)
	return string(b)
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// await polls until something is so.
func await(t *testing.T, what string, all []*container, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if is() {
			return
		}
	}
	for _, c := range all {
		t.Logf("%s:\n%s", c.name, c.output())
	}
	t.Fatalf("in vain: %s", what)
}

// TestTheComposeTopologyDeliversAnOrder starts what the compose file says, in its
// order, and places an order at its API.
func TestTheComposeTopologyDeliversAnOrder(t *testing.T) {
	emulator := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].StartOwn(t)
	proxy := sqstest.NewProxy(t, emulator)
	web, err := sandbox.Start(context.Background(), sandbox.Config{Count: 60, Scale: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(web.Close)
	catalog, err := web.CatalogYAML()
	if err != nil {
		t.Fatal(err)
	}
	catalogFile := filepath.Join(t.TempDir(), "catalog.yaml")
	write(t, catalogFile, string(catalog))
	database := dbtest.Postgres(t)
	top := topology{
		project: compose(t, read(t, "deploy/sqs-emulator.env")+
			"OUTBOUND_ALLOW=127.0.0.0/8\nBACKOFF_BASE=500ms\nBACKOFF_CAP=1s\nCATALOG_FILE="+catalogFile+"\n",
			map[string]string{"database_url": database + "\n"}, "compose.yaml"),
		t: t,
		// The emulator calls its queues by a name and port of its own.
		hosts: strings.NewReplacer("http://sqs.us-east-1.localhost:4566/", strings.TrimSuffix(emulator.Make("host", nil), "000000000000/host"),
			"http://sqs:4566", proxy.Endpoint, "0.0.0.0", "127.0.0.1"),
		data: t.TempDir(),
	}

	run(t, top.command("migrate"))
	aged(t, database)
	made := run(t, top.command("queues"))
	api := top.Services["api"].Environment
	for _, name := range []string{"SQS_QUEUE_URL", "SQS_DLQ_URL"} {
		if url := top.inside(top.Services["api"], *api[name]); !strings.Contains(made, url+" ") {
			t.Fatalf("%s=%s is none of the queues that were made:\n%s", name, url, made)
		}
	}

	front := top.up("api")
	all := []*container{front, top.up("stale-job-monitor"), top.up("dlq-monitor")}
	for range top.scale("worker") {
		all = append(all, top.up("worker"))
	}
	await(t, "the API is ready", all, func() bool { return status(front.url+"/readyz") == http.StatusOK })
	await(t, "every worker and monitor lives", all, func() bool { return alive(t, database) >= top.scale("worker") })
	for _, c := range all {
		top.healthy(c, all)
	}

	key := strings.TrimSpace(run(t, top.command("api", "keys", "create", "--role=customer", "--customer=owner@cedarandrye.example.com", "--name=portal")))
	id := order(t, front.url, key)
	await(t, "the order is completed", all, func() bool {
		var o struct{ State string }
		ask(t, http.MethodGet, front.url+"/api/orders/"+id, key, nil, &o)
		if o.State == "failed" || o.State == "cancelled" {
			t.Fatalf("the order %s", o.State)
		}
		return o.State == "completed"
	})
	for _, r := range web.Witness().Directories {
		if taken := len(r.Accepted) + len(r.Held); taken > 1 {
			t.Errorf("%s took the business in %d times", r.Slug, taken)
		}
	}
	if proxy.Calls("SendMessageBatch") == 0 || proxy.Calls("ReceiveMessage") == 0 {
		t.Error("no hint went through the queue")
	}
	await(t, "retention forgets what is old", all, func() bool { return number[int](t, database, "SELECT count(*) FROM jobs WHERE kind = 'noop'") == 0 })
	for _, c := range all {
		top.down(c)
	}
}

// healthy runs the image's health check where the container's would run.
func (top topology) healthy(c *container, all []*container) {
	last := stages(top.t)
	words := healthCheck(top.t, last[len(last)-1])
	await(top.t, c.name+" is healthy", all, func() bool {
		check := exec.Command(binary, words...)
		check.Dir, check.Env = top.data, c.cmd.Env
		return check.Run() == nil
	})
}

func (p project) scale(service string) int {
	s := p.Services[service]
	return s.GetScale()
}

// down stops a container as an engine does.
func (top topology) down(c *container) {
	top.t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(time.Duration(*top.Services[c.name].StopGracePeriod)):
		top.t.Errorf("%s would be killed:\n%s", c.name, c.output())
		return
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		top.t.Errorf("%s ends with %d:\n%s", c.name, code, c.output())
	}
}

// alive counts the workers that live, once both monitors have passed.
func alive(t *testing.T, url string) int {
	t.Helper()
	if number[int](t, url, "SELECT count(DISTINCT monitor) FROM monitor_passes") < 2 {
		return 0
	}
	return number[int](t, url, "SELECT count(*) FROM workers WHERE retired_at IS NULL AND lease_until > now()")
}

// aged stores a job that ended long ago.
func aged(t *testing.T, url string) {
	t.Helper()
	dbtest.Exec(t, url, `INSERT INTO jobs (id, kind, state, due_at, max_attempts, crash_budget, payload, created_at, finished_at)
		SELECT '00000000-0000-7000-8000-000000000001', 'noop', 'cancelled', at, 1, 1, '{}', at, at FROM (SELECT now() - interval '200 days' AS at) long`)
}

func number[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n T
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func status(url string) int {
	res, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// order places the example's business and returns the order's id.
func order(t *testing.T, url, key string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"package": "starter", "profile": profile})
	if err != nil {
		t.Fatal(err)
	}
	var placed struct{ ID string }
	ask(t, http.MethodPost, url+"/api/orders", key, body, &placed)
	return placed.ID
}

var profile = map[string]any{
	"name": "Cedar & Rye Bakery", "email": "hello@cedarandrye.example.com", "phone": "+15035550142",
	"website": "https://www.cedarandrye.example.com", "street": "1418 SW Alder Street", "city": "Portland", "region": "OR",
	"postal_code": "97205", "country": "US", "category": "bakery", "tagline": "Slow bread, baked before sunrise",
	"short_description": "Neighbourhood bakery for naturally leavened bread, rye and seasonal pastry.",
	"description":       "Cedar & Rye bakes naturally leavened bread in a stone oven and delivers to cafes before they open.",
	"hours":             "Mo-Fr 07:00-17:00",
}

// ask speaks to the API and decodes what it answers.
func ask(t *testing.T, method, url, key string, body []byte, answer any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "the-first")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s, error %v", method, url, res.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%s %s: %v in %s", method, url, err, text)
	}
}
