package bench

import (
	"bufio"
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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/worker"
)

// program builds the binary, once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "directorybolt")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/directorybolt").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the binary: %w: %s", err, out)
	}
	return path, nil
})

// served is an API process on loopback, on a store of its own.
type served struct {
	b     *testing.B
	env   []string
	pid   int
	url   string
	key   string // staff's
	store store
	web   *http.Client
}

// onEachStore runs a benchmark against a real process on each store.
func onEachStore(b *testing.B, f func(b *testing.B, s *served)) {
	for _, dialect := range []string{"sqlite", "postgres"} {
		b.Run(dialect, func(b *testing.B) { f(b, serve(b, dialect)) })
	}
}

func serve(b *testing.B, dialect string) *served {
	b.Helper()
	path, err := program()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	s := &served{b: b, web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second}}
	// The limiter is on and counts, and refuses nobody.
	s.env = append(os.Environ(), "DATA_DIR="+dir, "BIND=127.0.0.1", "PORT=0", "LOG_FORMAT=json", "RATE_LIMITS=public=100000/1s,staff=100000/1s,staff_write=100000/1s")
	if dialect == "postgres" {
		url := dbtest.Postgres(b)
		s.env = append(s.env, "DATABASE_URL="+url)
		opened, err := postgres.Open(b.Context(), postgres.Config{URL: url, Log: quiet})
		s.store = ready(b, opened, err)
	} else {
		opened, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(dir, "directorybolt.db"), Log: quiet})
		s.store = ready(b, opened, err)
	}
	key := exec.Command(path, "keys", "create", "--role", "staff", "--name", "bench", "--quiet")
	key.Env = s.env
	text, err := key.Output()
	if err != nil {
		b.Fatalf("make a key: %v", err)
	}
	s.key = strings.TrimSpace(string(text))
	s.start(path)
	return s
}

// start runs the process until the benchmark ends.
func (s *served) start(path string) {
	s.b.Helper()
	catalog, err := filepath.Abs("../../examples/catalog.yaml")
	if err != nil {
		s.b.Fatal(err)
	}
	cmd := exec.Command(path, "api", "--catalog", catalog)
	cmd.Env, cmd.SysProcAttr = s.env, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := cmd.StderrPipe()
	if err != nil {
		s.b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.b.Fatal(err)
	}
	s.pid = cmd.Process.Pid
	s.b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(log)
	var said struct{ Msg, URL string }
	for lines.Scan() {
		if json.Unmarshal(lines.Bytes(), &said) == nil && said.Msg == "started" {
			s.url = said.URL
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return
		}
	}
	s.b.Fatalf("the process does not serve: %s", lines.Text())
}

// ask sends a request and answers its body.
func (s *served) ask(ctx context.Context, method, path, body string, want int) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	r.Header.Set("Content-Type", "application/json")
	res, err := s.web.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	return text, err
}

// megabytes is the memory that the process holds.
func (s *served) megabytes() float64 {
	s.b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		s.b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("VmRSS:"))
	kb, err := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
	if err != nil {
		s.b.Fatal(err)
	}
	return kb / 1024
}

// order is a body that places the n-th business's order.
func order(n int) string {
	return fmt.Sprintf(`{"package":"starter","profile":{"name":"Bakery %[1]d","email":"owner@bakery-%[1]d.com","phone":"+1 415 555 2671",
		"website":"https://bakery-%[1]d.com/","street":"%[1]d Market Street","city":"San Francisco","region":"CA","postal_code":"94105","country":"US",
		"category":"bakery","short_description":"Sourdough and pastries, baked every morning near the harbour.",
		"description":"We bake sourdough, rye and pastries every morning, and deliver to cafes around the harbour before they open."}}`, n)
}

// paced asks at a steady rate for so long, whether or not answers come, and returns how
// long each took from the moment at which it was to be sent.
func (s *served) paced(rate int, long time.Duration, act func(ctx context.Context, n int) error) []time.Duration {
	s.b.Helper()
	n := int(long.Seconds() * float64(rate))
	took := make([]time.Duration, n)
	var all sync.WaitGroup
	begun := time.Now()
	for i := range n {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		all.Go(func() {
			if err := act(s.b.Context(), i); err != nil {
				s.b.Error(err)
			}
			took[i] = time.Since(due)
		})
	}
	all.Wait()
	slices.Sort(took)
	return took
}

// BenchmarkAPIOrders places 100 orders a second for 20 seconds, each of another
// business, and compares the memory of the process with that after the first 5.
func BenchmarkAPIOrders(b *testing.B) {
	const rate, long = 100, 15 * time.Second
	onEachStore(b, func(b *testing.B, s *served) {
		next := 0
		place := func(long time.Duration) []time.Duration {
			first := next
			next += int(long.Seconds() * rate)
			return s.paced(rate, long, func(ctx context.Context, n int) error {
				_, err := s.ask(ctx, http.MethodPost, "/api/orders", order(first+n), http.StatusCreated)
				return err
			})
		}
		place(5 * time.Second)
		before := s.megabytes()
		b.ResetTimer()
		took := place(long)
		b.StopTimer()
		b.ReportMetric(0, "ns/op")
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
		}
		b.ReportMetric(before, "MB-before")
		b.ReportMetric(s.megabytes(), "MB-after")
	})
}

// BenchmarkAPIMemory asks as fast as 16 clients can, all kinds of things, for twice a
// span, and compares what the process holds after each. The span is 15 s, or APIMEMORY.
func BenchmarkAPIMemory(b *testing.B) {
	span := 15 * time.Second
	if text := os.Getenv("APIMEMORY"); text != "" {
		var err error
		if span, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	onEachStore(b, func(b *testing.B, s *served) {
		fill(b, s.store, 10_000)
		asked := 0
		for _, name := range []string{"MB-after-1st", "MB-after-2nd"} {
			asked += s.crowd(span)
			b.ReportMetric(s.megabytes(), name)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(asked)/(2*span.Seconds()), "requests/s")
	})
}

// crowd asks with 16 clients for so long, and answers how often.
func (s *served) crowd(long time.Duration) int {
	s.b.Helper()
	ctx, cancel := context.WithTimeout(s.b.Context(), long)
	defer cancel()
	var all sync.WaitGroup
	asked := make([]int, 16)
	for client := range asked {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				path, want := []string{"/api/jobs?limit=50", "/api/orders", "/api/workers", "/api/jobs/" + job.NewID().String(), "/api/directories", "/api/nowhere"}[n%6], http.StatusOK
				if n%6 == 3 || n%6 == 5 {
					want = http.StatusNotFound
				}
				if _, err := s.ask(ctx, http.MethodGet, path, "", want); err != nil && ctx.Err() == nil {
					s.b.Error(err)
					return
				}
				asked[client]++
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range asked {
		total += n
	}
	return total
}

// BenchmarkAPIPages lists 50 000 jobs page by page while a pool completes them and others
// are added, and fails when one is left out or comes twice.
func BenchmarkAPIPages(b *testing.B) {
	const rows = 50_000
	onEachStore(b, func(b *testing.B, s *served) {
		fill(b, s.store, rows)
		stop := run(b, s.store, worker.Config{}, func(context.Context, job.Attempt) error {
			time.Sleep(time.Millisecond) // work goes on for as long as pages are read
			return nil
		})
		defer stop()
		seen, pages := map[string]bool{}, 0
		var slowest time.Duration
		b.ResetTimer()
		for cursor := ""; ; pages++ {
			if pages%10 == 0 {
				fill(b, s.store, 100)
			}
			begun := time.Now()
			text, err := s.ask(b.Context(), http.MethodGet, "/api/jobs?limit=500&cursor="+cursor, "", http.StatusOK)
			slowest = max(slowest, time.Since(begun))
			var page struct {
				Items []struct{ ID string }
				Next  string `json:"next_cursor"`
			}
			if err == nil {
				err = json.Unmarshal(text, &page)
			}
			if err != nil {
				b.Fatal(err)
			}
			for _, item := range page.Items {
				if seen[item.ID] {
					b.Fatalf("%s came twice", item.ID)
				}
				seen[item.ID] = true
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		b.StopTimer()
		if len(seen) < rows || len(seen) > rows+100 { // those of the first fill between pages may be there or not
			b.Fatalf("%d jobs were listed, want %d and at most 100 of those that were added", len(seen), rows)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(len(seen))/b.Elapsed().Seconds(), "rows/s")
		b.ReportMetric(float64(slowest.Microseconds())/1000, "worst-page-ms")
	})
}
