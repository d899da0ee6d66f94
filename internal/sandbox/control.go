package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// controlRoutes is the page about the sandbox itself.
func (b *Sandbox) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.overview)
	mux.HandleFunc("GET /witness", b.serveWitness)
	mux.HandleFunc("GET /catalog.yaml", b.serveCatalog)
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		b.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/elsewhere/{slug}", b.elsewhere)
	return mux
}

func (b *Sandbox) serveWitness(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	if err := out.Encode(b.Witness()); err != nil {
		b.cfg.Log.Debug("witness not delivered", "error", err)
	}
}

func (b *Sandbox) serveCatalog(w http.ResponseWriter, _ *http.Request) {
	out, err := b.CatalogYAML()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(out)
}

// elsewhere is the other host of directories that send posts away: it lists what
// is sent again, so that the witness shows it.
func (b *Sandbox) elsewhere(w http.ResponseWriter, r *http.Request) {
	for _, s := range b.sites {
		if c, ok := s.conduct.(*movedAway); ok && s.slug == r.PathValue("slug") {
			c.again(w, r)
			return
		}
	}
	http.NotFound(w, r)
}

// overviewRow is one directory on the overview page.
type overviewRow struct {
	URL, Name, Behaviour, What string
	Posts, Accepted, Held      int
}

func (b *Sandbox) overview(w http.ResponseWriter, _ *http.Request) {
	witness := b.Witness()
	page := struct {
		Rows                  []overviewRow
		Posts, Accepted, Held int
		Doubles               []Double
	}{Doubles: witness.Doubles()}
	for i, d := range witness.Directories {
		row := overviewRow{d.URL, d.Name, d.Behaviour, b.sites[i].behaviour.What, len(d.Posts), len(d.Accepted), len(d.Held)}
		page.Rows = append(page.Rows, row)
		page.Posts += row.Posts
		page.Accepted += row.Accepted
		page.Held += row.Held
	}
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, "overview.html", page); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(out.Bytes())
}
