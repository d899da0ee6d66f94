package sandbox

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"unicode"
)

//go:embed pages/*.html
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// view is what a page is made of.
type view struct {
	Site    string // name of the directory
	Title   string
	Charset string
	Base    string
	Footer  string
	Body    any
}

// render answers with a page, in the directory's charset.
func (s *site) render(w http.ResponseWriter, status int, page, title string, body any) {
	v := view{Site: s.name, Title: title, Charset: s.charsetName(), Footer: s.page.Footer, Body: body}
	if form, ok := body.(sheet); ok {
		v.Base = form.Base
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, page+".html", v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	out := b.Bytes()
	if s.charset != nil {
		out = s.charset.encode(b.String())
	}
	w.Header().Set("Content-Type", "text/html; charset="+s.charsetName())
	w.WriteHeader(status)
	w.Write(out)
}

func (s *site) charsetName() string {
	if s.charset == nil {
		return "utf-8"
	}
	return s.charset.name
}

// showForm answers with a form.
func (s *site) showForm(w http.ResponseWriter, form sheet) {
	s.render(w, http.StatusOK, "form", form.Title, form)
}

// notice answers with one sentence.
func (s *site) notice(w http.ResponseWriter, status int, title, text string) {
	s.render(w, status, "notice", title, text)
}

// shownListing is a listing as pages show it.
type shownListing struct {
	Path        string
	Name        string
	Website     string
	Phone       string
	Email       string
	Address     string
	Description string
}

func present(l *listing) shownListing {
	v := l.values
	return shownListing{
		Path: l.receipt.Listing, Name: v["name"], Website: v["website"], Phone: v["phone"], Email: v["email"],
		Address:     strings.Join(nonEmpty(v["street"], v["postal_code"], v["city"], v["region"], v["country"]), ", "),
		Description: v["description"],
	}
}

func nonEmpty(texts ...string) (out []string) {
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

// thank answers a post with the receipt: the evidence of a listing.
func (s *site) thank(w http.ResponseWriter, l *listing) {
	s.render(w, http.StatusOK, "receipt", "Your listing", present(l))
}

func (s *site) home(w http.ResponseWriter, _ *http.Request) {
	var out []shownListing
	for _, l := range s.register.shown(func(*listing) bool { return true }) {
		out = append(out, present(l))
	}
	s.render(w, http.StatusOK, "home", s.name, out)
}

func (s *site) showListing(w http.ResponseWriter, r *http.Request) {
	found := s.register.shown(func(l *listing) bool { return l.receipt.Listing == r.URL.Path })
	if len(found) == 0 {
		s.notice(w, http.StatusNotFound, "Not here", "There is no such listing.")
		return
	}
	s.render(w, http.StatusOK, "listing", found[0].values["name"], present(found[0]))
}

// search finds by website host (and phone, if asked for), or by words of the
// name. Asked for nothing it says nothing.
func (s *site) search(w http.ResponseWriter, r *http.Request) {
	s.register.sawLookup()
	host, phone := comparableHost(r.FormValue("website")), digits(r.FormValue("phone"))
	words := strings.ToLower(strings.TrimSpace(r.FormValue("q")))
	if host == "" && words == "" {
		s.notice(w, http.StatusBadRequest, "Search", "Please say what you look for.")
		return
	}
	var out []shownListing
	for _, l := range s.register.shown(func(l *listing) bool {
		if words != "" && !strings.Contains(strings.ToLower(l.values["name"]), words) {
			return false
		}
		if host != "" && comparableHost(l.values["website"]) != host {
			return false
		}
		return phone == "" || digits(l.values["phone"]) == phone
	}) {
		out = append(out, present(l))
	}
	s.render(w, http.StatusOK, "search", "Search", out)
}

// newsletter is a trap for software that fills in the wrong form.
func (s *site) newsletter(w http.ResponseWriter, r *http.Request) {
	if a, p := s.read(w, r); a != nil {
		s.outcome(p, "newsletter: the wrong form")
		s.notice(w, http.StatusOK, "Newsletter", "You will hear from us every week.")
	}
}

func (s *site) robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("User-agent: *\nDisallow: " + s.disallow + "\n"))
}

func comparableHost(website string) string {
	if strings.TrimSpace(website) == "" {
		return ""
	}
	return strings.TrimPrefix(websiteHost(website), "www.")
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}
