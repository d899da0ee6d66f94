package api

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

// target is an API on a store, for fuzzing.
type target struct {
	handler      http.Handler
	staff, admin string // keys
	job          job.ID
	log          *strings.Builder
}

func newTarget(f *testing.F) *target {
	f.Helper()
	must := func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	}
	s, err := sqlite.Open(f.Context(), sqlite.Config{Path: filepath.Join(f.TempDir(), "test.db"), Log: slog.New(slog.DiscardHandler)})
	must(err)
	f.Cleanup(func() { _ = s.Close() })
	_, err = s.Migrate(f.Context())
	must(err)
	mint := func(role auth.Role) string {
		text, k, err := auth.Mint("test", role, job.ID{}, time.Time{}, "")
		must(err)
		_, err = s.AddKey(f.Context(), k, auth.HashOf(text), job.By{Actor: "cli:test"})
		must(err)
		return text
	}
	made, err := s.Enqueue(f.Context(), job.Spec{Kind: job.KindNoop})
	must(err)
	catalog, err := directory.Load("../../examples/catalog.yaml")
	must(err)
	t := &target{staff: mint(auth.Staff), admin: mint(auth.Admin), job: made[0].ID, log: &strings.Builder{}}
	t.handler = New(Deps{
		Ready: func(context.Context) error { return nil }, Log: slog.New(slog.NewTextHandler(t.log, nil)),
		Store: s, Clerk: desk{s}, Keys: auth.NewVerifier(s, s), Catalog: catalog, Stall: 10 * time.Minute,
	})
	return t
}

// sound reports an answer that says it is our fault, or that the document does not tell.
func (a *target) sound(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	method, target := r.Method, r.URL.RequestURI()
	var sent bytes.Buffer // as far as it is read
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, &sent), r.Body}
	w := httptest.NewRecorder()
	if op := promised().of(method, target); op != nil && !isTold(route{method: op.Method, path: op.Path}) {
		return w
	}
	a.handler.ServeHTTP(w, r)
	if w.Code >= http.StatusInternalServerError && w.Code != http.StatusServiceUnavailable {
		t.Fatalf("%s %q is answered with %d %s\n%s", method, target, w.Code, w.Body, a.log)
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		if err := promised().check(method, target, sent.Bytes(), w.Code, w.Header(), w.Body.Bytes()); err != nil {
			t.Fatalf("%s %q is not as /api/openapi.json tells: %v", method, target, err)
		}
	}
	return w
}

// Whatever bytes come as a request, somebody's or nobody's, they are answered as the
// document tells, and never with a fault of ours.
func FuzzRequest(f *testing.F) {
	a := newTarget(f)
	for _, rt := range toldRoutes() {
		f.Add(rt.method + " " + concrete(rt.path) + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n")
	}
	for _, seed := range []string{
		"GET /api/orders?limit=2&cursor=MTow&state=pending HTTP/1.1\r\nHost: x\r\nX-API-Key: KEY\r\n\r\n",
		"GET /api/%6Frders/../jobs//x?%zz HTTP/1.1\r\nHost: x\r\nCookie: directorybolt_session=x; a=b\r\n\r\n",
		"GET //api/orders HTTP/1.0\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Request-Id: a\r\n\r\n",
		"HEAD /api/openapi.json HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/\"a\", *\r\n\r\n",
		"POST /api/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Type: application/json; charset=utf-8\r\nIdempotency-Key: a\r\nContent-Length: 2\r\n\r\n{}",
		"POST /api/jobs/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "DELETE /api/session HTTP/1.1\r\nHost: x\r\nOrigin: null\r\nSec-Fetch-Site: cross-site\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "KEY", a.staff))))
		if err != nil {
			t.Skip() // net/http answers it before anybody here hears of it
		}
		a.sound(t, r)
	})
}

// Whatever stands in a body, it is taken or refused by name.
func FuzzBody(f *testing.F) {
	a := newTarget(f)
	var takers []route
	for _, rt := range toldRoutes() {
		if body, _ := rt.body(); body != nil {
			takers = append(takers, rt)
		}
	}
	seeds := []string{order(1), `{"reason":"x"}`, `{"scope":{"all":true},"reason":"x"}`, `{"name":"a","role":"customer"}`, `{"key":"dbk_live_x"}`, `{"package":"starter","profile":{"logo":"data:image/png;base64,AA=="}}`, `[]`, `null`, `{}{}`, "{\"reason\":\"\\u0000\\ud800\"}", `{"expires_at":"9999-12-31T23:59:59.999999999+23:59","name":"a","role":"staff"}`}
	for i := range takers {
		for _, seed := range seeds {
			f.Add(uint8(i), []byte(seed))
		}
	}
	id := a.job.String()
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		rt := takers[int(which)%len(takers)]
		path := strings.ReplaceAll(rt.path, "{id}", id)
		r := httptest.NewRequest(rt.method, concrete(path), bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+a.admin)
		a.sound(t, r)
	})
}

// A cursor is one of ours or refused; what is taken means one place in the list.
func FuzzCursor(f *testing.F) {
	a := newTarget(f)
	for _, seed := range []string{"", cursor(job.NewID()), cursor(job.ID{}), "MTo", "MTp1cm46dXVpZDo", "1:", "\x00", strings.Repeat("A", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, "/api/jobs?cursor="+url.QueryEscape(text), nil)
		r.Header.Set("Authorization", "Bearer "+a.staff)
		w := a.sound(t, r)
		q := &query{values: url.Values{"cursor": {text}}}
		id, err := q.cursor()
		if taken := w.Code == http.StatusOK; taken != (err == nil) && len(r.RequestURI) <= maxURL {
			t.Errorf("%q is answered with %d, and read with error %v", text, w.Code, err)
		}
		if err == nil && text != "" && cursor(id) != text {
			t.Errorf("%q and %q are one place", text, cursor(id))
		}
	})
}
