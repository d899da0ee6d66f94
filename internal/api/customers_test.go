package api

import (
	"net/http"
	"testing"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
)

func TestAnAdminErasesACustomer(t *testing.T) {
	o := newOffice(t)
	admin, path := o.keys[auth.Admin], "/api/customers/"+o.customer.String()
	o.ask(o.keys[auth.Customer], "POST", "/api/orders", order(1)).is(http.StatusCreated)
	var c customerView
	o.ask(o.keys[auth.Staff], "GET", path, "").is(http.StatusOK).into(&c)
	if c.Email != "ann@example.com" {
		t.Errorf("customer %+v", c)
	}
	o.ask(admin, "POST", path+"/erase", `{}`).refused(http.StatusBadRequest, codeInvalidRequest)
	o.ask(admin, "POST", path+"/erase", `{"reason":"asked for it"}`).refused(http.StatusConflict, codeInvalidStatus)

	jobs, err := o.store.Jobs(t.Context(), job.Filter{Customer: o.customer})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	o.ask(admin, "POST", "/api/jobs/"+jobs[0].ID.String()+"/cancel", `{"reason":"asked for it"}`).is(http.StatusOK)
	var done erasureView
	o.ask(admin, "POST", path+"/erase", `{"reason":"asked for it"}`).is(http.StatusOK).into(&done)
	if done.Jobs != 1 || done.Keys != 1 {
		t.Errorf("erased %+v", done)
	}
	o.ask(admin, "GET", path, "").refused(http.StatusNotFound, codeCustomerNotFound)
	o.ask(admin, "POST", "/api/customers/"+job.NewID().String()+"/erase", `{"reason":"x"}`).refused(http.StatusNotFound, codeCustomerNotFound)
	var j page[journalView]
	o.ask(admin, "GET", "/api/journal?limit=1", "").is(http.StatusOK).into(&j)
	if j.Items[0].Act != job.ActEraseCustomer || j.Items[0].By.Reason != "asked for it" {
		t.Errorf("journal %+v", j.Items)
	}
}
