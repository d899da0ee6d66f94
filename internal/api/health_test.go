package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
)

// sick is an installation whose database is away.
func sick() Health {
	latency := 1000.25
	return Health{
		Status: "unhealthy", Timestamp: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC), Uptime: 12, Version: "v1", Wrong: []string{"database"},
		Services: map[string]ServiceHealth{
			"database": {Status: "down", Detail: "no answer within 1s", LatencyMS: &latency, CheckedAt: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)},
			"workers":  {Status: "down", Detail: "not known", Blames: "database"},
			"queue":    {Status: "degraded"},
			"alerts":   {Status: "up"},
		},
		Metrics: &HealthMetrics{JobsPending: 3},
	}
}

func TestAnybodyLearnsTheVerdictAndStaffTheRest(t *testing.T) {
	o := newOffice(t)
	o.health = sick()
	anybody := o.ask("", "GET", "/api/health", "")
	anybody.is(http.StatusServiceUnavailable)
	want := `{"status":"unhealthy","timestamp":"2026-11-26T10:00:00Z","uptime":12,"wrong":["database"],` +
		`"services":{"alerts":{"status":"up"},"database":{"status":"down"},"queue":{"status":"degraded"},"workers":{"status":"down"}}}`
	if got := strings.TrimSpace(string(anybody.body)); got != want {
		t.Errorf("anybody learns %s, want %s", got, want)
	}
	if c := anybody.header.Get("Cache-Control"); c != "no-store" {
		t.Errorf("Cache-Control is %q", c)
	}
	for _, role := range []auth.Role{auth.Customer, auth.Worker} {
		if got := o.ask(o.keys[role], "GET", "/api/health", ""); strings.TrimSpace(string(got.body)) != want {
			t.Errorf("a %s learns %s", role, got.body)
		}
	}
	for _, role := range []auth.Role{auth.Staff, auth.Admin} {
		var h Health
		if err := json.Unmarshal(o.ask(o.keys[role], "GET", "/api/health", "").body, &h); err != nil {
			t.Fatal(err)
		}
		if h.Services["database"].Detail != "no answer within 1s" || h.Metrics == nil || h.Metrics.JobsPending != 3 || h.Version != "v1" {
			t.Errorf("%s learns %+v", role, h)
		}
	}
	o.ask("dbk_forged", "GET", "/api/health", "").refused(http.StatusUnauthorized, codeUnauthenticated)
}

func TestTheStatusCodeIsTheVerdict(t *testing.T) {
	o := newOffice(t)
	for status, want := range map[string]int{"healthy": 200, "degraded": 200, "unhealthy": 503} {
		o.health = Health{Status: status}
		o.ask("", "GET", "/api/health", "").is(want)
		o.ask("", "HEAD", "/api/health", "").is(want)
	}
	o.ask("", "POST", "/api/health", "").refused(http.StatusMethodNotAllowed, codeMethodNotAllowed)
}

func TestHealthComesInTheFormOfTheDraftOnRequest(t *testing.T) {
	o := newOffice(t)
	o.health = sick()
	for _, accept := range []string{"application/health+json", "text/html, application/health+json;q=0.9, */*;q=0.1"} {
		got := o.ask(o.keys[auth.Staff], "GET", "/api/health", "", "Accept", accept)
		got.is(http.StatusServiceUnavailable)
		if kind := got.header.Get("Content-Type"); kind != "application/health+json" {
			t.Errorf("Accept %q: Content-Type is %q", accept, kind)
		}
		var s standardHealth
		if err := json.Unmarshal(got.body, &s); err != nil {
			t.Fatal(err)
		}
		c := s.Checks["database:responseTime"]
		if s.Status != "fail" || s.ReleaseID != "v1" || s.Output != "not up: database" || len(c) != 1 || c[0].ComponentType != "datastore" ||
			*c[0].ObservedValue != 1000.25 || c[0].ObservedUnit != "ms" || c[0].Status != "fail" || c[0].Output == "" {
			t.Errorf("staff learns %s", got.body)
		}
		if s.Checks["queue"][0].Status != "warn" || s.Checks["alerts"][0].Status != "pass" || s.Checks["alerts"][0].Output != "" {
			t.Errorf("staff learns %s", got.body)
		}
	}
	if got := o.ask("", "GET", "/api/health", "", "Accept", "application/health+json"); strings.Contains(string(got.body), "no answer") || strings.Contains(string(got.body), "v1") {
		t.Errorf("anybody learns %s", got.body)
	}
	for _, accept := range []string{"", "*/*", "application/json", "application/health+json;q=0"} {
		if kind := o.ask("", "GET", "/api/health", "", "Accept", accept).header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("Accept %q: Content-Type is %q", accept, kind)
		}
	}
}

// away is a key store that does not answer.
type away struct{ keys }

// keys has the methods that nobody calls here.
type keys interface{ auth.Keys }

func (away) KeyByID(ctx context.Context, _ string) (auth.Key, auth.Hash, error) {
	<-ctx.Done()
	return auth.Key{}, auth.Hash{}, ctx.Err()
}

func TestHealthAnswersThoughNobodyCanTellWhoAsks(t *testing.T) {
	o := newOffice(t)
	h := New(Deps{
		Ready: func(context.Context) error { return errors.New("away") }, Store: o.store, Keys: auth.NewVerifier(away{}, o.store),
		Health: func() Health { return sick() },
	})
	r := httptest.NewRequest(http.MethodGet, "/api/health", nil)
	r.Header.Set("Authorization", "Bearer "+o.keys[auth.Staff])
	w := httptest.NewRecorder()
	begun := time.Now()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "no answer") || !strings.Contains(w.Body.String(), `"database":{"status":"down"}`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if took := time.Since(begun); took > 10*identifyTimeout {
		t.Errorf("it took %s", took)
	}
}

// Who probes is not counted; who tries keys there is.
func TestKeysCannotBeTriedAtTheHealthUncounted(t *testing.T) {
	o := newOffice(t)
	asked := counting{}
	h := New(Deps{Ready: func(context.Context) error { return nil }, Store: o.store, Keys: auth.NewVerifier(o.store, o.store), Limiter: asked, Health: sick})
	ask := func(key string) int {
		r := httptest.NewRequest(http.MethodGet, "/api/health", nil)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	ask("")
	if len(asked) != 0 {
		t.Errorf("counted %v", asked)
	}
	if ask("dbk_live_guess") != http.StatusUnauthorized || asked[policyPublic] != 1 {
		t.Errorf("counted %v", asked)
	}
	if ask(o.keys[auth.Staff]) != http.StatusServiceUnavailable || asked[policyStaff] != 1 {
		t.Errorf("counted %v", asked)
	}
}
