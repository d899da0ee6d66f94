package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// balancer stands before the API as a proxy does in production: it asks each process
// whether it is ready, and passes requests to those that are. It tries nothing twice.
type balancer struct {
	front    *httptest.Server
	mu       sync.Mutex
	backends []*backend
	turn     atomic.Int64
}

type backend struct {
	url   string
	proxy *httputil.ReverseProxy
	ready atomic.Bool
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{}
	b.front = httptest.NewServer(b)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		b.front.Close()
	})
	go func() {
		for ctx.Err() == nil {
			for _, one := range b.all() {
				one.ready.Store(probe(one.url+"/readyz") == http.StatusOK)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return b
}

func (b *balancer) all() []*backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*backend(nil), b.backends...)
}

// replace sets the processes that are asked whether they are ready.
func (b *balancer) replace(urls ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var next []*backend
	for _, u := range urls {
		known := false
		for _, old := range b.backends {
			if old.url == u {
				next, known = append(next, old), true
			}
		}
		if !known {
			target, _ := url.Parse(u)
			next = append(next, &backend{url: u, proxy: httputil.NewSingleHostReverseProxy(target)})
		}
	}
	b.backends = next
}

// ready counts the processes that are.
func (b *balancer) ready() int {
	n := 0
	for _, one := range b.all() {
		if one.ready.Load() {
			n++
		}
	}
	return n
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	all, first := b.all(), int(b.turn.Add(1))
	for i := range all {
		if one := all[(first+i)%len(all)]; one.ready.Load() {
			one.proxy.ServeHTTP(w, r)
			return
		}
	}
	http.Error(w, "no process is ready", http.StatusServiceUnavailable)
}

func probe(url string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// load is what clients and producers do meanwhile, and what they noticed.
type load struct {
	t      *testing.T
	s      *stack
	url    string
	key    string
	asked  atomic.Int64
	placed int
	orders sync.Map // number of the business → id of its order
	late   atomic.Int64
	faults atomic.Int64
}

// begin lets clients read and order, and jobs that take nothing come in, until the
// function it returns is called, which answers how many orders were placed.
func (l *load) begin() (end func() int) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				path := "/api/orders"
				if id, ok := l.orders.Load(n % 16); ok {
					path += "/" + id.(job.ID).String()
				}
				l.request(http.MethodGet, path, nil, "", nil)
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			var answer struct{ ID job.ID }
			l.request(http.MethodPost, "/api/orders", l.s.orderBody(n), fmt.Sprintf("order-%d", n), &answer)
			l.orders.Store(n, answer.ID)
			l.placed++
			time.Sleep(400 * time.Millisecond)
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			if _, err := l.s.store().Enqueue(context.Background(), job.Spec{Kind: job.KindNoop}, job.Spec{Kind: job.KindNoop}); err != nil {
				l.fault("enqueue: %v", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	all.Go(func() { l.watchMachine(ctx) })
	return func() int {
		stop()
		all.Wait()
		return l.placed
	}
}

// watchMachine keeps how late this machine answered at the worst: that is no delay of
// ours.
func (l *load) watchMachine(ctx context.Context) {
	conn, err := pgx.Connect(context.Background(), l.s.url)
	if err != nil {
		l.fault("connect: %v", err)
		return
	}
	defer conn.Close(context.Background())
	for ctx.Err() == nil {
		begun := time.Now()
		time.Sleep(10 * time.Millisecond)
		_, err := conn.Exec(context.Background(), "SELECT 1")
		if err != nil {
			l.fault("ask the database: %v", err)
		}
		if late := int64(time.Since(begun) - 10*time.Millisecond); late > l.late.Load() {
			l.late.Store(late)
		}
	}
}

func (l *load) fault(format string, args ...any) {
	if l.faults.Add(1) <= 10 { // the first tell enough
		l.t.Errorf(format, args...)
	}
}

// request fails the test when it is not answered as it should be.
func (l *load) request(method, path string, body []byte, idempotencyKey string, answer any) {
	r, err := http.NewRequestWithContext(context.Background(), method, l.url+path, bytes.NewReader(body))
	if err != nil {
		l.fault("%v", err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+l.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	l.asked.Add(1)
	res, err := web.Do(r)
	if err != nil {
		l.fault("%s %s: %v", method, path, err)
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		l.fault("%s %s: %d %s, error %v", method, path, res.StatusCode, text, err)
		return
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			l.fault("%s %s: %v", method, path, err)
		}
	}
}

// orderBody is the body that orders for the n-th business.
func (s *stack) orderBody(n int) []byte {
	body, err := json.Marshal(map[string]any{"package": "starter", "profile": map[string]any{
		"name": fmt.Sprintf("Harbour Bakery %d", n), "email": fmt.Sprintf("owner%d@harbour-bakery-%d.com", n, n),
		"phone": fmt.Sprintf("+1415555%04d", 2000+n), "website": fmt.Sprintf("https://www.harbour-bakery-%d.com/", n),
		"street": fmt.Sprintf("%d Market Street", n+1), "city": "San Francisco", "region": "CA", "postal_code": "94105", "country": "US",
		"category": "bakery", "tagline": "Bread at six", "hours": "Mo-Fr 06:00-18:00",
		"short_description": "Sourdough and pastries, baked every morning near the harbour.",
		"description":       "Harbour Bakery bakes sourdough, rye and pastries every morning, and delivers to cafes around the harbour before they open.",
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return body
}

// customerKey makes a key as the command line does.
func (s *stack) customerKey() string {
	return strings.TrimSpace(string(s.run("keys", "create", "--role=customer", "--customer=owner@harbour-bakery.com", "--name=load")))
}

// unhindered are the settings of a fleet that is restarted: those of production, but
// for limits that this much load would meet.
func (s *stack) unhindered() {
	for name, value := range map[string]string{
		"LEASE": "20s", "HEARTBEAT": "5s", "CHECK_INTERVAL_SECONDS": "5", "BACKOFF_BASE": "30s", "BACKOFF_CAP": "15m",
		"MAX_ATTEMPTS": "5", "CRASH_BUDGET": "3", "DRAIN_DELAY": "5s", "WORKER_CONCURRENCY": "40",
		"RATE_LIMITS": "public=1000000/1m,key_hour=1000000/1h", "RATE_LIMIT_TIMEOUT": "10s",
	} {
		s.set(name, value)
	}
}

// TestARollingRestartIsNoticedByNobody restarts every process of a fleet in turn,
// twice, while orders come in and are followed; in between the schema grows, as by the
// migrations of a next release.
func TestARollingRestartIsNoticedByNobody(t *testing.T) {
	for _, through := range []string{"Postgres", "pgbouncer"} {
		t.Run(through, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, "postgres")
			s.unhindered()
			s.set("POLL_INTERVAL", "1s")
			if through == "pgbouncer" {
				s.set("DATABASE_URL", dbtest.PgBouncer(t, s.url, "transaction"))
				s.set("POLL_INTERVAL", "250ms") // nobody wakes a worker through it
			}
			rollingStory(t, s)
		})
	}
}

func rollingStory(t *testing.T, s *stack) {
	web := newSandbox(t, sandbox.Config{Count: 60, Behaviours: []string{"plain", "csrf"}, Scale: 0.3})
	s.useSandbox(web)
	b := newBalancer(t)
	apis, urls := make([]*process, 2), make([]string, 2)
	for i := range apis {
		apis[i], urls[i] = s.listening()
	}
	b.replace(urls...)
	roles := []string{"work", "work", "stale-monitor", "dlq-monitor"}
	fleet := make([]*process, len(roles))
	for i, role := range roles {
		fleet[i] = s.started(role)
	}
	s.await("both API processes are ready", apis, func() bool { return b.ready() == 2 })

	l := &load{t: t, s: s, url: b.front.URL, key: s.customerKey()}
	end := l.begin()
	for round := range 2 {
		for i := range apis {
			s.restarted(apis[i])
			apis[i], urls[i] = s.listening()
			b.replace(urls...)
			s.await("the new API process is ready", apis, func() bool { return b.ready() == 2 })
		}
		for i, role := range roles {
			s.restarted(fleet[i])
			fleet[i] = s.started(role)
		}
		if round == 0 {
			s.expand()
		}
	}
	for n := range end() {
		id, _ := l.orders.Load(n)
		j := s.awaitFinal(id.(job.ID), 2*time.Minute, fleet...)
		if j.State != job.Completed {
			t.Errorf("order %d is %s: %s", n, j.State, j.Cause)
		}
		checkWitness(t, web, n, s.results(j.ID))
	}
	s.await("every job is done", fleet, func() bool {
		return s.number("SELECT count(*) FROM jobs WHERE state <> 'completed' AND kind <> 'recheck'") == 0
	})
	s.checkUnburned(l)
}

// checkUnburned holds what the store tells of the jobs against a life without any
// restart: nobody's attempt was burned, nobody waited.
func (s *stack) checkUnburned(l *load) {
	s.t.Helper()
	for what, sql := range map[string]string{
		"jobs with a failure or a crash": "SELECT count(*) FROM jobs WHERE failures > 0 OR crashes > 0 OR attempt > 1 OR quarantined",
		"events of trouble": `SELECT count(*) FROM events WHERE type IN ('job.retried', 'job.failed', 'job.recovered', 'job.quarantined',
			'write.fenced', 'storm.opened', 'orphan.found', 'submission.uncertain')`,
		"alerts": "SELECT count(*) FROM alerts",
	} {
		if n := s.number(sql); n != 0 {
			s.t.Errorf("%d %s, want none", n, what)
		}
	}
	released := s.number("SELECT count(*) FROM events WHERE type = 'job.released'")
	noops := s.number("SELECT coalesce(extract(epoch FROM max(claimed_at - created_at)) * 1000, 0)::int FROM jobs WHERE kind = 'noop'")
	orders := s.number(`SELECT coalesce(extract(epoch FROM max(at - since)) * 1000, 0)::int FROM (
		SELECT type, at, lag(at) OVER w AS since, lag(type) OVER w AS before FROM events WHERE job_id IS NOT NULL WINDOW w AS (PARTITION BY job_id ORDER BY at, id)
		) e WHERE type = 'job.claimed' AND before IN ('order.created', 'job.released')`)
	late := time.Duration(l.late.Load())
	s.t.Logf("%d requests, %d jobs that take nothing, %d releases; longest wait of such a job %d ms, of an order %d ms; the machine was late by %s",
		l.asked.Load(), s.number("SELECT count(*) FROM jobs WHERE kind = 'noop'"), released, noops, orders, late)
	// A wait is made of several steps, each of which this machine may delay so.
	for what, ms := range map[string]int{"a job that takes nothing": noops, "an order": orders} {
		if d := time.Duration(ms) * time.Millisecond; d > time.Second+10*late {
			s.t.Errorf("%s waited %s; the machine was late by %s", what, d, late)
		}
	}
	if released == 0 {
		s.t.Error("no job was released: the restarts hit nothing")
	}
}

// expand does what the first half of a migration may do beside the previous release:
// every table, one after the other, gets a column that it does not know.
func (s *stack) expand() {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.t.Context())
	rows, err := conn.Query(s.t.Context(), `SELECT relname::text FROM pg_class
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'goose_db_version'`)
	if err != nil {
		s.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 10 {
		s.t.Fatalf("tables %v, error %v", tables, err)
	}
	for _, table := range tables {
		if _, err := conn.Exec(s.t.Context(), "ALTER TABLE "+table+" ADD COLUMN of_a_later_release text"); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stack) number(sql string) int {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.t.Context())
	var n int
	if err := conn.QueryRow(s.t.Context(), sql).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// restarted ends a process as a supervisor does, and fails the test when it does not
// end well.
func (s *stack) restarted(p *process) {
	s.t.Helper()
	p.signal(syscall.SIGTERM)
	<-p.exited
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("directorybolt %s ends with %d:\n%s", strings.Join(p.cmd.Args[1:], " "), code, tail(p.output()))
	}
}

// started starts a role and waits until it says that it serves.
func (s *stack) started(role string) *process {
	s.t.Helper()
	p := s.start(role)
	s.await(role+" has started", []*process{p}, func() bool {
		p.alive()
		return bytes.Contains(p.output(), []byte(`"started"`))
	})
	return p
}

// listening starts an API process and returns where it answers.
func (s *stack) listening() (*process, string) {
	s.t.Helper()
	p := s.started("api")
	for line := range bytes.Lines(p.output()) {
		var said struct{ Msg, URL string }
		if json.Unmarshal(line, &said) == nil && said.Msg == "started" {
			return p, said.URL
		}
	}
	s.t.Fatalf("the API does not say where it listens:\n%s", p.output())
	return nil, ""
}

func (s *stack) await(what string, ps []*process, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	for _, p := range ps {
		s.t.Logf("%s:\n%s", p.log, tail(p.output()))
	}
	s.t.Fatalf("in vain: %s", what)
}

// TestALoneAPIIsReplacedWithoutARefusal restarts the only API process of an
// installation whose port systemd holds, on both stores: who comes meanwhile waits.
func TestALoneAPIIsReplacedWithoutARefusal(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		s.unhindered()
		s.useSandbox(newSandbox(t, sandbox.Config{Count: 60, Behaviours: []string{"plain"}, Scale: 0.3}))
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		held, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		url := "http://" + ln.Addr().String()
		api := s.startHeld(held)
		s.await("the API is ready", []*process{api}, func() bool { return probe(url+"/readyz") == http.StatusOK })
		key := s.customerKey()

		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var asked atomic.Int64
		l := &load{t: t, s: s, url: url, key: key}
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					l.request(http.MethodGet, "/api/orders", nil, "", nil)
					asked.Add(1)
				}
			})
		}
		for range 3 {
			before := asked.Load()
			s.await("the API answers many", []*process{api}, func() bool { return asked.Load() > before+50 })
			s.restarted(api)
			api = s.startHeld(held)
		}
		before := asked.Load()
		s.await("the last API answers", []*process{api}, func() bool { return asked.Load() > before+50 })
		stop()
		all.Wait()
	})
}

// startHeld starts an API as systemd does that holds its port: the listening socket is
// descriptor 3, and the process is told its own number.
func (s *stack) startHeld(socket *os.File) *process {
	s.t.Helper()
	log, err := os.CreateTemp(s.dir, "held-*.log")
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" api`, binary)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = s.env, s.dir, log, log, []*os.File{socket}
	cmd.SysProcAttr = dieWithUs
	p := &process{s: s, cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = log.Close()
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
	}()
	s.t.Cleanup(p.kill)
	return p
}
