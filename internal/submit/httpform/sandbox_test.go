package httpform

import (
	"testing"

	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/submit"
)

func TestSandboxTable(t *testing.T) {
	var names []string
	for _, b := range sandbox.Behaviours {
		names = append(names, b.Name)
	}
	box, err := sandbox.Start(t.Context(), sandbox.Config{Count: len(names), Behaviours: names, Scale: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	m := newMethod(t)
	for _, d := range box.Catalog() {
		var i intent
		r, err := m.Submit(t.Context(), submit.Request{Directory: &d, Business: acme(t), Intend: i.intend})
		if err != nil {
			t.Error(err)
		}
		f := m.Lookup(t.Context(), &d, acme(t))
		t.Logf("%-28s %-12s %-9s %-18s ok=%t int=%d ra=%v %s | %s\n      ev=%+v lookup=%s %s %s", d.Slug, r.Outcome.State, r.Outcome.Class, r.Outcome.Need, r.HostOK, i.calls.Load(), r.RetryAfter, r.Outcome.Reason, r.Outcome.ListingURL, r.Outcome.Evidence, f.Presence, f.Reason, f.ListingURL)
	}
}
