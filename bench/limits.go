package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/go-chi/httprate"
	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/goredisstore.v9"
)

// limiterSide decides requests of keys.
type limiterSide interface {
	take(ctx context.Context, key string) (bool, error)
	close()
}

// load is what a limiter sample asks for.
type load struct {
	keys   int
	limit  int
	window time.Duration
	fill   int // requests of each key that passed before
}

// loads are the three that matter, and one with old logs. A limit up to 256 is kept to
// the millisecond.
var loads = map[string]load{
	"refused": {keys: 64, limit: 100, window: time.Hour, fill: 101},
	"hot":     {keys: 1, limit: 1_000_000, window: 500 * time.Millisecond}, // 2 million a second: nobody decides so many
	"many":    {keys: 10_000, limit: 200, window: time.Hour},
	"deep":    {keys: 5_000, limit: 250, window: time.Hour, fill: 35},
}

// limit measures decisions of a limiter by callers side by side.
func limit(ctx context.Context, t task) (r result, err error) {
	l := loads[t.Kind]
	s, err := openLimiter(ctx, &t, l)
	if err != nil {
		return r, err
	}
	defer s.close()
	keys := make([]string, l.keys)
	for i := range keys {
		keys[i] = "client-" + strconv.Itoa(i)
	}
	if err := fill(ctx, s, keys, l.fill, t.Callers); err != nil {
		return r, err
	}
	if _, _, err := decide(ctx, s, keys, t.Callers, warmUp); err != nil {
		return r, err
	}
	var passed, refused int64
	r.Usage, err = measured(t, func() (err error) {
		passed, refused, err = decide(ctx, s, keys, t.Callers, t.Window)
		return err
	})
	if err != nil {
		return r, err
	}
	// The attempts of throttled to change a key run out when many do. httprate is so fast that its keys are full before the end.
	asMeant := t.Side == "httprate" || t.Side == "throttled" || t.Kind == "refused" && passed <= refused/100 || t.Kind != "refused" && refused <= passed/100
	if !asMeant {
		return r, fmt.Errorf("%d passed and %d were refused", passed, refused)
	}
	n := float64(passed + refused)
	r.Metrics = map[string]float64{
		"decisions/s":      n / r.Usage.Wall.Seconds(),
		decisionMetric:     float64((r.Usage.Client + r.Usage.Server).Nanoseconds()) / 1000 / n,
		"… of the process": float64(r.Usage.Client.Nanoseconds()) / 1000 / n,
	}
	return r, nil
}

const decisionMetric = "CPU, µs/decision"

// fill lets so many requests of each key pass.
func fill(ctx context.Context, s limiterSide, keys []string, n, callers int) error {
	errs := make(chan error, callers)
	var next atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= n*len(keys) {
					return
				}
				if _, err := s.take(ctx, keys[i%len(keys)]); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// decide asks until the window is over.
func decide(ctx context.Context, s limiterSide, keys []string, callers int, window time.Duration) (passed, refused int64, err error) {
	errs := make(chan error, callers)
	var yes, no atomic.Int64
	var over atomic.Bool
	var all sync.WaitGroup
	end := time.AfterFunc(window, func() { over.Store(true) })
	defer end.Stop()
	for c := range callers {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(c), 1))
			var y, n int64
			for !over.Load() {
				ok, err := s.take(ctx, keys[rnd.IntN(len(keys))])
				if err != nil {
					errs <- err
					return
				}
				if ok {
					y++
				} else {
					n++
				}
			}
			yes.Add(y)
			no.Add(n)
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return 0, 0, err
	default:
		return yes.Load(), no.Load(), nil
	}
}

// openLimiter opens the side that the task names. A side that brings a server of its
// own names it, so that its CPU is counted.
func openLimiter(ctx context.Context, t *task, l load) (limiterSide, error) {
	switch t.Side {
	case "ours":
		return openOurLimiter(ctx, *t, l)
	case "httprate":
		t.Postmaster = 0
		return newHTTPRate(l), nil
	}
	server, address, err := startRedis(ctx)
	if err != nil {
		return nil, err
	}
	t.Postmaster = server.Process.Pid
	client := redis.NewClient(&redis.Options{Addr: address, PoolSize: t.Callers})
	held := redisServer{server, client}
	switch t.Side {
	case "redis_rate":
		return redisRateSide{held, redis_rate.NewLimiter(client), redis_rate.Limit{Rate: l.limit, Burst: l.limit, Period: l.window}}, nil
	case "throttled":
		store, err := goredisstore.NewCtx(client, "")
		if err != nil {
			return nil, err
		}
		quota := throttled.RateQuota{MaxRate: throttled.PerDuration(l.limit, l.window), MaxBurst: l.limit - 1}
		lim, err := throttled.NewGCRARateLimiterCtx(store, quota)
		return throttledSide{held, lim}, err
	}
	held.close()
	return nil, fmt.Errorf("no side is called %q", t.Side)
}

// ourLimiter is DirectoryBolt's.
type ourLimiter struct {
	limit *ratelimit.Limit
	ends  []func()
}

func openOurLimiter(ctx context.Context, t task, l load) (*ourLimiter, error) {
	s := &ourLimiter{}
	storage, err := s.storage(ctx, t)
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New(ratelimit.Config{
		Storage: storage, Secret: make([]byte, 32), Patience: 10 * time.Second,
		Policies: []ratelimit.Policy{{Name: "bench", Limit: l.limit, Window: l.window}},
	})
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, limiter.Close)
	s.limit, err = limiter.Limit("bench")
	return s, err
}

func (s *ourLimiter) storage(ctx context.Context, t task) (ratelimit.Storage, error) {
	if t.Store == "postgres" {
		db, err := postgres.Open(ctx, postgres.Config{URL: t.URL, Log: quiet})
		if err != nil {
			return nil, err
		}
		s.ends = append(s.ends, func() { _ = db.Close() })
		if _, err := db.Migrate(ctx); err != nil {
			return nil, err
		}
		logs, err := db.Limits(ctx, postgres.LimitsConfig{})
		if err != nil {
			return nil, err
		}
		s.ends = append(s.ends, func() { _ = logs.Close() })
		return logs, nil
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: t.URL, Log: quiet})
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, func() { _ = db.Close() })
	if _, err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	logs, err := db.Limits(ctx, sqlite.LimitsConfig{})
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, func() { _ = logs.Close() })
	return logs, nil
}

func (s *ourLimiter) take(_ context.Context, key string) (bool, error) {
	d := s.limit.Allow(ratelimit.Subject{Kind: "key", ID: key})
	if d.Source == ratelimit.Alone {
		return false, errors.New("the storage failed")
	}
	return d.Allowed(), nil
}

func (s *ourLimiter) close() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

// redisServer is a Redis of our own, in memory, on loopback.
type redisServer struct {
	cmd    *exec.Cmd
	client *redis.Client
}

func startRedis(ctx context.Context) (*exec.Cmd, string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", errors.New("there is no redis-server; install it: apt-get install redis-server")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	port := ln.Addr().(*net.TCPAddr).Port
	_ = ln.Close()
	cmd := exec.CommandContext(ctx, path, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--loglevel", "warning")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start Redis: %w", err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = client.Ping(ctx).Err(); err == nil {
			return cmd, address, nil
		}
		if time.Now().After(deadline) {
			return nil, "", errors.Join(fmt.Errorf("start Redis: %w", err), cmd.Process.Kill(), cmd.Wait())
		}
	}
}

func (s redisServer) close() {
	_ = s.client.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

type redisRateSide struct {
	redisServer
	limiter *redis_rate.Limiter
	limit   redis_rate.Limit
}

func (s redisRateSide) take(ctx context.Context, key string) (bool, error) {
	r, err := s.limiter.Allow(ctx, key, s.limit)
	return err == nil && r.Allowed > 0, err
}

type throttledSide struct {
	redisServer
	limiter *throttled.GCRARateLimiterCtx
}

// take counts an error of concurrency as refused: its attempts run out when many
// change one key.
func (s throttledSide) take(ctx context.Context, key string) (bool, error) {
	limited, _, err := s.limiter.RateLimitCtx(ctx, key, 1)
	return err == nil && !limited, nil
}

// httprateSide counts in memory. It decides together with setting headers.
type httprateSide struct {
	limiter *httprate.RateLimiter
	request *http.Request
}

func (s httprateSide) take(_ context.Context, key string) (bool, error) {
	return !s.limiter.OnLimit(headers{}, s.request, key), nil
}

func (httprateSide) close() {}

// headers is an answer of which only the header is wanted.
type headers http.Header

func (h headers) Header() http.Header         { return http.Header(h) }
func (h headers) Write(b []byte) (int, error) { return len(b), nil }
func (h headers) WriteHeader(int)             {}

func newHTTPRate(l load) httprateSide {
	r, _ := http.NewRequest(http.MethodGet, "/", nil) // nothing in it can be wrong
	return httprateSide{httprate.NewRateLimiter(l.limit, l.window), r}
}

// limitSeries compares decisions by their CPU, the server's included.
func (o options) limitSeries(st string, _ riverSetting) (all []series) {
	if st != o.stores[0] {
		return nil // both stores stand in the same table
	}
	for _, way := range []struct{ kind, title, target string }{
		{"refused", "refused: 64 clients over their limit", "1/500 (ship 1/200)"},
		{"hot", "one hot key, passes", "1/5 (ship 1/2.5)"},
		{"many", "10 000 keys, pass, young logs", "1/2 (ship 1/1.3)"},
		{"deep", "5 000 keys, pass, 35 stamps and more in each log", ""},
	} {
		t := func(side, store string) task {
			return task{Do: "limit", Side: side, Store: store, Kind: way.kind, Window: o.window, Callers: 64}
		}
		s := series{
			Part: "limits", Title: "Rate limiter, " + way.title, Metric: decisionMetric, Lower: true,
			rows: []row{{what: "rate limiter, " + way.title + ", CPU µs", metrics: []string{decisionMetric}, target: way.target}},
		}
		for _, store := range o.stores {
			s.Contenders = append(s.Contenders, contender{Name: nameOurs + ", " + storeName(store), Task: t("ours", store)})
		}
		s.Contenders[0].column = oursColumn
		s.Contenders = append(s.Contenders,
			contender{Name: "redis_rate, Redis", Task: t("redis_rate", "sqlite"), column: bestColumn},
			contender{Name: "throttled, Redis", Task: t("throttled", "sqlite")},
			contender{Name: "httprate, its memory", Task: t("httprate", "sqlite")})
		all = append(all, s)
	}
	return all
}
