package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// found302 answers with a redirect to a thank-you page.
type found302 struct{ plain }

func (c *found302) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		l := c.accept(f)
		http.Redirect(w, r, "/thanks?entry="+strings.TrimPrefix(l.receipt.Listing, "/listing/"), http.StatusFound)
	}
}

func (c *found302) describe(d *directory.Directory) {
	d.Success = []directory.Rule{{URL: "/thanks?entry=", Selector: "#receipt", Status: http.StatusOK}}
}

func (c *found302) routes(mux *http.ServeMux) { mux.HandleFunc("GET /thanks", c.thanks) }

// thanks shows the receipt of a listing.
func (c *plain) thanks(w http.ResponseWriter, r *http.Request) {
	path := "/listing/" + r.FormValue("entry")
	found := c.register.shown(func(l *listing) bool { return l.receipt.Listing == path })
	if len(found) == 0 {
		c.notice(w, http.StatusNotFound, "Not here", "There is no such listing.")
		return
	}
	c.thank(w, found[0])
}

// seeOther303 answers with a redirect to the listing: the final URL is the proof.
type seeOther303 struct{ plain }

func (c *seeOther303) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		http.Redirect(w, r, c.accept(f).receipt.Listing, http.StatusSeeOther)
	}
}

func (c *seeOther303) describe(d *directory.Directory) {
	d.Success = []directory.Rule{{URL: "/listing/", Selector: "#business", Text: "{name}"}}
	d.Listing = &directory.Extract{Final: true}
}

// jsonReply answers as scripts like it.
type jsonReply struct{ plain }

func (c *jsonReply) file(w http.ResponseWriter, r *http.Request) {
	f := c.receive(w, r, c.page)
	if f == nil {
		return
	}
	l := c.accept(f)
	w.Header().Set("Content-Type", "application/json")
	reply := map[string]any{"status": "accepted", "data": map[string]any{"listing": l.receipt.Listing, "name": l.receipt.Name}}
	if err := json.NewEncoder(w).Encode(reply); err != nil {
		c.box.cfg.Log.Debug("answer not delivered", "directory", c.slug, "error", err)
	}
}

func (c *jsonReply) describe(d *directory.Directory) {
	d.Success = []directory.Rule{{JSON: "status", Equals: "accepted"}}
	d.Listing = &directory.Extract{JSON: "data.listing"}
}

// created201 answers with a status and a header, and no text.
type created201 struct{ plain }

func (c *created201) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		w.Header().Set("Location", c.accept(f).receipt.Listing)
		w.WriteHeader(http.StatusCreated)
	}
}

func (c *created201) describe(d *directory.Directory) {
	d.Success = []directory.Rule{{Status: http.StatusCreated}}
	d.Listing = &directory.Extract{Header: "Location"}
}

// metaRefresh leads to its receipt in a way that only browsers follow.
type metaRefresh struct{ plain }

func (c *metaRefresh) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		l := c.accept(f)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>One moment</title><meta http-equiv=\"refresh\" content=\"0; url=/thanks?entry=%s\"><p>One moment.</p>",
			strings.TrimPrefix(l.receipt.Listing, "/listing/"))
	}
}

func (c *metaRefresh) routes(mux *http.ServeMux) { mux.HandleFunc("GET /thanks", c.thanks) }

// redirectLoop lists and then sends the client in circles.
type redirectLoop struct{ plain }

func (c *redirectLoop) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.accept(f)
		http.Redirect(w, r, "/round", http.StatusSeeOther)
	}
}

func (c *redirectLoop) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /round", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/and-round", http.StatusFound)
	})
	mux.HandleFunc("GET /and-round", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/round", http.StatusFound)
	})
}

// moved307 asks for the post to be sent again to another path. Whoever does so
// is listed there.
type moved307 struct{ plain }

func (c *moved307) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.outcome(f.post, "refused: 307 to another path")
		http.Redirect(w, r, "/v2/add", http.StatusTemporaryRedirect)
	}
}

func (c *moved307) describe(d *directory.Directory) { d.Lookup = nil }

func (c *moved307) routes(mux *http.ServeMux) { mux.HandleFunc("POST /v2/add", c.list) }

// movedAway asks for the post to be sent again to another host, which is the
// control listener; see [Sandbox.elsewhere].
type movedAway struct{ plain }

func (c *movedAway) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.outcome(f.post, "refused: 307 to another host")
		http.Redirect(w, r, c.box.URL()+"/elsewhere/"+c.slug, http.StatusTemporaryRedirect)
	}
}

func (c *movedAway) describe(d *directory.Directory) { d.Lookup = nil }

// again lists what was sent to the other host.
func (c *movedAway) again(w http.ResponseWriter, r *http.Request) { c.list(w, r) }

const thanksInFooter = "Thank you for submitting your business to our directory!"

// wordsBefore thanks in the footer of every page, before anything was sent. Its
// receipt is known by more than that.
type wordsBefore struct{ plain }

func (c *wordsBefore) sheet() sheet {
	f := standardSheet()
	f.Footer = thanksInFooter
	return f
}

func (c *wordsBefore) describe(d *directory.Directory) {
	d.Success = append([]directory.Rule{{Text: thanksInFooter}}, d.Success...)
}

// wordsBeforeFails is the same with a post that always fails, under the same
// footer; its catalog entry believes the words.
type wordsBeforeFails struct{ wordsBefore }

func (c *wordsBeforeFails) describe(d *directory.Directory) {
	d.Success = []directory.Rule{{Text: thanksInFooter}}
	d.Listing, d.Lookup = nil, nil
}

func (c *wordsBeforeFails) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.outcome(f.post, "lost: the page says nothing of it")
		c.notice(w, http.StatusOK, "Something went wrong", "Our database is on holiday.")
	}
}

// hugePage puts ten megabytes after its form.
type hugePage struct{ plain }

func (c *hugePage) form(w http.ResponseWriter, _ *http.Request) {
	c.showForm(w, c.page)
	filler := []byte("<p>" + strings.Repeat("Lorem ipsum dolor sit amet. ", 1000) + "</p>\n")
	for sent := 0; sent < 10<<20; sent += len(filler) {
		if _, err := w.Write(filler); err != nil {
			return
		}
	}
}

func (c *hugePage) describe(d *directory.Directory) {
	d.Pacing.Timeout = directory.Duration(max(15*time.Second, c.scaled(15*time.Second)))
}

// endlessPage never gets to its form.
type endlessPage struct{ plain }

func (c *endlessPage) form(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	filler := []byte("<p>" + strings.Repeat("The form is coming soon. ", 2600) + "</p>\n")
	for {
		c.wait(time.Millisecond)
		if _, err := w.Write(filler); err != nil {
			return
		}
	}
}
