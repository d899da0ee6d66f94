package acceptance

import (
	"bytes"
	"context"
	"database/sql"
	big "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver of the file that is looked at
)

// limitedStack is an installation whose HTTP processes believe who the test says it
// is. patience is how long they wait for their store.
func limitedStack(t *testing.T, dialect, rates string, patience time.Duration) *stack {
	t.Helper()
	s := newStack(t, dialect)
	s.set("TRUSTED_PROXIES", "127.0.0.0/8")
	s.set("RATE_LIMIT_TIMEOUT", patience.String())
	if rates != "" {
		s.set("RATE_LIMITS", rates)
	}
	return s
}

// unhurried is for tests of exactness: on a machine that is busy with others, a
// statement that takes long must not pass for an outage.
const unhurried = 10 * time.Second

// serve starts an API process with the catalog of the examples.
func (s *stack) serve() (p *process, url string) {
	s.t.Helper()
	path, err := filepath.Abs("../../examples/catalog.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	return s.api("--catalog", path)
}

// api starts an API process and returns where it answers.
func (s *stack) api(args ...string) (p *process, url string) {
	s.t.Helper()
	p = s.start(append([]string{"api"}, args...)...)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		p.alive()
		for line := range bytes.Lines(p.output()) {
			var said struct{ Msg, URL string }
			if json.Unmarshal(line, &said) == nil && said.Msg == "started" {
				return p, said.URL
			}
		}
	}
	s.t.Fatalf("no process answers:\n%s", p.output())
	return nil, ""
}

// web is a client's connections. It holds many, and follows nothing.
var web = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 200, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       30 * time.Second,
}

// answer is what came back, and between which moments it was decided.
type answer struct {
	status         int
	header         http.Header
	sent, received time.Time
}

func (a answer) passed() bool { return a.status != http.StatusTooManyRequests }

// ask sends a request as a client of that address.
func ask(t testing.TB, url, path, address string, lines ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	r.Header.Add("X-Forwarded-For", address)
	a := answer{sent: time.Now()}
	res, err := web.Do(r)
	if err != nil {
		return a // nobody answers: a process that was killed
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	a.received, a.status, a.header = time.Now(), res.StatusCode, res.Header
	return a
}

// The sentence that everybody knows, at its true window: of 105 requests 100 pass and
// 5 are told when to come again; at any pace, inside a minute and across its end, on
// one process and on three, and with one that is killed in the middle.
func TestOfAHundredAndFiveRequestsAHundredPass(t *testing.T) {
	t.Parallel()
	for _, dialect := range dialects {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s := limitedStack(t, dialect, "", unhurried)
			urls := make([]string, 3)
			for i := range urls {
				_, urls[i] = s.serve()
			}
			mortal, mortalURL := s.serve()
			var all sync.WaitGroup
			defer all.Wait()
			client := 0
			run := func(name string, urls []string, pace, before time.Duration) {
				client++
				address := fmt.Sprintf("203.0.113.%d", client)
				all.Go(func() {
					awaitMinute(before)
					checkHundred(t, name, nil, func(i int) answer {
						time.Sleep(pace)
						return ask(t, urls[i%len(urls)], fmt.Sprintf("/api/x?x=%d", i), address)
					})
				})
			}
			for _, pace := range []time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond} {
				for n, urls := range map[string][]string{"one process": urls[:1], "three processes": urls} {
					run(fmt.Sprintf("%s, pace %s, in a minute", n, pace), urls, pace, -time.Second)
					run(fmt.Sprintf("%s, pace %s, across a minute", n, pace), urls, pace, 50*pace+20*time.Millisecond)
				}
			}
			all.Go(func() {
				checkHundred(t, "a restart after sixty", func() {
					mortal.kill()
					mortal, mortalURL = s.serve()
				}, func(int) answer { return ask(t, mortalURL, "/api/x", "203.0.113.200") })
			})
		})
	}
}

// awaitMinute waits until so long before the next full minute; a negative time is
// after one, and passes when it is early enough in this one.
func awaitMinute(before time.Duration) {
	now := time.Now()
	into := now.Sub(now.Truncate(time.Minute))
	if before < 0 && into > -before && into < 40*time.Second {
		return
	}
	until := now.Truncate(time.Minute).Add(-before)
	for until.Before(now) {
		until = until.Add(time.Minute)
	}
	time.Sleep(time.Until(until))
}

// checkHundred sends 105 requests, with something in between after the sixtieth.
func checkHundred(t *testing.T, name string, afterSixty func(), send func(i int) answer) {
	var first answer
	for i := 1; i <= 105; i++ {
		a := send(i)
		if i == 1 {
			first = a
		}
		if a.passed() != (i <= 100) || a.status == 0 {
			t.Errorf("%s: request %d has status %d", name, i, a.status)
			return
		}
		if i > 100 {
			checkRetry(t, name, first, a)
		}
		if i == 60 && afterSixty != nil {
			afterSixty()
		}
	}
}

// checkRetry holds Retry-After against when the first request leaves the window. When
// it was decided is known but for its way there and back.
func checkRetry(t *testing.T, name string, first, a answer) {
	got, err := strconv.Atoi(a.header.Get("Retry-After"))
	whole := func(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }
	least := whole(first.sent.Add(time.Minute).Sub(a.received))
	most := whole(first.received.Add(time.Minute + 5*time.Millisecond).Sub(a.sent))
	if err != nil || got < least || got > most {
		t.Errorf("%s: Retry-After is %q, want %d to %d", name, a.header.Get("Retry-After"), least, most)
	}
	if cache := a.header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("%s: Cache-Control is %q", name, cache)
	}
}

// stamps gathers what the store's log of its one key ever held: stamp and count.
type stamps map[int64]int

// gather adds what the log holds now.
func (m stamps) gather(t testing.TB, s *stack) {
	t.Helper()
	for _, e := range s.hits() {
		m[e>>20] = max(m[e>>20], int(e&(1<<20-1)))
	}
}

// hits reads the log of the one key there is.
func (s *stack) hits() (log []int64) {
	s.t.Helper()
	ctx := context.Background()
	if s.url != "" {
		conn, err := pgx.Connect(ctx, s.url)
		if err != nil {
			s.t.Fatal(err)
		}
		defer conn.Close(ctx)
		if err := conn.QueryRow(ctx, "SELECT coalesce((SELECT hits FROM rate_limit), '{}')").Scan(&log); err != nil {
			s.t.Fatal(err)
		}
		return log
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dataDir, "directorybolt.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	var blob []byte
	if err := db.QueryRow("SELECT coalesce((SELECT hits FROM rate_limit), x'')").Scan(&blob); err != nil {
		s.t.Fatal(err)
	}
	for ; len(blob) >= 8; blob = blob[8:] {
		log = append(log, int64(big.BigEndian.Uint64(blob)))
	}
	return log
}

// list is every request that passed, by its stamp.
func (m stamps) list() (all []int64) {
	for _, at := range slices.Sorted(maps.Keys(m)) {
		all = append(all, slices.Repeat([]int64{at}, m[at])...)
	}
	return all
}

// checkWindows: no span of a window holds more than the limit.
func checkWindows(t *testing.T, all []int64, limit int, window time.Duration) {
	t.Helper()
	for i := limit; i < len(all); i++ {
		if all[i]-all[i-limit] < window.Milliseconds() {
			t.Errorf("%d passed within %d ms, want at most %d in %s", limit+1, all[i]-all[i-limit], limit, window)
			return
		}
	}
}

// perWindow is how many each window holds, one after the other from the first stamp.
func perWindow(all []int64, window time.Duration) (each []int) {
	for len(all) > 0 {
		n := 0
		for n < len(all) && all[n]-all[0] < window.Milliseconds() {
			n++
		}
		each, all = append(each, n), all[n:]
	}
	return each
}

// disguises are what a client may try: none makes him another.
var disguises = []struct {
	path  string
	lines []string
}{
	{"/api/x", nil}, {"/api/x?x=1", nil}, {"/API/X", nil}, {"//api//x", nil}, {"/api/queue/%d", nil},
	{"/api/x", []string{"X-Forwarded-For: 198.51.100.%d"}}, {"/api/x", []string{"X-Forwarded-For: 198.51.100.%d, 127.0.0.9"}},
	{"/api/x", []string{"X-Real-Ip: 198.51.100.%d"}}, {"/api/x", []string{"Forwarded: for=198.51.100.%d"}},
	{"/api/x", []string{"Authorization: Bearer dbk_live_forged%d"}}, {"/api/x", []string{"X-API-Key: forged%d"}},
	{"/api/x", []string{"X-Nf-Sign: a.b.%d", "X-Nf-Client-Connection-Ip: 198.51.100.1"}},
}

// Four processes, 32 clients on each, all in the name of one, for three windows; then
// again, and one process is killed in the middle.
func TestAHammerOnFourProcessesPassesExactlyTheLimit(t *testing.T) {
	t.Parallel()
	const limit, window, windows = 100, 2 * time.Second, 3
	for _, dialect := range dialects {
		for _, kills := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, kills %v", dialect, kills), func(t *testing.T) {
				s := limitedStack(t, dialect, fmt.Sprintf("public=%d/%s", limit, window), unhurried)
				var victim *process
				var urls []string
				for range 4 {
					p, url := s.serve()
					victim, urls = p, append(urls, url)
				}
				var all sync.WaitGroup
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				for c := range 4 * 32 {
					all.Go(func() { hammer(t, ctx, urls[c%4], c/4) })
				}
				seen := stamps{}
				var each []int
				for ; ctx.Err() == nil && len(each) <= windows; time.Sleep(window / 20) { // the last one goes on
					seen.gather(t, s)
					if each = perWindow(seen.list(), window); kills && len(each) == 2 {
						victim.kill()
					}
				}
				stop()
				all.Wait()
				seen.gather(t, s)
				checkWindows(t, seen.list(), limit, window)
				if each = perWindow(seen.list(), window); len(each) < windows {
					t.Fatalf("%d windows, want %d: %v", len(each), windows, each)
				}
				for i, n := range each[:windows] {
					// A killed process takes with it what was granted and not yet answered; it is
					// in the log nevertheless.
					if n != limit {
						t.Errorf("window %d holds %d, want %d (all: %v)", i+1, n, limit, each)
					}
				}
			})
		}
	}
}

// hammer asks until ctx ends, each time in another disguise. Who is refused rests a
// moment, for all share two cores.
func hammer(t *testing.T, ctx context.Context, url string, c int) {
	for i := 0; ctx.Err() == nil; i++ {
		d := disguises[(c+i)%len(disguises)]
		numbered := func(s string) string {
			if strings.Contains(s, "%d") {
				return fmt.Sprintf(s, i%250)
			}
			return s
		}
		var lines []string
		for _, line := range d.lines {
			lines = append(lines, numbered(line))
		}
		if a := ask(t, url, numbered(d.path), "203.0.113.1", lines...); a.status >= 500 {
			t.Errorf("status %d", a.status)
			return
		} else if !a.passed() || a.status == 0 {
			time.Sleep(30 * time.Millisecond)
		}
	}
}

// The store is gone for four seconds, then frozen for four, under load.
func TestTheLimiterOutlivesItsStore(t *testing.T) {
	t.Parallel()
	const limit, window, away = 50, 3 * time.Second, 4 * time.Second
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		c := dbtest.NewCluster(t)
		s := limitedStack(t, "sqlite", fmt.Sprintf("public=%d/%s", limit, window), 50*time.Millisecond)
		s.url = c.URL("postgres")
		s.set("DATABASE_URL", s.url)
		s.run("migrate", "up")
		outlive(t, s, limit, window,
			func() {
				must(t, c.Kill())
				time.Sleep(away)
				must(t, c.Start())
			},
			func() {
				t.Cleanup(func() { _ = c.Thaw() }) // also when the test ends in between
				must(t, c.Freeze())
				time.Sleep(away)
				must(t, c.Thaw())
			})
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s := limitedStack(t, "sqlite", fmt.Sprintf("public=%d/%s", limit, window), 50*time.Millisecond)
		outlive(t, s, limit, window, func() {
			db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dataDir, "directorybolt.db")+"?_pragma=busy_timeout(10000)")
			must(t, err)
			defer db.Close()
			db.SetMaxOpenConns(1)
			_, err = db.Exec("BEGIN IMMEDIATE") // another process hangs in a transaction
			must(t, err)
			time.Sleep(away)
			_, err = db.Exec("ROLLBACK")
			must(t, err)
		})
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func outlive(t *testing.T, s *stack, limit int, window time.Duration, outages ...func()) {
	_, url := s.serve()
	const clients, atOnce = 6, 3
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var mu sync.Mutex
	passed := make([][]answer, clients)
	for c := range clients {
		for range atOnce {
			all.Go(func() {
				for ctx.Err() == nil {
					a := ask(t, url, "/api/x", fmt.Sprintf("203.0.113.%d", c))
					if a.status != http.StatusNotFound && a.status != http.StatusTooManyRequests {
						t.Errorf("status %d", a.status)
					}
					if a.passed() {
						mu.Lock()
						passed[c] = append(passed[c], a)
						mu.Unlock()
					}
					time.Sleep(25 * time.Millisecond)
				}
			})
		}
	}
	time.Sleep(window)
	for i, outage := range outages {
		failed := metric(t, url, "ratelimit_store_errors_total")
		var over sync.WaitGroup
		over.Go(outage)
		eventually(t, "the limiter says that it is degraded", func() bool { return metric(t, url, "ratelimit_degraded") == 1 })
		w := &ward{stack: s, url: url}
		eventually(t, "and so does health", func() bool {
			_, h := w.health()
			return h.Services["rate_limiter"].Status == "degraded" && h.Status != "healthy"
		})
		over.Wait()
		eventually(t, "the limiter has its store again", func() bool { return metric(t, url, "ratelimit_degraded") == 0 })
		eventually(t, "and health knows", func() bool {
			_, h := w.health()
			return h.Services["rate_limiter"].Status == "up"
		})
		// A statement waits for 50 ms at most, and when one has failed no other is sent: so
		// many decisions waited as fit into one statement, and none of them longer.
		if n := metric(t, url, "ratelimit_store_errors_total") - failed; n < 1 || n > 2 {
			t.Errorf("outage %d: %v statements failed, want the first", i+1, n)
		}
		time.Sleep(window / 2)
	}
	time.Sleep(window)
	stop()
	all.Wait()
	for c, answers := range passed {
		checkSpans(t, c, answers, limit, window, atOnce*len(outages))
	}
	time.Sleep(window)
	fresh := 0
	for range limit + 5 {
		if ask(t, url, "/api/x", "203.0.113.0").passed() {
			fresh++
		}
	}
	if fresh < limit || fresh > limit+5 {
		t.Errorf("%d passed after all, want %d", fresh, limit)
	}
}

// checkSpans: no more than the limit passed in a window, as far as the client can know:
// one passed at some moment between sending and hearing. What was under way when the
// store fell silent may be missing from its log.
func checkSpans(t *testing.T, c int, answers []answer, limit int, window time.Duration, doubtful int) {
	slices.SortFunc(answers, func(a, b answer) int { return a.sent.Compare(b.sent) })
	for i := limit + doubtful; i < len(answers); i++ {
		if span := answers[i].received.Sub(answers[i-limit-doubtful].sent); span < window-10*time.Millisecond {
			t.Errorf("client %d: %d passed within %s, want at most %d in %s", c, limit+doubtful+1, span, limit, window)
			return
		}
	}
	if len(answers) < 3*limit {
		t.Errorf("client %d: only %d passed", c, len(answers))
	}
}

// metric is the sum of a metric over its labels.
func metric(t testing.TB, url, name string) (sum float64) {
	t.Helper()
	res, err := web.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	for line := range strings.Lines(string(body)) {
		head, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		head, _, _ = strings.Cut(head, "{")
		if head == "directorybolt_"+name {
			v, _ := strconv.ParseFloat(value, 64)
			sum += v
		}
	}
	return sum
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
