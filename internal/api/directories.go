package api

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// directoryView is a directory as customers may know it: what it is and what it
// wants, not how we submit to it.
type directoryView struct {
	Slug          string           `json:"slug"`
	Name          string           `json:"name"`
	URL           string           `json:"url"`
	Category      string           `json:"category"`
	Tier          int              `json:"tier"`
	Authority     int              `json:"authority"`
	Country       []string         `json:"country,omitempty"` // none: all
	Method        directory.Method `json:"method"`
	Active        bool             `json:"active"`
	RequiresLogin bool             `json:"requires_login,omitempty"`
	HasCaptcha    bool             `json:"has_captcha,omitempty"`
	Paid          bool             `json:"paid,omitempty"`
	Checked       string           `json:"checked,omitempty"` // day on which a person last looked
}

func directoryOf(d *directory.Directory) directoryView {
	return directoryView{
		Slug: d.Slug, Name: d.Name, URL: d.URL, Category: d.Category, Tier: d.Tier, Authority: d.Authority, Country: d.Country,
		Method: d.Method, Active: d.IsActive(), RequiresLogin: d.RequiresLogin, HasCaptcha: d.HasCaptcha, Paid: d.Paid, Checked: d.Checked,
	}
}

// directoriesQuery is what the catalog may be asked with.
type directoriesQuery struct {
	Active bool `query:"active"` // true: only those that get submissions now
}

// listDirectories answers the whole catalog: it has some hundreds of entries.
func (s *server) listDirectories(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "active")
	if err := q.err(); err != nil {
		return err
	}
	all := page[directoryView]{Items: []directoryView{}}
	for _, d := range s.Catalog.All() {
		if q.text("active") != "true" || d.IsActive() {
			all.Items = append(all.Items, directoryOf(d))
		}
	}
	slices.SortFunc(all.Items, func(a, b directoryView) int {
		return cmp.Or(cmp.Compare(b.Authority, a.Authority), cmp.Compare(a.Slug, b.Slug))
	})
	return answerJSON(w, http.StatusOK, all)
}

func (s *server) getDirectory(w http.ResponseWriter, r *http.Request) error {
	d, ok := s.Catalog.BySlug(r.PathValue("slug"))
	if !ok {
		return refuse(http.StatusNotFound, codeNotFound, "there is no directory %q in the catalog", r.PathValue("slug"))
	}
	return answerJSON(w, http.StatusOK, directoryOf(d))
}
