package sandbox

import (
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// duplicates lists a business once.
type duplicates struct{ plain }

func (c *duplicates) file(w http.ResponseWriter, r *http.Request) {
	f := c.receive(w, r, c.page)
	if f == nil {
		return
	}
	l, known := c.acceptOnce(f)
	if known != nil {
		c.outcome(f.post, "refused: already listed")
		c.notice(w, http.StatusOK, "Not accepted", "This business is already listed at "+known.receipt.Listing+".")
		return
	}
	c.thank(w, l)
}

func (c *duplicates) describe(d *directory.Directory) {
	d.Rejected = []directory.Rule{{Selector: "#notice", Text: "this business is already listed", Reason: "duplicate"}}
}

// rejects reads an entry and says no.
type rejects struct{ plain }

func (c *rejects) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.outcome(f.post, "refused: not a lighthouse")
		c.notice(w, http.StatusOK, "Not accepted", "We list lighthouses only.")
	}
}

func (c *rejects) describe(d *directory.Directory) {
	d.Rejected = []directory.Rule{{Selector: "#notice", Text: "we list lighthouses only", Reason: "category"}}
}

// validationError is never content with the phone number.
type validationError struct{ plain }

func (c *validationError) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.invalid(w, f.post, []fault{{Name: "phone", Text: "Phone: we accept numbers of Atlantis only"}})
	}
}

// formGone has no form any more.
type formGone struct{ plain }

func (c *formGone) form(w http.ResponseWriter, _ *http.Request) {
	c.notice(w, http.StatusNotFound, "Not found", "This page does not exist any more.")
}

func (c *formGone) file(w http.ResponseWriter, r *http.Request) { c.wrongPlace(w, r) }

// robotsForbid asks robots to stay away from its form, which works.
type robotsForbid struct{ plain }

func (c *robotsForbid) at(s *site) {
	c.site = s
	s.disallow = "/add"
}

// moderated shows a listing when a moderator has looked at it.
type moderated struct{ plain }

func (c *moderated) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.acceptShown(f, c.scaled(3*time.Second))
		c.ask(w, http.StatusOK, request{ID: "queue", Title: "We have your entry", Text: f.values["name"] + " waits for a review by our editors."})
	}
}

func (c *moderated) describe(d *directory.Directory) {
	d.Success = []directory.Rule{{Selector: "#queue", Text: "{name} waits for a review"}}
	d.Listing = nil
	d.Lookup.AbsenceIsProof = false
}

// moderatedCut takes an entry in for a long moderation, and cuts.
type moderatedCut struct{ moderated }

func (c *moderatedCut) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.acceptShown(f, c.scaled(30*time.Second))
		cut(w)
	}
}
