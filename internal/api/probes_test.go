package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/api"
)

func TestLivezAnswersEvenWhenTheDatabaseDoesNot(t *testing.T) {
	h := api.New(api.Deps{Ready: func(context.Context) error { return errors.New("dial: refused") }})
	if got := get(h, http.MethodGet, "/livez"); got.Code != http.StatusOK {
		t.Errorf("status %d, want 200", got.Code)
	}
}

func TestReadyzSaysWhyWithoutTellingSecrets(t *testing.T) {
	draining := func() bool { return true }
	for _, c := range []struct {
		name   string
		deps   api.Deps
		status int
		body   string
	}{
		{"ready", api.Deps{Ready: ready(nil)}, 200, "ok"},
		{"database away", api.Deps{Ready: ready(errors.New("dial postgres://u:hunter2@db"))}, 503, "the database does not answer"},
		{"schema behind", api.Deps{Ready: ready(fmt.Errorf("at 3: %w", api.ErrMigrations))}, 503, "migrations are behind"},
		{"draining", api.Deps{Ready: ready(nil), Draining: draining}, 503, "draining"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := get(api.New(c.deps), http.MethodGet, "/readyz")
			if got.Code != c.status || strings.TrimSpace(got.Body.String()) != c.body {
				t.Errorf("%d %q, want %d %q", got.Code, got.Body, c.status, c.body)
			}
		})
	}
}

func TestManyProbesAskTheDatabaseOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		h := api.New(api.Deps{Ready: func(context.Context) error { asked.Add(1); return nil }})
		for range 3 {
			for range 50 {
				get(h, http.MethodGet, "/readyz")
			}
			time.Sleep(time.Second)
		}
		if got := asked.Load(); got != 3 {
			t.Errorf("asked %d times, want 3", got)
		}
	})
}

func TestReadyzDoesNotWaitForADatabaseThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := api.New(api.Deps{Ready: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		start := time.Now()
		if got := get(h, http.MethodGet, "/readyz"); got.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", got.Code)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %s, want at most a second", took)
		}
	})
}

func TestProbesAreReadOnly(t *testing.T) {
	h := api.New(api.Deps{Ready: ready(nil)})
	if got := get(h, http.MethodPost, "/livez"); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /livez: status %d, want 405", got.Code)
	}
	if got := get(h, http.MethodGet, "/"); got.Code != http.StatusNotFound {
		t.Errorf("GET /: status %d, want 404", got.Code)
	}
}

func TestServeAnswersUntilItsContextEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- api.Serve(ctx, ln, api.New(api.Deps{Ready: ready(nil)}), slog.New(slog.DiscardHandler))
	}()
	url := "http://" + ln.Addr().String() + "/readyz"
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d %s, want 200", res.StatusCode, body)
	}
	// As docs/api.md says.
	long, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	long.Header.Set("X-Long", strings.Repeat("x", 40<<10))
	if res, err = http.DefaultClient.Do(long); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") || !res.Close {
		t.Errorf("40 KB of headers: status %d, %s, connection closed: %v", res.StatusCode, res.Header.Get("Content-Type"), res.Close)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve ended with %v", err)
	}
	if res, err := http.Get(url); err == nil {
		res.Body.Close()
		t.Error("the port still answers")
	}
}

func ready(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// TestWhoHadConnectedIsAnswered asks on a connection that was accepted before the end, and
// has said nothing until then.
func TestWhoHadConnectedIsAnswered(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- api.Serve(ctx, ln, api.New(api.Deps{Ready: ready(nil)}), slog.New(slog.DiscardHandler))
	}()
	early, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	// Who connects later is accepted later: once it has its answer, the first is in.
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + ln.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	end()
	for {
		late, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			break // nobody is accepted any more: the end has come
		}
		_ = late.Close()
	}
	if _, err := io.WriteString(early, "GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(early), nil)
	if err != nil {
		t.Fatal("who was accepted before the end had no answer: ", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("answered %s, want 200", answer.Status)
	}
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
}
