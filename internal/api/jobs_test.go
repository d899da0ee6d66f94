package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
)

func (o *office) noop() job.ID {
	o.t.Helper()
	made, err := o.store.Enqueue(o.t.Context(), job.Spec{Kind: job.KindNoop})
	if err != nil {
		o.t.Fatal(err)
	}
	return made[0].ID
}

func TestStaffActsOnJobsAndSaysWhy(t *testing.T) {
	o := newOffice(t)
	staff, id := o.keys[auth.Staff], o.noop()
	path := "/api/jobs/" + id.String()
	o.ask(staff, "POST", path+"/cancel", `{"reason":" "}`).refused(http.StatusBadRequest, codeInvalidRequest)
	var j jobView
	o.ask(staff, "POST", path+"/cancel", `{"reason":"asked by phone"}`).is(http.StatusOK).into(&j)
	if j.State != job.Cancelled || j.Cause != "asked by phone" {
		t.Errorf("job is %s because %q", j.State, j.Cause)
	}
	if detail := o.ask(staff, "POST", path+"/redrive", `{"reason":"x"}`).refused(http.StatusConflict, codeInvalidStatus); !strings.Contains(detail, "cancelled") {
		t.Errorf("detail %q does not name the state", detail)
	}
	var story page[eventView]
	o.ask(staff, "GET", path+"/history", "").is(http.StatusOK).into(&story)
	last := story.Items[len(story.Items)-1]
	if last.Type != job.EventJobCancelled || !strings.HasPrefix(last.Actor, "key:") {
		t.Errorf("the last event is %s by %s", last.Type, last.Actor)
	}
	o.ask(staff, "GET", "/api/jobs/"+job.NewID().String(), "").refused(http.StatusNotFound, codeJobNotFound)
	o.ask(staff, "GET", "/api/jobs/17", "").refused(http.StatusNotFound, codeJobNotFound)
}

func TestABadIDOrTimeInABodyIsNamed(t *testing.T) {
	o := newOffice(t)
	for _, c := range []struct {
		role             auth.Role
		path, body, want string
	}{
		{auth.Staff, "jobs", `{"kind":"resize","payload":{"id":"zzz"},"customer_id":"zzz"}`, `the value of "customer_id" is not an id`},
		{auth.Admin, "dlq/purge", `{"kind":"noop","customer":"00000000-0000-0000-0000-000000000000","reason":"x"}`, `the value of "customer" is not an id`},
		{auth.Staff, "dlq/redrive", `{"kind":"noop","until":"0001-01-01T00:00:00Z","reason":"x"}`, `the value of "until" is not a time such as 2026-11-26T06:00:00Z`},
		{auth.Staff, "jobs/pause", `{"scope":{"customer":"zzz"},"reason":"x"}`, `the value of "scope.customer" is not an id`},
		{auth.Staff, "orders", `{"package":"starter","customer":"zzz","profile":{}}`, `the value of "customer" is not an id`},
		{auth.Admin, "keys", `{"name":"x","role":"staff","expires_at":"tomorrow"}`, `the value of "expires_at" is not a time such as 2026-11-26T06:00:00Z`},
		{auth.Worker, "worker/claim", `{"worker_id":"zzz"}`, `the value of "worker_id" is not an id`},
		{auth.Worker, "worker/complete", `{"worker_id":"` + o.customer.String() + `","job_id":"01932f6c-0000-7000-8000-00000000000"}`, `the value of "job_id" is not an id`},
		{auth.Worker, "worker/heartbeat", `{"worker_id":"` + o.customer.String() + `","held":[{"job_id":"` + o.customer.String() + `"},{"job_id":"zzz"}]}`, `the value of "held[1].job_id" is not an id`},
		{auth.Worker, "worker/claim", `{"worker_id":"` + o.customer.String() + `","more":"zzz"}`, `unknown field "more"`},
	} {
		if detail := o.ask(o.keys[c.role], "POST", "/api/"+c.path, c.body).refused(http.StatusBadRequest, codeInvalidRequest); detail != "the body is not what is wanted: "+c.want {
			t.Errorf("%s %s: detail %q, want it to say %q", c.path, c.body, detail, c.want)
		}
	}
}

func TestNobodysIDIsNoFilter(t *testing.T) {
	o := newOffice(t)
	o.noop()
	for _, path := range []string{"jobs", "orders", "dlq"} {
		o.ask(o.keys[auth.Staff], "GET", "/api/"+path+"?customer="+job.ID{}.String(), "").refused(http.StatusBadRequest, codeInvalidRequest)
	}
}

func TestStaffPausesAndResumes(t *testing.T) {
	o := newOffice(t)
	staff := o.keys[auth.Staff]
	o.ask(staff, "POST", "/api/jobs/pause", `{"scope":{"kind":"order"},"reason":"the catalog is being mended"}`).is(http.StatusOK)
	var list page[pauseView]
	o.ask(staff, "GET", "/api/pauses", "").is(http.StatusOK).into(&list)
	if len(list.Items) != 1 || list.Items[0].Scope.Kind != "order" || list.Items[0].By.Reason != "the catalog is being mended" {
		t.Errorf("pauses %+v", list.Items)
	}
	o.ask(staff, "POST", "/api/jobs/pause", `{"scope":{},"reason":"x"}`).refused(http.StatusBadRequest, codeInvalidRequest)
	o.ask(staff, "POST", "/api/jobs/resume", `{"scope":{"kind":"order"},"reason":"mended"}`).is(http.StatusNoContent)
	o.ask(staff, "POST", "/api/jobs/resume", `{"scope":{"kind":"order"},"reason":"mended"}`).refused(http.StatusNotFound, codeNotFound)
}

func TestListsOfStaffAnswerEmptyLists(t *testing.T) {
	o := newOffice(t)
	for _, path := range []string{"/api/jobs", "/api/pauses", "/api/stale", "/api/workers", "/api/orders", "/api/dlq", "/api/dlq/groups"} {
		if got := o.ask(o.keys[auth.Staff], "GET", path, "").is(http.StatusOK); !strings.HasPrefix(string(got.body), `{"items":[]`) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

func TestDirectoriesAreListedByAuthorityWithoutOurWays(t *testing.T) {
	o := newOffice(t)
	got := o.ask(o.keys[auth.Customer], "GET", "/api/directories", "").is(http.StatusOK)
	var list page[directoryView]
	got.into(&list)
	if len(list.Items) == 0 || strings.Contains(string(got.body), "selector") {
		t.Fatalf("%s", got.body)
	}
	for i := 1; i < len(list.Items); i++ {
		if list.Items[i].Authority > list.Items[i-1].Authority {
			t.Errorf("%s stands behind %s", list.Items[i].Slug, list.Items[i-1].Slug)
		}
	}
	o.ask(o.keys[auth.Customer], "GET", "/api/directories/"+list.Items[0].Slug, "").is(http.StatusOK)
	o.ask(o.keys[auth.Customer], "GET", "/api/directories/nowhere", "").refused(http.StatusNotFound, codeNotFound)
}
