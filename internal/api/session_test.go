package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/middleware"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

func TestABrowserSignsInAndOut(t *testing.T) {
	o := newOffice(t)
	in := o.ask("", "POST", "/api/session", `{"key":"`+o.keys[auth.Staff]+`"}`).is(http.StatusCreated)
	cookie := in.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie lacks %s: %s", want, cookie)
		}
	}
	shown, _, _ := strings.Cut(cookie, ";")
	var who auth.Identity
	o.ask("", "GET", "/api/session", "", "Cookie", shown).is(http.StatusOK).into(&who)
	if who.Role != auth.Staff {
		t.Errorf("is %+v", who)
	}
	id := o.noop().String()
	o.ask("", "POST", "/api/jobs/"+id+"/cancel", `{"reason":"x"}`, "Cookie", shown, "Sec-Fetch-Site", "cross-site").refused(http.StatusForbidden, codeForbidden)
	o.ask("", "POST", "/api/jobs/"+id+"/cancel", `{"reason":"x"}`, "Cookie", shown, "Sec-Fetch-Site", "same-origin").is(http.StatusOK)
	o.ask("", "DELETE", "/api/session", "", "Cookie", shown).is(http.StatusNoContent)
	o.ask("", "GET", "/api/session", "", "Cookie", shown).refused(http.StatusUnauthorized, codeUnauthenticated)
	o.ask("", "POST", "/api/session", `{"key":"dbk_live_no"}`).refused(http.StatusUnauthorized, codeUnauthenticated)
}

// behindLimits is a process that takes every client for one of the same address.
func (o *office) behindLimits() {
	o.t.Helper()
	limiter, err := ratelimit.New(ratelimit.Config{Storage: &ratelimit.InMemory{}, Secret: []byte("of no use but in tests")})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(limiter.Close)
	limits, err := middleware.NewLimits(middleware.LimitsConfig{Limiter: limiter})
	if err != nil {
		o.t.Fatal(err)
	}
	o.url = o.serve(Deps{
		Ready: func(context.Context) error { return nil }, Store: o.store, Keys: auth.NewVerifier(o.store, o.store), Limiter: limits,
	})
}

// Colleagues behind one address sign in, each with a key; who guesses locks the address.
func TestSignInsThatFailLockAnAddressAndOthersDoNot(t *testing.T) {
	o := newOffice(t)
	o.behindLimits()
	body := func(key string) string { return `{"key":"` + key + `"}` }
	for range 12 {
		o.ask("", "POST", "/api/session", body(o.mint(auth.Staff, job.ID{}))).is(http.StatusCreated)
	}
	key := o.keys[auth.Staff]
	o.ask("", "POST", "/api/session", `{"kee":1}`).refused(http.StatusBadRequest, codeInvalidRequest) // no key was tried
	for i := range 5 {
		o.ask("", "POST", "/api/session", body(o.mint(auth.Staff, job.ID{})[:40]+fmt.Sprint("guess", i))).refused(http.StatusUnauthorized, codeUnauthenticated)
	}
	for _, tried := range []string{"dbk_live_guess", key} {
		got := o.ask("", "POST", "/api/session", body(tried)).is(http.StatusTooManyRequests)
		if got.header.Get("Retry-After") == "" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("locked, and answered %v", got.header)
		}
	}
	o.ask(key, "GET", "/api/session", "").is(http.StatusOK) // who works already goes on
}

func TestAKeyOpensFiveSessionsAQuarterOfAnHour(t *testing.T) {
	o := newOffice(t)
	o.behindLimits()
	for range 5 {
		o.ask("", "POST", "/api/session", `{"key":"`+o.keys[auth.Staff]+`"}`).is(http.StatusCreated)
	}
	o.ask("", "POST", "/api/session", `{"key":"`+o.keys[auth.Staff]+`"}`).is(http.StatusTooManyRequests)
	o.ask("", "POST", "/api/session", `{"key":"`+o.keys[auth.Admin]+`"}`).is(http.StatusCreated)
}

// The body is the proof: a key in a header neither helps nor harms, nor does the answer
// tell whether it is right, least of all to an address that is full.
func TestAKeyInAHeaderOfTheSignInIsNotLookedAt(t *testing.T) {
	o := newOffice(t)
	o.behindLimits()
	wrong, right := o.mint(auth.Staff, job.ID{})[:40]+"guess", o.keys[auth.Admin]
	for _, shown := range []string{wrong, right, "dbk_live_guess"} {
		o.ask(shown, "POST", "/api/session", `{"key":"`+o.mint(auth.Staff, job.ID{})+`"}`).is(http.StatusCreated)
		o.ask(shown, "POST", "/api/session", `{"key":"`+o.keys[auth.Staff]+`"}`, "Cookie", sessionCookie+"=over").is(http.StatusCreated)
	}
	for i := range 5 { // the guesses in headers above are not among the five
		o.ask([]string{wrong, right}[i%2], "POST", "/api/session", `{}`).refused(http.StatusUnauthorized, codeUnauthenticated)
	}
	for _, shown := range []string{"", wrong, right} {
		got := o.ask(shown, "POST", "/api/session", `{"key":"`+right+`"}`).is(http.StatusTooManyRequests)
		if !strings.Contains(string(got.body), "5 attempts failed within 900 seconds") {
			t.Errorf("locked, with %q in a header: %s", shown, got.body)
		}
	}
}

// hanging answers nothing until it is told to stop.
type hanging struct {
	*sqlite.Store
	key  string // the only one
	keys bool   // when keys are looked up, not when sessions are opened
}

func (h hanging) KeyByID(ctx context.Context, id string) (auth.Key, auth.Hash, error) {
	if h.keys {
		<-ctx.Done()
		return auth.Key{}, auth.Hash{}, errors.New("statement cancelled")
	}
	return auth.Key{ID: id, Role: auth.Staff}, auth.HashOf(h.key), nil
}

func (hanging) AddSession(ctx context.Context, _ auth.Hash, _ string, _ time.Duration) (time.Time, error) {
	<-ctx.Done()
	return time.Time{}, ctx.Err()
}

// What the store does not answer in time is told while the client still listens, also to
// those who wait behind.
func TestASignInEndsWhenTheStoreHangs(t *testing.T) {
	key, _, err := auth.Mint("ann", auth.Staff, job.ID{}, time.Time{}, "a test")
	if err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]hanging{"looking up keys": {key: key, keys: true}, "opening sessions": {key: key}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limiter, err := ratelimit.New(ratelimit.Config{Storage: &ratelimit.InMemory{}, Secret: []byte("of no use but in tests")})
				if err != nil {
					t.Fatal(err)
				}
				defer limiter.Close()
				limits, err := middleware.NewLimits(middleware.LimitsConfig{Limiter: limiter})
				if err != nil {
					t.Fatal(err)
				}
				h := New(Deps{Ready: func(context.Context) error { return nil }, Store: store, Keys: auth.NewVerifier(store, store), Limiter: limits})
				begun := time.Now()
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						r := httptest.NewRequest(http.MethodPost, "/api/session", strings.NewReader(`{"key":"`+key+`"}`))
						r.Header.Set("Content-Type", "application/json")
						w := httptest.NewRecorder()
						h.ServeHTTP(w, r)
						var p problem
						if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusServiceUnavailable || p.Code != codeUnavailable || w.Header().Get("Retry-After") == "" {
							t.Errorf("status %d, %s, %v", w.Code, w.Body, err)
						}
					})
				}
				all.Wait()
				if took := time.Since(begun); took > signInTimeout {
					t.Errorf("answered after %s", took)
				}
			})
		})
	}
}

// A browser shows its cookie by itself, and no script can take it away: whoever holds
// one that is over would be kept out of everything, also of signing in.
func TestASessionThatIsOverKeepsNobodyOut(t *testing.T) {
	o := newOffice(t)
	o.ask("", "DELETE", "/api/session", "", "Cookie", sessionCookie+"=over").is(http.StatusNoContent)
	o.ask("", "POST", "/api/session", `{"key":"`+o.keys[auth.Staff]+`"}`, "Cookie", sessionCookie+"=over").is(http.StatusCreated)
	o.ask("", "GET", "/api/orders", "", "Cookie", sessionCookie+"=over").refused(http.StatusUnauthorized, codeUnauthenticated)
}

// Who did not hear the answer learns which key there is, and nothing keeps its text.
func TestAKeyIsMadeOnceAndItsTextIsToldOnce(t *testing.T) {
	o := newOffice(t)
	admin := o.keys[auth.Admin]
	const want = `{"name":"ann","role":"staff"}`
	var made madeKey
	var kept keptKey
	o.ask(admin, "POST", "/api/keys", want, idempotencyHeader, "for ann").is(http.StatusCreated).into(&made)
	again := o.ask(admin, "POST", "/api/keys", want, idempotencyHeader, "for ann").is(http.StatusOK)
	again.into(&kept)
	if kept.ID != made.ID || kept.Role != auth.Staff || kept.Detail == "" || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("made %s, and again answered %s", made.ID, again.body)
	}
	for _, secret := range []string{"dbk_live_", made.Text[len("dbk_live_")+9:], "ann"} {
		if strings.Contains(string(again.body), secret) {
			t.Errorf("answered again with %q: %s", secret, again.body)
		}
	}
	o.ask(admin, "POST", "/api/keys", `{"name":"bob","role":"staff"}`, idempotencyHeader, "for ann").refused(http.StatusUnprocessableEntity, codeIdempotencyMismatch)
	o.ask(made.Text, "GET", "/api/session", "").is(http.StatusOK)
	var keys page[auth.Key]
	o.ask(admin, "GET", "/api/keys", "").is(http.StatusOK).into(&keys)
	n := 0
	for _, k := range keys.Items {
		if k.Name == "ann" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d keys were made, want 1", n)
	}
}

func TestAdminsMakeAndRevokeKeys(t *testing.T) {
	o := newOffice(t)
	admin := o.keys[auth.Admin]
	var made madeKey
	o.ask(admin, "POST", "/api/keys", `{"name":"portal","role":"customer","customer_id":"`+o.customer.String()+`","reason":"new portal"}`).is(http.StatusCreated).into(&made)
	o.ask(made.Text, "GET", "/api/session", "").is(http.StatusOK)
	o.ask(admin, "POST", "/api/keys", `{"name":"portal","role":"customer"}`).refused(http.StatusBadRequest, codeInvalidRequest)
	o.ask(admin, "POST", "/api/keys", `{"name":"late","role":"staff","expires_at":"2020-01-01T00:00:00Z"}`).refused(http.StatusBadRequest, codeInvalidRequest)
	o.ask(admin, "POST", "/api/keys", `{"name":"zero","role":"staff","expires_at":"0001-01-01T00:00:00Z"}`).refused(http.StatusBadRequest, codeInvalidRequest)
	o.ask(admin, "DELETE", "/api/keys/"+made.ID, "").is(http.StatusNoContent)
	o.ask(admin, "DELETE", "/api/keys/"+made.ID, "").refused(http.StatusConflict, codeInvalidStatus)
	o.ask(admin, "DELETE", "/api/keys/nosuchid", "").refused(http.StatusNotFound, codeNotFound)
	list := o.ask(admin, "GET", "/api/keys", "").is(http.StatusOK)
	if strings.Contains(string(list.body), "dbk_live_") || strings.Contains(string(list.body), "hash") {
		t.Errorf("the list tells keys: %s", list.body)
	}
}
