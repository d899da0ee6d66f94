package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/books"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

// die kills n fresh jobs for the cause.
func (o *office) die(n int, cause string) (ids []job.ID) {
	o.t.Helper()
	specs := slices.Repeat([]job.Spec{{Kind: job.KindNoop, ValueCents: 14900, MaxAttempts: 1, Payload: []byte(`{"n":1}`)}}, n)
	made, err := o.store.Enqueue(o.t.Context(), specs...)
	if err != nil {
		o.t.Fatal(err)
	}
	o.fail(cause)
	for _, m := range made {
		ids = append(ids, m.ID)
	}
	return ids
}

// fail kills every due job that does nothing.
func (o *office) fail(cause string) {
	o.t.Helper()
	w := job.Worker{ID: job.NewID(), Host: "h", PID: 1, Version: "test", Kinds: []string{job.KindNoop}, Capacity: 1000}
	if err := o.store.Register(o.t.Context(), w, time.Hour); err != nil {
		o.t.Fatal(err)
	}
	jobs, err := o.store.Claim(o.t.Context(), job.ClaimRequest{Worker: w.ID, Limit: 1000, Kinds: w.Kinds})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, j := range jobs {
		if _, err := o.store.Fail(o.t.Context(), j.Lease(), job.Failure{Cause: cause, Class: job.ClassTransient}); err != nil {
			o.t.Fatal(err)
		}
	}
}

func TestDeadLettersAreListedPageByPageAndShown(t *testing.T) {
	o := newOffice(t)
	staff := o.keys[auth.Staff]
	o.die(5, "timeout after 30 s")
	other := o.die(1, "form gone")[0]
	group := job.GroupID(job.Signature(job.ClassTransient, "timeout after 31 s"))

	seen, path := map[job.ID]bool{}, "/api/dlq?limit=2"
	for range 4 {
		var p page[letterView]
		o.ask(staff, "GET", path, "").is(http.StatusOK).into(&p)
		for _, l := range p.Items {
			seen[l.ID] = true
		}
		if p.NextCursor == "" {
			break
		}
		path = "/api/dlq?limit=2&cursor=" + p.NextCursor
	}
	if len(seen) != 6 {
		t.Errorf("%d letters on all pages, want 6", len(seen))
	}
	var p page[letterView]
	o.ask(staff, "GET", "/api/dlq?signature="+group, "").is(http.StatusOK).into(&p)
	if len(p.Items) != 5 || p.Items[0].Group != group {
		t.Errorf("of the group: %+v", p.Items)
	}
	o.ask(staff, "GET", "/api/dlq?signature=0123456789", "").refused(http.StatusNotFound, codeNotFound)
	o.ask(staff, "GET", "/api/dlq?since=soon", "").refused(http.StatusBadRequest, codeInvalidRequest)
	o.ask(staff, "GET", "/api/dlq?until=2020-01-01T00:00:00Z", "").is(http.StatusOK).into(&p)
	if len(p.Items) != 0 {
		t.Errorf("of another time: %+v", p.Items)
	}

	var groups page[groupView]
	o.ask(staff, "GET", "/api/dlq/groups", "").is(http.StatusOK).into(&groups)
	if len(groups.Items) != 2 || groups.Items[0].Count != 5 || groups.Items[0].ValueCents != 5*14900 {
		t.Errorf("groups %+v", groups.Items)
	}
	var d depthView
	o.ask(staff, "GET", "/api/dlq/depth", "").is(http.StatusOK).into(&d)
	if d.Open != 6 || d.ValueCents != 6*14900 || !d.LookedAt.IsZero() || d.Blind != "" {
		t.Errorf("depth %+v", d)
	}
	var l letterView
	o.ask(staff, "GET", "/api/dlq/"+other.String(), "").is(http.StatusOK).into(&l)
	if l.JobID != other || l.Cause != "form gone" || !strings.Contains(l.Next, "dlq redrive "+other.String()) {
		t.Errorf("letter %+v", l)
	}
	o.ask(staff, "GET", "/api/dlq/"+job.NewID().String(), "").refused(http.StatusNotFound, codeNotFound)
}

// A queue that nobody can look into is never an empty one.
func TestTheDepthSaysThatNobodySees(t *testing.T) {
	o := newOffice(t)
	for _, p := range []job.MonitorPass{
		{Monitor: job.MonitorDLQ, Process: job.NewID(), Host: "h", PID: 1, Passes: 1},
		{Monitor: job.MonitorDLQLook, Process: job.NewID(), Host: "h", PID: 1, Passes: 1, Failed: 1, Error: "access denied"},
	} {
		if err := o.store.RecordPass(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	var d depthView
	o.ask(o.keys[auth.Staff], "GET", "/api/dlq/depth", "").is(http.StatusOK).into(&d)
	if d.LookedAt.IsZero() || d.Blind != "access denied" {
		t.Errorf("depth %+v", d)
	}
}

func TestDeadLettersAreRedrivenWithAReason(t *testing.T) {
	o := newOffice(t)
	staff := o.keys[auth.Staff]
	ids := o.die(4, "timeout")
	one := "/api/dlq/" + ids[0].String() + "/redrive"
	o.ask(staff, "POST", one, `{}`).refused(http.StatusBadRequest, codeInvalidRequest)
	var l letterView
	o.ask(staff, "POST", one, `{"reason":"site is back"}`).is(http.StatusOK).into(&l)
	if l.Fate != job.FateRedriven || l.By.Reason != "site is back" || !strings.HasPrefix(l.By.Actor, "key:") {
		t.Errorf("letter %+v", l)
	}
	if detail := o.ask(staff, "POST", one, `{"reason":"again"}`).refused(http.StatusConflict, codeInvalidStatus); !strings.Contains(detail, "redriven") {
		t.Errorf("detail %q does not name the fate", detail)
	}

	many := func(body string) (a redriveAnswer) {
		t.Helper()
		o.ask(staff, "POST", "/api/dlq/redrive", body).is(http.StatusOK).into(&a)
		return a
	}
	for _, body := range []string{
		`{"reason":"x"}`, `{"all":true}`, `{"all":true,"ids":["` + ids[1].String() + `"],"reason":"x"}`, `{"all":true,"reason":"x","limit":-1}`,
		`{"canaries":true,"reason":"x"}`,
	} {
		o.ask(staff, "POST", "/api/dlq/redrive", body).refused(http.StatusBadRequest, codeInvalidRequest)
	}
	if a := many(`{"all":true,"dry_run":true,"reason":"x"}`); a.Redriven != 3 || a.Groups[0].Count != 3 {
		t.Errorf("dry run %+v", a)
	}
	if a := many(`{"all":true,"limit":1,"reason":"a try"}`); a.Redriven != 1 || a.Left != 2 {
		t.Errorf("one of three: %+v", a)
	}
	a := many(fmt.Sprintf(`{"ids":["%s","%s","%s"],"reason":"x"}`, ids[0], ids[1], job.NewID()))
	if a.Redriven != 1 || len(a.Refused) != 2 || a.Refused[0].Code != codeInvalidStatus || a.Refused[1].Code != codeNotFound {
		t.Errorf("by id: %+v", a)
	}
	if a := many(`{"kind":"noop","reason":"x"}`); a.Redriven != 1 || a.Left != 0 {
		t.Errorf("the rest: %+v", a)
	}
	var j page[journalView]
	o.ask(staff, "GET", "/api/journal?limit=2", "").is(http.StatusOK).into(&j)
	if len(j.Items) != 2 || j.Items[0].Act != job.ActRedrive || j.NextCursor == "" {
		t.Errorf("journal %+v", j)
	}
}

// A job that fails again and again is held back, unless somebody insists.
func TestARedriveHoldsBackWhatFailsAgainAndAgain(t *testing.T) {
	o := newOffice(t)
	staff, id := o.keys[auth.Staff], o.die(1, "timeout")[0]
	for range testRedriveCap {
		if err := o.store.Redrive(t.Context(), id, job.By{Actor: "cli:ann"}); err != nil {
			t.Fatal(err)
		}
		o.fail("timeout")
	}
	path := "/api/dlq/" + id.String() + "/redrive"
	o.ask(staff, "POST", path, `{"reason":"x"}`).refused(http.StatusConflict, codeInvalidStatus)
	var a redriveAnswer
	o.ask(staff, "POST", "/api/dlq/redrive", `{"all":true,"reason":"x"}`).is(http.StatusOK).into(&a)
	if a.Redriven != 0 || a.Held != 1 || a.Left != 1 {
		t.Errorf("held back: %+v", a)
	}
	o.ask(staff, "POST", path, `{"reason":"x","force":true}`).is(http.StatusOK)
}

func TestAPurgeAnswersWhatItGaveUp(t *testing.T) {
	o := newOffice(t)
	admin := o.keys[auth.Admin]
	ids := o.die(3, "timeout")
	o.ask(o.keys[auth.Staff], "POST", "/api/dlq/purge", `{"all":true,"count":3,"reason":"x"}`).refused(http.StatusForbidden, codeForbidden)
	o.ask(admin, "POST", "/api/dlq/purge", `{"all":true,"count":3}`).refused(http.StatusBadRequest, codeInvalidRequest)
	if detail := o.ask(admin, "POST", "/api/dlq/purge", `{"all":true,"count":2,"reason":"x"}`).refused(http.StatusConflict, codeInvalidStatus); !strings.Contains(detail, "3 are selected") {
		t.Errorf("detail %q", detail)
	}
	var a purgeAnswer
	o.ask(admin, "POST", "/api/dlq/purge", `{"ids":["`+ids[0].String()+`"],"count":1,"reason":"refunded"}`).is(http.StatusOK).into(&a)
	if a.Purged != 1 || a.ValueCents != 14900 || a.Letters[0].JobID != ids[0] || string(a.Letters[0].Payload) != `{"n":1}` {
		t.Errorf("purged %+v", a)
	}
	o.ask(admin, "POST", "/api/dlq/purge", `{"ids":["`+ids[0].String()+`"],"count":1,"reason":"refunded"}`).refused(http.StatusConflict, codeInvalidStatus)
	o.ask(admin, "POST", "/api/dlq/purge", `{"all":true,"count":2,"reason":"x"}`).is(http.StatusOK)
	var p page[letterView]
	o.ask(admin, "GET", "/api/dlq?decided=true", "").is(http.StatusOK).into(&p)
	if len(p.Items) != 3 || p.Items[2].Fate != job.FatePurged || p.Items[2].By.Reason != "refunded" {
		t.Errorf("letters %+v", p.Items)
	}
	// Whoever changes his mind finds it again by its id.
	o.ask(admin, "POST", "/api/dlq/"+ids[0].String()+"/redrive", `{"reason":"paid again"}`).is(http.StatusOK)
}

// overtaken is a store in which somebody else decides on the letters of a job just
// before they are resolved.
type overtaken struct {
	*sqlite.Store
	job job.ID
}

func (o overtaken) ResolveLetters(ctx context.Context, ids []job.ID, fate job.Fate, by job.By) ([]job.ID, error) {
	l, err := o.Letter(ctx, o.job)
	if err == nil {
		_, err = o.Store.ResolveLetters(ctx, []job.ID{l.ID}, job.FatePurged, job.By{Actor: "cli:bob", Reason: "faster"})
	}
	if err != nil {
		return nil, err
	}
	return o.Store.ResolveLetters(ctx, ids, fate, by)
}

func TestAPurgeAnswersNothingThatSomebodyElseDecided(t *testing.T) {
	o := newOffice(t)
	ids := o.die(3, "timeout")
	web := httptest.NewServer(New(Deps{
		Ready: func(context.Context) error { return nil }, Log: slog.New(slog.DiscardHandler),
		Store: overtaken{o.store, ids[1]}, Keys: auth.NewVerifier(o.store, o.store),
	}))
	t.Cleanup(web.Close)
	o.url = web.URL
	var a purgeAnswer
	o.ask(o.keys[auth.Admin], "POST", "/api/dlq/purge", `{"all":true,"count":3,"reason":"x"}`).is(http.StatusOK).into(&a)
	if a.Purged != 2 || a.ValueCents != 2*14900 || len(a.Letters) != 2 || a.Letters[0].JobID == ids[1] || a.Letters[1].JobID == ids[1] {
		t.Errorf("purged %+v", a)
	}
}

func TestWhatAnErasedCustomerLeftIsNotRedriven(t *testing.T) {
	o := newOffice(t)
	made, err := o.store.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop, CustomerID: o.customer, MaxAttempts: 1, Payload: []byte(`{"n":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	o.fail("timeout")
	id := made[0].ID
	admin, why := o.keys[auth.Admin], `{"reason":"asked for it"}`
	o.ask(admin, "POST", "/api/customers/"+o.customer.String()+"/erase", why).is(http.StatusOK)
	for _, path := range []string{"/api/dlq/" + id.String() + "/redrive", "/api/jobs/" + id.String() + "/redrive"} {
		if detail := o.ask(admin, "POST", path, why).refused(http.StatusConflict, codeInvalidStatus); !strings.Contains(detail, "erased") {
			t.Errorf("%s: %s", path, detail)
		}
	}
	var a redriveAnswer
	o.ask(admin, "POST", "/api/dlq/redrive", `{"ids":["`+id.String()+`"],"reason":"x"}`).is(http.StatusOK).into(&a)
	if a.Redriven != 0 || len(a.Refused) != 1 || !strings.Contains(a.Refused[0].Detail, "erased") {
		t.Errorf("redriven %+v", a)
	}
}

func TestTheBooksAreShown(t *testing.T) {
	o := newOffice(t)
	o.die(2, "timeout")
	var b booksView
	o.ask(o.keys[auth.Staff], "GET", "/api/books", "").is(http.StatusOK).into(&b)
	if b.Balanced || !b.CheckedAt.IsZero() || b.Unchecked == "" {
		t.Errorf("books that nobody checked: %+v", b)
	}
	if _, err := books.New(books.Config{Store: o.store, Log: slog.New(slog.DiscardHandler)}).Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	b = booksView{}
	o.ask(o.keys[auth.Staff], "GET", "/api/books", "").is(http.StatusOK).into(&b)
	if !b.Balanced || b.Unchecked != "" || b.AtRisk.Failed.Count != 2 || b.AtRisk.Total().ValueCents != 2*14900 || b.At.IsZero() {
		t.Errorf("books %+v", b)
	}
}
