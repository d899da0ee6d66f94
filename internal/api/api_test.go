package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
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

const (
	testRedriveCap  = 3
	testMaxAttempts = 6
	testCrashBudget = 4
)

// office is an API on a real store, with a key of each role.
type office struct {
	t        *testing.T
	store    *sqlite.Store
	url      string
	keys     map[auth.Role]string
	offset   *atomic.Int64 // of the store's clock
	customer job.ID
	other    job.ID // another customer
	health   Health
	log      *strings.Builder
	deps     Deps
}

func newOffice(t *testing.T) *office {
	t.Helper()
	offset := new(atomic.Int64)
	s, err := sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "test.db"), Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, store: s, keys: map[auth.Role]string{}, log: &strings.Builder{}}
	o.customer, o.other = o.newCustomer("ann@example.com"), o.newCustomer("bob@example.com")
	for _, role := range auth.Roles {
		o.keys[role] = o.mint(role, o.customer)
	}
	o.offset = offset
	catalog, err := directory.Load("../../examples/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	o.deps = Deps{
		Ready: func(context.Context) error { return nil }, Log: slog.New(slog.NewTextHandler(o.log, nil)),
		Store: s, Clerk: desk{s}, Keys: auth.NewVerifier(s, s), Catalog: catalog, Stall: 10 * time.Minute,
		Health:     func() Health { return o.health },
		Balance:    func(ctx context.Context) (job.Balance, error) { return books.Stand(ctx, s, 10*time.Minute) },
		Erase:      s.EraseCustomer,
		RedriveCap: testRedriveCap, NextStep: deadletter.NextStep, MaxAttempts: testMaxAttempts, CrashBudget: testCrashBudget,
	}
	o.url = o.serve(o.deps)
	return o
}

// serve begins a process on the store and returns where it answers.
func (o *office) serve(d Deps) (url string) {
	web := httptest.NewServer(New(d))
	o.t.Cleanup(web.Close)
	return web.URL
}

// desk places orders as the real clerk does, without its settings.
type desk struct{ *sqlite.Store }

func (d desk) Place(ctx context.Context, o NewOrder) (Placed, error) {
	customer := o.Customer
	if customer == (job.ID{}) {
		var err error
		if customer, err = d.EnsureCustomer(ctx, submit.Customer{Email: cmp.Or(o.Email, o.Business.Email), Name: o.Business.Name}); err != nil {
			return Placed{}, err
		}
	}
	spec, err := submit.OrderSpec(customer, o.Business, o.Package, submit.OrderOptions{Key: o.Key, Actor: o.Actor})
	if err != nil {
		return Placed{}, err
	}
	answers, err := d.Enqueue(ctx, spec)
	if err != nil {
		return Placed{}, err
	}
	return Placed{answers[0], customer}, nil
}

func (o *office) newCustomer(email string) job.ID {
	o.t.Helper()
	id, err := o.store.EnsureCustomer(o.t.Context(), submit.Customer{Email: email})
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

func (o *office) mint(role auth.Role, customer job.ID) string {
	o.t.Helper()
	if role != auth.Customer {
		customer = job.ID{}
	}
	text, k, err := auth.Mint("test", role, customer, time.Time{}, "")
	if err == nil {
		_, err = o.store.AddKey(o.t.Context(), k, auth.HashOf(text), job.By{Actor: "cli:test"})
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return text
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// ask sends a request as the holder of a key; headers are pairs.
func (o *office) ask(key, method, path, body string, headers ...string) answer {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.url+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := promised().check(method, path, []byte(body), res.StatusCode, res.Header, data); err != nil {
		o.t.Errorf("%s %s is not as /api/openapi.json tells: %v", method, path, err)
	}
	return answer{o.t, res.StatusCode, res.Header, data}
}

func (a answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
}

// refused reports an answer that is not this problem, and returns its detail.
func (a answer) refused(status int, code string) string {
	a.t.Helper()
	var p problem
	a.into(&p)
	if a.status != status || p.Status != status || p.Code != code || p.Detail == "" || p.Instance == "" {
		a.t.Errorf("%d %s, want %d %s with a detail and an instance", a.status, a.body, status, code)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("media type %q of a problem", got)
	}
	return p.Detail
}

func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%d %s, want %d", a.status, a.body, status)
	}
	return a
}

// order is a body that places the n-th business's order.
func order(n int) string {
	return fmt.Sprintf(`{"package":"starter","profile":{"name":"Bakery %[1]d","email":"owner@bakery-%[1]d.com","phone":"+1 415 555 2%03[1]d",
		"website":"https://bakery-%[1]d.com/","street":"%[1]d Market Street","city":"San Francisco","region":"CA","postal_code":"94105","country":"US",
		"category":"bakery","short_description":"Sourdough and pastries, baked every morning near the harbour.",
		"description":"We bake sourdough, rye and pastries every morning, and deliver to cafes around the harbour before they open."}}`, n)
}
