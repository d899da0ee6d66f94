package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
)

// concrete is a path that a route answers, about things that are not there.
func concrete(path string) string {
	return strings.NewReplacer("{id}", job.NewID().String(), "{slug}", "nowhere", "{customerId}", job.NewID().String()).Replace(path)
}

func TestEveryRouteIsClosedToWhoIsNotNamed(t *testing.T) {
	o := newOffice(t)
	for _, rt := range (&server{}).routes() {
		for _, role := range append([]auth.Role{public}, auth.Roles...) {
			got := o.ask(o.keys[role], rt.method, concrete(rt.path), "", "Accept", "application/json") // a stream would not end
			open := got.status != http.StatusUnauthorized && got.status != http.StatusForbidden
			if rt.path == "/api/session" && rt.method == http.MethodPost {
				continue // its body is the key: a test of its own
			}
			if want := slices.Contains(rt.who, role); open != want {
				t.Errorf("%s %s as %s: status %d, open to %v", rt.method, rt.path, role, got.status, rt.who)
			}
		}
	}
}

func TestNobodyIsRefusedWithAWayIn(t *testing.T) {
	o := newOffice(t)
	got := o.ask("", "GET", "/api/orders", "")
	got.refused(http.StatusUnauthorized, codeUnauthenticated)
	if h := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(h, "Bearer") {
		t.Errorf("WWW-Authenticate is %q", h)
	}
	for _, forged := range []string{"dbk_live_x", o.keys[auth.Admin][:50], "Basic"} {
		o.ask(forged, "GET", "/api/session", "").refused(http.StatusUnauthorized, codeUnauthenticated)
	}
	o.ask("", "GET", "/api/session", "", "Authorization", "Basic YTpi").refused(http.StatusUnauthorized, codeUnauthenticated)
	o.ask("", "GET", "/api/session", "", "X-API-Key", o.keys[auth.Staff]).is(http.StatusOK)
}

func TestWhatNoRouteAnswersIsAProblem(t *testing.T) {
	o := newOffice(t)
	staff := o.keys[auth.Staff]
	o.ask(staff, "GET", "/api/nothing", "").refused(http.StatusNotFound, codeNotFound)
	got := o.ask(staff, "DELETE", "/api/orders", "")
	got.refused(http.StatusMethodNotAllowed, codeMethodNotAllowed)
	if allow := got.header.Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", allow)
	}
	o.ask(staff, "GET", "/api/orders?cursor="+strings.Repeat("x", 2100), "").refused(http.StatusRequestURITooLong, codeURLTooLong)
	o.ask(staff, "GET", "/api/jobs?stat=failed&limit=0", "").refused(http.StatusBadRequest, codeInvalidRequest)
	o.ask(staff, "GET", "/api/jobs?cursor=abc", "").refused(http.StatusBadRequest, codeInvalidCursor)
}

func TestARequestKeepsTheNameThatItsClientGave(t *testing.T) {
	o := newOffice(t)
	if got := o.ask(o.keys[auth.Staff], "GET", "/api/session", "", "X-Request-Id", "checkout-7").header.Get("X-Request-Id"); got != "checkout-7" {
		t.Errorf("answered as %q", got)
	}
	if got := o.ask(o.keys[auth.Staff], "GET", "/api/session", "", "X-Request-Id", "a b").header.Get("X-Request-Id"); got == "a b" || got == "" {
		t.Errorf("answered as %q", got)
	}
}

func TestAnErrorOfOursTellsTheLogAndNotTheClient(t *testing.T) {
	o := newOffice(t)
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
	got := o.ask(o.keys[auth.Staff], "GET", "/api/jobs", "", "X-Request-Id", "find-me")
	if got.status != http.StatusInternalServerError || strings.Contains(string(got.body), "sql") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if log := o.log.String(); !strings.Contains(log, "request_id=find-me") || !strings.Contains(log, "closed") {
		t.Errorf("the log says %q", log)
	}
}

// counting is a limiter that lets everything pass and counts.
type counting map[string]int

func (c counting) Allow(_ http.ResponseWriter, _ *http.Request, policy, _ string) bool {
	c[policy]++
	return true
}

func (c counting) Try(_ http.ResponseWriter, _ *http.Request, policy string, try func() (string, bool)) bool {
	c[policy]++
	_, _ = try()
	return true
}

// Whatever is asked for is counted, but the probes: also what a mux would answer by
// itself, with a redirect or that there is nothing.
func TestEverythingButProbesIsCounted(t *testing.T) {
	asked := counting{}
	h := New(Deps{Ready: func(context.Context) error { return nil }, Store: newOffice(t).store, Limiter: asked, MetricsPage: http.NotFoundHandler()})
	ask := func(method, path string) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/api/health"} {
		ask(http.MethodGet, path)
	}
	if len(asked) != 0 {
		t.Errorf("probes were counted: %v", asked)
	}
	paths := []string{"/", "/nowhere", "/api", "/api/", "/api/nowhere", "/api/orders", "/API/orders", "//api/orders", "/api//orders", "/api/x/../orders", "/livez/", "//livez", "/.well-known/x"}
	for _, path := range paths {
		ask(http.MethodGet, path)
	}
	ask(http.MethodPost, "/livez")
	if want := len(paths) + 1; asked[policyPublic] != want || len(asked) != 1 {
		t.Errorf("counted %v, want %d under public", asked, want)
	}
}

// sheet is a page at /.
type sheet struct{ *counting }

func (sheet) Has(path string) bool { return path == "/" }

func (s sheet) ServeHTTP(http.ResponseWriter, *http.Request) { (*s.counting)["served"]++ }

func TestPagesAreCountedByWhoseTheyAreAndServedWithoutAStore(t *testing.T) {
	o := newOffice(t)
	asked := counting{}
	h := New(Deps{Ready: func(context.Context) error { return nil }, Store: o.store, Keys: auth.NewVerifier(o.store, o.store), Limiter: asked, Pages: sheet{&asked}})
	ask := func(method, path, key string) int {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		h.ServeHTTP(w, r)
		return w.Code
	}
	ask(http.MethodGet, "/", "")
	ask(http.MethodGet, "/", o.keys[auth.Staff])
	if got := ask(http.MethodPost, "/", ""); got != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", got)
	}
	if got := ask(http.MethodGet, "/nowhere", ""); got != http.StatusNotFound {
		t.Errorf("no page: status %d", got)
	}
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
	ask(http.MethodGet, "/", o.keys[auth.Admin])
	if asked["served"] != 3 || asked[policyPublic] != 4 || asked[policyStaff] != 1 {
		t.Errorf("asked and served: %v", asked)
	}
}
