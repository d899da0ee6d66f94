package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/books"
	"github.com/directorybolt/directorybolt/internal/deadletter"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// target is an API on a store, for fuzzing.
type target struct {
	handler http.Handler
	keys    map[auth.Role]string
	ids     *strings.Replacer // of the words KEY, JOB, LEASE and so on in a seed
	log     *strings.Builder
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
	customer, err := s.EnsureCustomer(f.Context(), submit.Customer{Email: "ann@example.com"})
	must(err)
	t := &target{keys: map[auth.Role]string{}, log: &strings.Builder{}}
	for _, role := range auth.Roles {
		of := job.ID{}
		if role == auth.Customer {
			of = customer
		}
		text, k, err := auth.Mint("test", role, of, time.Time{}, "")
		must(err)
		_, err = s.AddKey(f.Context(), k, auth.HashOf(text), job.By{Actor: "cli:test"})
		must(err)
		t.keys[role] = text
	}
	worker := job.Worker{ID: job.NewID(), Host: "here", Kinds: []string{crafted}, Capacity: 2}
	must(s.Register(f.Context(), worker, time.Hour))
	made, err := s.Enqueue(f.Context(), job.Spec{Kind: crafted}, job.Spec{Kind: crafted}, job.Spec{Kind: job.KindNoop})
	must(err)
	claimed, err := s.Claim(f.Context(), job.ClaimRequest{Worker: worker.ID, Limit: 2, Kinds: worker.Kinds})
	must(err)
	if len(claimed) != 2 {
		f.Fatalf("claimed %d jobs, want 2", len(claimed))
	}
	_, err = s.Fail(f.Context(), claimed[1].Lease(), job.Failure{Cause: "a test", Class: job.ClassPermanent, Permanent: true})
	must(err)
	t.ids = strings.NewReplacer(
		"STAFFKEY", t.keys[auth.Staff], "ADMINKEY", t.keys[auth.Admin], "WORKERKEY", t.keys[auth.Worker], "CUSTOMERKEY", t.keys[auth.Customer],
		"CUSTOMER", customer.String(), "WORKER", worker.ID.String(), "DEAD", claimed[1].ID.String(), "JOB", made[2].ID.String(),
		"LEASE", fmt.Sprintf(`"worker_id":%q,"job_id":%q,"fence":%d`, worker.ID, claimed[0].ID, claimed[0].Fence),
	)
	catalog, err := directory.Load("../../examples/catalog.yaml")
	must(err)
	t.handler = New(Deps{
		Ready: func(context.Context) error { return nil }, Log: slog.New(slog.NewTextHandler(t.log, nil)),
		Store: s, Clerk: desk{s}, Keys: auth.NewVerifier(s, s), Catalog: catalog, Stall: 10 * time.Minute,
		Draining: func() bool { return true }, // no claim waits
		Health:   sick,
		Balance:  func(ctx context.Context) (job.Balance, error) { return books.Stand(ctx, s, 10*time.Minute) },
		Erase:    s.EraseCustomer, RedriveCap: testRedriveCap, NextStep: deadletter.NextStep,
	})
	return t
}

// wordOf is the word for an id in the path of a route.
func wordOf(rt route) string {
	switch {
	case strings.HasPrefix(rt.path, "/api/dlq/"):
		return "DEAD"
	case strings.HasPrefix(rt.path, "/api/customers/"):
		return "CUSTOMER"
	}
	return "JOB"
}

// pathOf is a path of the route in which words stand for ids.
func pathOf(rt route) string {
	return concrete(strings.NewReplacer("{id}", wordOf(rt), "{customerId}", "CUSTOMER").Replace(rt.path))
}

// keyOf is the word for a key that may ask the route.
func keyOf(rt route) string {
	return strings.ToUpper(string(rt.who[len(rt.who)-1])) + "KEY"
}

// briefly hangs up when it has something to read: of a stream its beginning.
type briefly struct {
	*httptest.ResponseRecorder
	hangUp context.CancelFunc
}

func (w briefly) Flush() {
	w.ResponseRecorder.Flush()
	w.hangUp()
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
	ctx, hangUp := context.WithCancel(r.Context())
	defer hangUp()
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(briefly{w, hangUp}, r.WithContext(ctx))
	if w.Code >= http.StatusInternalServerError && w.Code != http.StatusServiceUnavailable {
		t.Fatalf("%s %q is answered with %d %s\n%s", method, target, w.Code, w.Body, a.log)
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		if op := promised().of(method, target); op != nil && !slices.ContainsFunc(op.Parameters, func(p parameter) bool { return p.In == "query" }) {
			target, _, _ = strings.Cut(target, "?") // nobody looks at it
		}
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
	for _, rt := range (&server{}).routes() {
		f.Add(rt.method + " " + pathOf(rt) + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + keyOf(rt) + "\r\n\r\n")
	}
	for _, seed := range []string{
		"GET /api/orders?limit=2&cursor=MTow&state=pending HTTP/1.1\r\nHost: x\r\nX-API-Key: STAFFKEY\r\n\r\n",
		"GET /api/%6Frders/../jobs//x?%zz HTTP/1.1\r\nHost: x\r\nCookie: directorybolt_session=x; a=b\r\n\r\n",
		"GET //api/orders HTTP/1.0\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Request-Id: a\r\n\r\n",
		"HEAD /api/openapi.json HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/\"a\", *\r\n\r\n",
		"POST /api/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer STAFFKEY\r\nContent-Type: application/json; charset=utf-8\r\nIdempotency-Key: a\r\nContent-Length: 2\r\n\r\n{}",
		"POST /api/jobs/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer STAFFKEY\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "DELETE /api/session HTTP/1.1\r\nHost: x\r\nOrigin: null\r\nSec-Fetch-Site: cross-site\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(a.ids.Replace(raw))))
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
	for _, rt := range (&server{}).routes() {
		if body, _ := rt.body(); body != nil {
			takers = append(takers, rt)
		}
	}
	seeds := []string{order(1), `{"reason":"x"}`, `{"scope":{"all":true},"reason":"x"}`, `{"name":"a","role":"customer"}`, `{"key":"dbk_live_x"}`, `{"key":"STAFFKEY"}`, `{"all":true,"reason":"x"}`, `{"ids":["DEAD"],"count":1,"reason":"x"}`, `{"host":"h","kinds":["thumbnail"]}`,
		`{"worker_id":"WORKER","kinds":["thumbnail"],"wait_seconds":20}`, `{"worker_id":"WORKER","held":[{"job_id":"JOB","fence":1}]}`, `{"worker_id":"WORKER"}`,
		`{LEASE}`, `{"REASON":"x"}`, `{"all":true,"since":null,"reason":"x"}`, `{"host":"h","pid":null,"kinds":["thumbnail"]}`, `{LEASE,"cause":"x"}`, `{LEASE,"cause":"x","delay_seconds":1}`, `{"kind":"thumbnail","payload":{},"customer_id":"CUSTOMER"}`,
		`{"package":"starter","profile":{"logo":"data:image/png;base64,AA=="}}`, `[]`, `null`, `{}{}`, "{\"reason\":\"\\u0000\\ud800\"}", `{"expires_at":"9999-12-31T23:59:59.999999999+23:59","name":"a","role":"staff"}`}
	for i := range takers {
		for _, seed := range seeds {
			f.Add(uint8(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		rt := takers[int(which)%len(takers)]
		r := httptest.NewRequest(rt.method, a.ids.Replace(pathOf(rt)), strings.NewReader(a.ids.Replace(string(body))))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+a.ids.Replace(keyOf(rt)))
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
		r.Header.Set("Authorization", "Bearer "+a.keys[auth.Staff])
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
