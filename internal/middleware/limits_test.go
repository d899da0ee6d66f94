package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/middleware"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/google/go-cmp/cmp"
)

// newLimits makes limits in memory; storage nil is a new one.
func newLimits(t *testing.T, storage ratelimit.Storage, c middleware.LimitsConfig, changes ...ratelimit.Policy) *middleware.Limits {
	t.Helper()
	if storage == nil {
		storage = &ratelimit.InMemory{}
	}
	policies, err := ratelimit.Policies(changes...)
	if err != nil {
		t.Fatal(err)
	}
	c.Limiter, err = ratelimit.New(ratelimit.Config{Storage: storage, Secret: []byte("of no use but in tests"), Policies: policies})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Limiter.Close)
	l, err := middleware.NewLimits(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// send asks once under a policy and returns the answer; 200 is one that passed.
func send(l *middleware.Limits, policy, key, peer, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = peer
	l.Allow(w, r, policy, key)
	return w
}

// passed counts how many of n pass.
func passed(n int, ask func(i int) *httptest.ResponseRecorder) (ok int) {
	for i := range n {
		if ask(i).Code == http.StatusOK {
			ok++
		}
	}
	return ok
}

const ann = "203.0.113.1:4711"

func TestTheHundredAndFirstIsToldWhenToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(t, nil, middleware.LimitsConfig{})
		begun := time.Now()
		first := send(l, "public", "", ann, "/api/x")
		for name, want := range map[string]string{
			"RateLimit-Policy": `"public";q=100;w=60`, "RateLimit": `"public";r=99;t=60`,
			"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "99", "X-RateLimit-Reset": strconv.FormatInt(begun.Add(time.Minute).Unix(), 10), "Retry-After": "",
		} {
			if got := first.Header().Get(name); got != want {
				t.Errorf("first: %s is %q, want %q", name, got, want)
			}
		}
		time.Sleep(17500 * time.Millisecond)
		passed(99, func(int) *httptest.ResponseRecorder { return send(l, "public", "", ann, "/api/x") })
		over := send(l, "public", "", ann, "/api/x")
		for name, want := range map[string]string{
			"RateLimit": `"public";r=0;t=43`, "Retry-After": "43", "X-RateLimit-Remaining": "0",
			"X-RateLimit-Reset": strconv.FormatInt(begun.Add(time.Minute).Unix(), 10),
			"Cache-Control":     "no-store", "Content-Type": "application/problem+json",
		} {
			if got := over.Header().Get(name); got != want {
				t.Errorf("over the limit: %s is %q, want %q", name, got, want)
			}
		}
		var got map[string]any
		if err := json.Unmarshal(over.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"type": "https://iana.org/assignments/http-problem-types#quota-exceeded", "title": "Too many requests", "status": 429.0,
			"code": "RATE_LIMITED", "detail": "the limit is 100 requests in 60 seconds; try again in 43 seconds", "violated-policies": []any{"public"},
		}
		if d := cmp.Diff(got, want); d != "" || over.Code != http.StatusTooManyRequests {
			t.Errorf("status %d, problem (-got +want):\n%s", over.Code, d)
		}
		time.Sleep(43 * time.Second)
		if again := send(l, "public", "", ann, "/api/x"); again.Code != http.StatusOK {
			t.Errorf("after Retry-After: status %d", again.Code)
		}
	})
}

func TestNothingButWhoAsksIsAnIdentity(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{Proxies: middleware.Proxies{}})
	got := passed(150, func(i int) *httptest.ResponseRecorder {
		r := httptest.NewRequest([]string{"GET", "POST", "DELETE"}[i%3], []string{
			fmt.Sprintf("/api/x?x=%d", i), "/API/X", "//api///x", "/api/x/", "/api/x%20", fmt.Sprintf("/api/queue/%d", i),
		}[i%6], nil)
		r.RemoteAddr = fmt.Sprintf("203.0.113.1:%d", 1000+i)
		r.Host = fmt.Sprintf("host%d.example.org", i)
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip", "X-Nf-Client-Connection-Ip"} {
			r.Header.Set(name, fmt.Sprintf("198.51.100.%d", i))
		}
		r.Header.Set("Forwarded", fmt.Sprintf("for=198.51.100.%d", i))
		r.Header.Set("Authorization", fmt.Sprintf("Bearer dbk_live_forged%d", i))
		r.Header.Set("X-API-Key", fmt.Sprintf("forged%d", i))
		w := httptest.NewRecorder()
		l.Allow(w, r, "public", "")
		return w
	})
	if got != 100 {
		t.Errorf("%d passed, want 100", got)
	}
}

func TestNeighboursOfIPv6AreOneClientAndTheirNetworkIsBounded(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{}, ratelimit.Policy{Name: "public", Limit: 10})
	from := func(format string) func(i int) *httptest.ResponseRecorder {
		return func(i int) *httptest.ResponseRecorder {
			return send(l, "public", "", fmt.Sprintf(format, i), "/api/x")
		}
	}
	if got := passed(50, from("[2001:db8:1:1::%x]:1")); got != 10 {
		t.Errorf("%d passed of one /64, want 10", got)
	}
	if got := passed(300, from("[2001:db8:1:%x::1]:1")); got != 150 {
		t.Errorf("%d more passed of its /48, want 150", got)
	}
	if got := passed(20, from("[2001:db8:2:1::%x]:1")); got != 10 {
		t.Errorf("%d passed of another /48, want 10", got)
	}
	if got := passed(20, from("[::ffff:203.0.113.%d]:1")); got != 20 {
		t.Errorf("%d of 20 clients of IPv4 passed, want all", got)
	}
	whole := newLimits(t, nil, middleware.LimitsConfig{IPv6Bits: 128}, ratelimit.Policy{Name: "public", Limit: 1})
	if got := passed(5, func(i int) *httptest.ResponseRecorder {
		return send(whole, "public", "", fmt.Sprintf("[2001:db8::%x]:1", i), "/")
	}); got != 5 {
		t.Errorf("%d of five addresses passed where each is a client", got)
	}
}

func TestAVerifiedKeyCountsWhereverItComesFrom(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{}, ratelimit.Policy{Name: "staff", Limit: 10})
	got := passed(30, func(i int) *httptest.ResponseRecorder {
		return send(l, "staff", "key-1", fmt.Sprintf("203.0.113.%d:1", i), "/api/jobs")
	})
	if got != 10 {
		t.Errorf("%d passed with one key, want 10", got)
	}
	if w := send(l, "staff", "key-2", ann, "/api/jobs"); w.Code != http.StatusOK {
		t.Error("another key was refused")
	}
	if w := send(l, "public", "", ann, "/api/jobs"); w.Code != http.StatusOK {
		t.Error("a client without a key was refused")
	}
}

func TestTheTightestOfTwoLimitsIsTold(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{}, ratelimit.Policy{Name: "key_hour", Limit: 3}, ratelimit.Policy{Name: "public", Limit: 5})
	both := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/api/orders", nil)
		if l.Allow(w, r, "key_hour", "key-1") {
			l.Allow(w, r, "public", "key-1")
		}
		return w
	}
	w := both()
	if got, want := w.Header().Values("RateLimit-Policy"), []string{`"key_hour";q=3;w=3600`, `"public";q=5;w=60`}; !cmp.Equal(got, want) {
		t.Errorf("policies %q, want %q", got, want)
	}
	if got := w.Header().Get("X-RateLimit-Limit") + " " + w.Header().Get("X-RateLimit-Remaining"); got != "3 2" {
		t.Errorf("limit and remaining are %s, want 3 2", got)
	}
	both()
	both()
	if w := both(); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "3600" {
		t.Errorf("status %d, retry after %s", w.Code, w.Header().Get("Retry-After"))
	}
}

func TestWithoutAnAddressAllAreOne(t *testing.T) {
	var heard int
	l := newLimits(t, nil, middleware.LimitsConfig{OnNoAddress: func() { heard++ }}, ratelimit.Policy{Name: "public", Limit: 10})
	got := passed(30, func(int) *httptest.ResponseRecorder { return send(l, "public", "", "@", "/") })
	if got != 10 || heard != 30 {
		t.Errorf("%d passed, %d were heard of, want 10 and 30", got, heard)
	}
}

// away is a storage that is not there.
type away struct{ ratelimit.InMemory }

func (*away) Admit(context.Context, []ratelimit.Ask) ([]ratelimit.Answer, error) {
	return nil, fmt.Errorf("dial postgres://u:hunter2@db: %w", ratelimit.ErrUncounted)
}

func (*away) Ping(context.Context) error { return ratelimit.ErrUncounted }

func TestWithoutAStorageAClosedPolicyIsUnavailableAndTellsNoSecret(t *testing.T) {
	l := newLimits(t, &away{}, middleware.LimitsConfig{})
	w := send(l, "auth", "", ann, "/api/session")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity", "title": "Not available for the moment", "status": 503.0,
		"code": "UNAVAILABLE", "detail": "requests of this kind cannot be counted for the moment; try again in 1 second", "violated-policies": []any{"auth"},
	}
	if d := cmp.Diff(got, want); d != "" || w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("status %d, retry after %q, problem (-got +want):\n%s", w.Code, w.Header().Get("Retry-After"), d)
	}
	if w := send(l, "public", "", ann, "/api/x"); w.Code != http.StatusOK || w.Header().Get("X-RateLimit-Remaining") != "99" {
		t.Errorf("a local policy: status %d, %v", w.Code, w.Header())
	}
}

// attempt tries as somebody under a policy, and tells how often it came to that.
func attempt(l *middleware.Limits, peer, key string, tries *atomic.Int64) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/api/session", nil)
	r.RemoteAddr = peer
	passes := l.Try(w, r, "auth", func() (string, bool) {
		tries.Add(1)
		return key, key == ""
	})
	if passes && key == "" {
		w.WriteHeader(http.StatusUnauthorized)
	}
	return w
}

// Behind the address of an office sit many, each with a key.
func TestWhoSucceedsCountsByKeyAndWhoFailsByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(t, nil, middleware.LimitsConfig{})
		var tries atomic.Int64
		if got := passed(50, func(i int) *httptest.ResponseRecorder {
			return attempt(l, ann, fmt.Sprintf("key-%d", i), &tries)
		}); got != 50 {
			t.Errorf("%d of 50 colleagues signed in", got)
		}
		if got := passed(20, func(i int) *httptest.ResponseRecorder {
			return attempt(l, fmt.Sprintf("203.0.113.%d:1", i), "a key", &tries)
		}); got != 5 {
			t.Errorf("a key signed in %d times in 15 minutes, want 5", got)
		}
		var statuses []int
		tries.Store(0)
		for range 7 {
			statuses = append(statuses, attempt(l, ann, "", &tries).Code)
		}
		if want := []int{401, 401, 401, 401, 401, 429, 429}; !cmp.Equal(statuses, want) || tries.Load() != 5 {
			t.Errorf("failures are answered with %v after %d tries, want %v after 5", statuses, tries.Load(), want)
		}
		locked := attempt(l, ann, "key-1", &tries)
		if locked.Code != http.StatusTooManyRequests || tries.Load() != 5 || locked.Header().Get("Retry-After") != "900" {
			t.Errorf("the right key after five failures: status %d, tried %d times, come again after %s s", locked.Code, tries.Load(), locked.Header().Get("Retry-After"))
		}
		var p struct{ Detail string }
		if err := json.Unmarshal(locked.Body.Bytes(), &p); err != nil || p.Detail != "5 attempts failed within 900 seconds, as many as may; try again in 900 seconds" {
			t.Errorf("%q, %v", p.Detail, err)
		}
		if w := attempt(l, "203.0.113.99:1", "key-1", &tries); w.Code != http.StatusOK {
			t.Errorf("from another address: status %d", w.Code)
		}
		time.Sleep(15 * time.Minute)
		if w := attempt(l, ann, "key-1", &tries); w.Code != http.StatusOK {
			t.Errorf("15 minutes later: status %d", w.Code)
		}
	})
}

// Guesses sent all at once are not all made before the first is counted.
func TestTriesOfOneAddressAreMadeOneAfterTheOther(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{})
	var tries atomic.Int64
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { attempt(l, ann, "", &tries) })
	}
	all.Wait()
	if tries.Load() != 5 {
		t.Errorf("%d guesses were looked at, want 5", tries.Load())
	}
}

func TestFailuresOfANetworkAreBounded(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{})
	var tries atomic.Int64
	for i := range 100 {
		attempt(l, fmt.Sprintf("[2001:db8:1:%x::1]:1", i), "", &tries)
	}
	if tries.Load() != 80 {
		t.Errorf("%d guesses of one /48 were looked at, want 80", tries.Load())
	}
}

func TestWhoHungUpWaitsForNoTurn(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{})
	r := httptest.NewRequest(http.MethodPost, "/api/session", nil)
	l.Try(httptest.NewRecorder(), r, "auth", func() (string, bool) {
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		if l.Try(httptest.NewRecorder(), r.WithContext(ctx), "auth", func() (string, bool) {
			t.Error("tried beside another of the same address")
			return "", true
		}) {
			t.Error("may go on")
		}
		return "key-1", false
	})
	if w := attempt(l, r.RemoteAddr, "key-1", new(atomic.Int64)); w.Code != http.StatusOK {
		t.Errorf("after that: status %d", w.Code)
	}
}

// Who waits behind a try that hangs is answered, and tries nothing.
func TestWhoseTurnDoesNotComeIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(t, nil, middleware.LimitsConfig{})
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/api/session", nil)
		l.Try(httptest.NewRecorder(), r, "auth", func() (string, bool) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if l.Try(w, r.WithContext(ctx), "auth", func() (string, bool) {
				t.Error("tried beside another of the same address")
				return "", true
			}) {
				t.Error("may go on")
			}
			return "key-1", false
		})
		var p struct{ Code string }
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusServiceUnavailable || p.Code != "UNAVAILABLE" || w.Header().Get("Retry-After") != "5" {
			t.Errorf("status %d, come again after %q s, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	})
}

func TestWithoutAStorageNothingIsTried(t *testing.T) {
	l := newLimits(t, &away{}, middleware.LimitsConfig{})
	var tries atomic.Int64
	if w := attempt(l, ann, "key-1", &tries); w.Code != http.StatusServiceUnavailable || tries.Load() != 0 {
		t.Errorf("status %d, tried %d times", w.Code, tries.Load())
	}
}

func TestHandlerGuardsWhatNoRouteNames(t *testing.T) {
	l := newLimits(t, nil, middleware.LimitsConfig{Proxies: middleware.Proxies{Ranges: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}},
		ratelimit.Policy{Name: "public", Limit: 2})
	h := l.Handler("public", http.NotFoundHandler())
	var got []int
	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/nowhere", nil))
		got = append(got, w.Code)
	}
	if want := []int{404, 404, 429}; !cmp.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}

func TestFaultsOfTheConfigurationAreTold(t *testing.T) {
	if _, err := middleware.NewLimits(middleware.LimitsConfig{}); err == nil {
		t.Error("limits without a limiter")
	}
	limiter, err := ratelimit.New(ratelimit.Config{Storage: &ratelimit.InMemory{}, Secret: make([]byte, 16)})
	if err != nil {
		t.Fatal(err)
	}
	defer limiter.Close()
	if _, err := middleware.NewLimits(middleware.LimitsConfig{Limiter: limiter, IPv6Bits: 20}); err == nil {
		t.Error("a client of twenty bits")
	}
}
