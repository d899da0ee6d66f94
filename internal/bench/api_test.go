package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// Of the benchmark of the queue's page.
const (
	queueJobs  = 100_000 // orders in the store, all but some waiting
	queueKeys  = 1000    // customers that ask
	queueRuns  = 200     // of their orders, that run; with directories
	queueRate  = 1000    // requests a second
	queueSpan  = 10 * time.Second
	queueSlots = 256 // requests at once, at most
)

// BenchmarkQueueStatus asks a process of the API, limits on, where customers stand: a
// thousand times a second from a thousand keys, with a hundred thousand orders in the
// store. Requests are sent when they are due and not when the one before was answered;
// times count from then. One op is one request.
func BenchmarkQueueStatus(b *testing.B) {
	for _, dialect := range []string{"sqlite", "postgres"} {
		b.Run(dialect, func(b *testing.B) {
			s, env := queueStore(b, dialect)
			keys, customers := fillQueue(b, s)
			server, url := serveAPI(b, env)
			ask := func(i int) (time.Duration, error) {
				due := time.Now()
				err := askQueue(b.Context(), url, keys[i%queueKeys], customers[i%queueKeys])
				return time.Since(due), err
			}
			if _, err := ask(0); err != nil { // the first look at the line
				b.Fatal(err)
			}
			for b.Loop() {
				before := cpuOf(b, server)
				took, failed := steadily(b.Context(), queueRate, queueSpan, ask)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64((cpuOf(b, server)-before).Microseconds())/float64(len(took)), "server-µs/request")
				for _, p := range []float64{50, 99, 99.9} {
					b.ReportMetric(float64(took[int(float64(len(took)-1)*p/100)].Microseconds())/1000, fmt.Sprintf("p%g-ms", p))
				}
				b.ReportMetric(float64(failed), "failed")
			}
		})
	}
}

// steadily calls ask at a rate, whether or not earlier calls have returned, and answers
// how long each took, from the moment it was due, in order.
func steadily(ctx context.Context, rate int, span time.Duration, ask func(i int) (time.Duration, error)) (took []time.Duration, failed int) {
	n := int(span.Seconds() * float64(rate))
	took = make([]time.Duration, n)
	slots := make(chan struct{}, queueSlots)
	var mu sync.Mutex
	var all sync.WaitGroup
	begun := time.Now()
	for i := range n {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			_, err := ask(i)
			took[i] = time.Since(due)
			if err != nil && ctx.Err() == nil {
				mu.Lock()
				failed++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	return took, failed
}

var queueClient = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: queueSlots, DisableCompression: true},
	Timeout:   10 * time.Second,
}

func askQueue(ctx context.Context, url, key string, customer job.ID) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/queue/"+customer.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := queueClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answered with %d", res.StatusCode)
	}
	return nil
}

// queueBackend is a store as the set-up uses it.
type queueBackend interface {
	store
	submit.Ledger
	auth.Keys
}

// queueStore is a fresh store, and the environment that leads to it.
func queueStore(b *testing.B, dialect string) (queueBackend, []string) {
	b.Helper()
	dir := b.TempDir()
	env := append(os.Environ(), "DATA_DIR="+dir, "BIND=127.0.0.1", "PORT=0", "LOG_FORMAT=json", "LOG_LEVEL=info")
	if dialect == "postgres" {
		url := dbtest.Postgres(b)
		s, err := postgres.Open(context.Background(), postgres.Config{URL: url, Log: quiet})
		ready(b, s, err)
		return s, append(env, "DATABASE_URL="+url)
	}
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(dir, "directorybolt.db"), Log: quiet})
	ready(b, s, err)
	return s, env
}

// fillQueue fills a store: customers with a key and an order each, some of which run,
// and a crowd of others before and after them.
func fillQueue(b *testing.B, s queueBackend) (keys []string, customers []job.ID) {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	ctx := b.Context()
	order := func(customer job.ID, i int) job.Spec {
		return job.Spec{Kind: job.KindOrder, CustomerID: customer, Priority: 1 + i%4, Package: "starter", Quota: 50, ValueCents: 14900}
	}
	worker := job.NewID()
	must(s.Register(ctx, job.Worker{ID: worker, Host: "bench", Kinds: []string{job.KindOrder}, Capacity: queueRuns}, time.Hour))
	for i := range queueKeys {
		customer, err := s.EnsureCustomer(ctx, submit.Customer{Email: fmt.Sprintf("c%d@example.com", i)})
		must(err)
		text, k, err := auth.Mint("bench", auth.Customer, customer, time.Time{}, "cli:bench")
		must(err)
		_, err = s.AddKey(ctx, k, auth.HashOf(text), job.By{Actor: "cli:bench"})
		must(err)
		keys, customers = append(keys, text), append(customers, customer)
	}
	crowd := func(n int) {
		b.Helper()
		for n > 0 {
			specs := make([]job.Spec, min(n, 5000))
			for i := range specs {
				specs[i] = order(job.NewID(), i)
			}
			_, err := s.Enqueue(ctx, specs...)
			must(err)
			n -= len(specs)
		}
	}
	mine := func(from, to int) {
		b.Helper()
		specs := make([]job.Spec, 0, to-from)
		for i := from; i < to; i++ {
			specs = append(specs, order(customers[i], i))
		}
		_, err := s.Enqueue(ctx, specs...)
		must(err)
	}
	mine(0, queueRuns)
	jobs, err := s.Claim(ctx, job.ClaimRequest{Worker: worker, Limit: queueRuns, Kinds: []string{job.KindOrder}})
	must(err)
	for _, j := range jobs {
		plan := directory.Plan{Identity: j.ID.String()}
		for n := range j.Quota {
			plan.Choices = append(plan.Choices, directory.Choice{Directory: fmt.Sprintf("site-%d", n), Rank: n + 1})
		}
		_, err := s.Plan(ctx, j.Lease(), plan)
		must(err)
	}
	crowd((queueJobs - queueKeys) / 2)
	mine(queueRuns, queueKeys)
	crowd(queueJobs - queueKeys - (queueJobs-queueKeys)/2)
	return keys, customers
}

// cpuOf is the processor time that a process has used.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := bytes.Cut(stat, []byte(") ")) // its name may hold anything
	fields := bytes.Fields(after)
	ticks := 0
	for _, f := range fields[11:13] { // utime, stime: 10 ms each
		n, err := strconv.Atoi(string(f))
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// serveAPI starts a process that serves, and answers its id and where.
func serveAPI(b *testing.B, env []string) (pid int, url string) {
	b.Helper()
	dir := b.TempDir()
	binary, catalog := filepath.Join(dir, "directorybolt"), absolute(b, "../../examples/catalog.yaml")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "../../cmd/directorybolt").CombinedOutput(); err != nil {
		b.Fatalf("build the binary: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "api", "--catalog", catalog)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		said, err := os.ReadFile(log.Name())
		if err != nil {
			b.Fatal(err)
		}
		for line := range bytes.Lines(said) {
			var l struct{ Msg, URL string }
			if json.Unmarshal(line, &l) == nil && l.Msg == "started" {
				return cmd.Process.Pid, l.URL
			}
		}
	}
	said, _ := os.ReadFile(log.Name())
	b.Fatalf("nobody answers:\n%s", said)
	return 0, ""
}

func absolute(b *testing.B, path string) string {
	b.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		b.Fatal(err)
	}
	return path
}
