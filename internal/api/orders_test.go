package api

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

func TestACustomerPlacesAndFollowsItsOrder(t *testing.T) {
	o := newOffice(t)
	mine := o.keys[auth.Customer]
	made := o.ask(mine, "POST", "/api/orders", order(1)).is(http.StatusCreated)
	var v orderView
	made.into(&v)
	if v.State != job.Pending || v.Quota != 50 || v.ValueCents != 149_00 || v.CustomerID != o.customer || made.header.Get("Location") != "/api/orders/"+v.ID.String() {
		t.Errorf("made %s at %s", made.body, made.header.Get("Location"))
	}
	o.ask(mine, "POST", "/api/orders", order(1)).is(http.StatusOK) // the same order twice is one
	var got orderView
	o.ask(mine, "GET", "/api/orders/"+v.ID.String(), "").is(http.StatusOK).into(&got)
	if got.ID != v.ID {
		t.Errorf("got %+v", got)
	}
	o.ask(mine, "GET", "/api/orders/"+v.ID.String()+"/results", "").is(http.StatusOK)
}

// What a list says of an order is what the order says of itself.
func TestAListTellsHowFarEachOrderIs(t *testing.T) {
	o := newOffice(t)
	first, second := o.placed(o.customer, 1), o.placed(o.customer, 2)
	j := o.take(o.pool())
	plan := directory.Plan{Identity: "who", Choices: []directory.Choice{{Directory: "alpha", Rank: 1}, {Directory: "beta", Rank: 2}, {Directory: "gamma", Rank: 3}}, Shortfall: 47}
	subs, err := o.store.Plan(t.Context(), j.Lease(), plan)
	o.must(err)
	for _, sub := range subs[:2] {
		o.must(o.store.Settle(t.Context(), j.Lease(), sub.ID, directory.Outcome{State: directory.Skipped, Reason: "paid"}))
	}
	for _, key := range []string{o.keys[auth.Customer], o.keys[auth.Staff]} {
		var list page[orderView]
		o.ask(key, "GET", "/api/orders", "").is(http.StatusOK).into(&list)
		done := map[job.ID]int{}
		for _, v := range list.Items {
			var one orderView
			o.ask(key, "GET", "/api/orders/"+v.ID.String(), "").is(http.StatusOK).into(&one)
			if done[v.ID] = v.Done; v.Done != one.Done || v.Shortfall != one.Shortfall {
				t.Errorf("listed with %d done and a shortfall of %d, the order itself says %d and %d", v.Done, v.Shortfall, one.Done, one.Shortfall)
			}
		}
		if len(list.Items) != 2 || done[first]+done[second] != 2 || done[j.ID] != 2 {
			t.Errorf("done %v, want 2 of %s alone", done, j.ID)
		}
	}
}

func TestCustomersSeeNoOrdersOfOthers(t *testing.T) {
	o := newOffice(t)
	theirs := o.mint(auth.Customer, o.other)
	var v orderView
	o.ask(theirs, "POST", "/api/orders", order(1)).is(http.StatusCreated).into(&v)
	mine := o.keys[auth.Customer]
	o.ask(mine, "GET", "/api/orders/"+v.ID.String(), "").refused(http.StatusNotFound, codeJobNotFound)
	o.ask(mine, "GET", "/api/orders/"+v.ID.String()+"/results", "").refused(http.StatusNotFound, codeJobNotFound)
	var list page[orderView]
	o.ask(mine, "GET", "/api/orders?customer="+o.other.String(), "").is(http.StatusOK).into(&list)
	if len(list.Items) != 0 {
		t.Errorf("sees %+v", list.Items)
	}
	body := strings.Replace(order(2), `{"package"`, fmt.Sprintf(`{"customer":%q,"package"`, o.other), 1)
	o.ask(mine, "POST", "/api/orders", body).refused(http.StatusForbidden, codeForbidden)
	o.ask(o.keys[auth.Staff], "POST", "/api/orders", body).is(http.StatusCreated)
	body = strings.Replace(order(3), `{"package"`, fmt.Sprintf(`{"customer":%q,"package"`, job.NewID()), 1)
	o.ask(o.keys[auth.Staff], "POST", "/api/orders", body).refused(http.StatusNotFound, codeCustomerNotFound)
}

func TestAnOrderIsOfSomebodyWithAnEmailAddress(t *testing.T) {
	o := newOffice(t)
	by := func(n int, email string) string {
		return strings.Replace(order(n), `{"package"`, fmt.Sprintf(`{"email":%q,"package"`, email), 1)
	}
	for _, email := range []string{"not a mail\n", "notmail", strings.Repeat("a", 400) + "@example.com", o.customer.String()} {
		if detail := o.ask(o.keys[auth.Staff], "POST", "/api/orders", by(1, email)).refused(http.StatusBadRequest, codeInvalidRequest); !strings.HasPrefix(detail, "email ") {
			t.Errorf("email %q: detail %q", email, detail)
		}
	}
	var v orderView
	o.ask(o.keys[auth.Staff], "POST", "/api/orders", by(1, "Ann@example.com")).is(http.StatusCreated).into(&v)
	if v.CustomerID != o.customer {
		t.Errorf("the order is of %s, want %s", v.CustomerID, o.customer)
	}
}

func TestBadOrdersAreNamedFaultByFault(t *testing.T) {
	o := newOffice(t)
	mine := o.keys[auth.Customer]
	for _, c := range []struct {
		name, body   string
		status       int
		code, detail string
	}{
		{"empty", " ", 400, codeInvalidRequest, "empty"},
		{"cut", `{"package":`, 400, codeInvalidRequest, "ends in the middle"},
		{"two values", `{} {}`, 400, codeInvalidRequest, "goes on"},
		{"unknown key", `{"pakage":"starter"}`, 400, codeInvalidRequest, "pakage"},
		{"wrong kind", `{"package":7}`, 400, codeInvalidRequest, "package"},
		{"unknown package", `{"package":"gigantic","profile":{}}`, 400, codeUnknownPackage, "starter"},
		{"no profile", `{"package":"starter"}`, 400, codeInvalidProfile, "profile"},
		{"bad profile", `{"package":"starter","profile":{"name":"X","e-mail":"x"}}`, 400, codeInvalidProfile, "errors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := o.ask(mine, "POST", "/api/orders", c.body)
			got.t = t
			if detail := got.refused(c.status, c.code); !strings.Contains(detail, c.detail) {
				t.Errorf("detail %q, want it to name %q", detail, c.detail)
			}
		})
	}
	guide, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	refusal, _, _ := strings.Cut(string(o.ask(mine, "POST", "/api/orders", `{"package":"gigantic","profile":{}}`).body), `,"instance"`)
	if !strings.Contains(string(guide), refusal) {
		t.Errorf("docs/api.md does not show %s", refusal)
	}
	o.ask(mine, "POST", "/api/orders", order(1), "Content-Type", "text/plain").refused(http.StatusUnsupportedMediaType, codeUnsupportedMedia)
	o.ask(mine, "POST", "/api/orders", `{"package":"`+strings.Repeat("x", maxBody)+`"}`).refused(http.StatusRequestEntityTooLarge, codeBodyTooLarge)
}

func TestAnIdempotencyKeyMakesOneOrderOfMany(t *testing.T) {
	o := newOffice(t)
	mine := o.keys[auth.Customer]
	first := o.ask(mine, "POST", "/api/orders", order(1), idempotencyHeader, "k1").is(http.StatusCreated)
	again := o.ask(mine, "POST", "/api/orders", order(1), idempotencyHeader, "k1").is(http.StatusCreated)
	if string(again.body) != string(first.body) || again.header.Get("Location") != first.header.Get("Location") || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("answered %s %v, the first time %s", again.body, again.header, first.body)
	}
	o.ask(mine, "POST", "/api/orders", order(2), idempotencyHeader, "k1").refused(http.StatusUnprocessableEntity, codeIdempotencyMismatch)
	o.ask(mine, "POST", "/api/orders", order(2), idempotencyHeader, strings.Repeat("k", 300)).refused(http.StatusBadRequest, codeInvalidRequest)

	o.ask(mine, "POST", "/api/orders", `{"package":"none"}`, idempotencyHeader, "k2").refused(http.StatusBadRequest, codeUnknownPackage)
	o.ask(mine, "POST", "/api/orders", order(3), idempotencyHeader, "k2").is(http.StatusCreated) // a refusal does not use the key up
}

func TestOfManyRequestsAtOnceUnderOneKeyOnePlacesTheOrder(t *testing.T) {
	o := newOffice(t)
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			got := o.ask(o.keys[auth.Customer], "POST", "/api/orders", order(1), idempotencyHeader, "k")
			if got.status != http.StatusCreated && got.status != http.StatusConflict {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	all.Wait()
	var list page[orderView]
	o.ask(o.keys[auth.Customer], "GET", "/api/orders", "").into(&list)
	if len(list.Items) != 1 {
		t.Errorf("%d orders, want 1", len(list.Items))
	}
}

func TestPagesLoseAndRepeatNothingWhileRowsCome(t *testing.T) {
	o := newOffice(t)
	staff := o.keys[auth.Staff]
	specs := make([]job.Spec, 1200)
	for i := range specs {
		specs[i] = job.Spec{Kind: job.KindNoop}
	}
	before, err := o.store.Enqueue(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[job.ID]int{}
	for next := ""; ; {
		var p page[jobView]
		o.ask(staff, "GET", "/api/jobs?limit=100&cursor="+next, "").is(http.StatusOK).into(&p)
		for _, j := range p.Items {
			seen[j.ID]++
		}
		if _, err := o.store.Enqueue(t.Context(), specs[:10]...); err != nil {
			t.Fatal(err)
		}
		if next = p.NextCursor; next == "" {
			break
		}
	}
	for _, j := range before {
		if seen[j.ID] != 1 {
			t.Errorf("%s was listed %d times", j.ID, seen[j.ID])
		}
	}
}
