package sandbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"net/http"
	"strings"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// as makes a conduct of type T for a site.
func as[T any, P interface {
	*T
	conduct
	at(*site)
}](s *site) conduct {
	c := P(new(T))
	c.at(s)
	return c
}

// plain is a directory without surprises.
type plain struct{ *site }

func (c *plain) at(s *site)                                  { c.site = s }
func (c *plain) sheet() sheet                                { return standardSheet() }
func (c *plain) describe(*directory.Directory)               {}
func (c *plain) form(w http.ResponseWriter, _ *http.Request) { c.showForm(w, c.page) }
func (c *plain) file(w http.ResponseWriter, r *http.Request) { c.list(w, r) }

// list is the plain way to file: read, list, thank.
func (c *plain) list(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.thank(w, c.accept(f))
	}
}

// csrf wants its token back, from the browser that it gave the cookie to.
type csrf struct{ plain }

const sessionCookie = "sid"

func (c *csrf) form(w http.ResponseWriter, _ *http.Request) {
	sid := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: sid, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	form := c.page
	form.Hidden = []hidden{{"csrf_token", c.sign(sid)}}
	c.showForm(w, form)
}

func (c *csrf) file(w http.ResponseWriter, r *http.Request) {
	a, post := c.read(w, r)
	if a == nil {
		return
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || !c.signed(cookie.Value, a.fields.Get("csrf_token")) {
		c.refuse(w, post, http.StatusForbidden, "Your session is over. Please open the form again.")
		return
	}
	if f := c.check(w, c.page, a, post); f != nil {
		c.thank(w, c.accept(f))
	}
}

func newSecret() []byte { return []byte(rand.Text()) }

// sign makes a token that only this directory can make.
func (s *site) sign(text string) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func (s *site) signed(text, token string) bool {
	return hmac.Equal([]byte(s.sign(text)), []byte(token))
}

// selects asks with choices, and uses ids of its own.
type selects struct{ plain }

var ownCategories = []option{
	{"17", "Plumbers"}, {"23", "Bakeries"}, {"31", "Restaurants and cafés"}, {"44", "Lawyers"},
	{"52", "Dentists and doctors"}, {"68", "Shops"}, {"71", "Software and technology"}, {"99", "Everything else"},
}

// categoryMap leads from our categories to those of the directory.
var categoryMap = map[string]string{
	"plumber": "17", "bakery": "23", "restaurant": "31", "cafe": "31", "lawyer": "44", "dentist": "52", "medical-clinic": "52",
	"bookstore": "68", "toy-store": "68", "software": "71", "it-services": "71", "*": "99",
}

func (c *selects) sheet() sheet {
	f := standardSheet()
	category := ask("category", "cat_id", "select", "Category")
	category.Options = ownCategories
	plan := ask("", "plan", "radio", "Listing type")
	plan.Answer, plan.Options = "free", []option{{"free", "Free listing"}, {"featured", "Featured listing, $99"}}
	teaser := ask("description", "teaser", "textarea", "Short text")
	teaser.Max = 120
	terms := ask("", "terms", "checkbox", "I accept the terms of use")
	terms.Answer = "true"
	about := offer("description", "about", "textarea", "Description")
	f.Controls = append(f.Controls[:7:7], category, plan, teaser, about, terms)
	return f
}

func (c *selects) describe(d *directory.Directory) { d.Categories = categoryMap }

// uploadRequired insists on a logo.
type uploadRequired struct{ plain }

func (c *uploadRequired) sheet() sheet { return uploadSheet(ask("logo", "logo", "file", "Logo")) }

// uploadOptional takes a logo.
type uploadOptional struct{ plain }

func (c *uploadOptional) sheet() sheet { return uploadSheet(offer("logo", "logo", "file", "Logo")) }

func uploadSheet(logo control) sheet {
	f := standardSheet()
	f.Encoding = "multipart/form-data"
	f.Controls = append(f.Controls, logo)
	return f
}

// labels names its controls so that only their labels tell what they are.
type labels struct{ plain }

func (c *labels) sheet() sheet {
	f := standardSheet()
	f.Wrapped = c.number%2 == 1
	for i := range f.Controls {
		f.Controls[i].Name = "f" + string('1'+rune(i))
		f.Controls[i].ByLabel = true
	}
	return f
}

// inferred is a form whose catalog entry names no field.
type inferred struct{ plain }

func (c *inferred) sheet() sheet {
	f := standardSheet()
	tokens := map[string]string{"name": "organization", "website": "url", "phone": "tel", "email": "email",
		"street": "street-address", "city": "address-level2", "postal_code": "postal-code"}
	for i := range f.Controls {
		f.Controls[i].Unnamed = true
		f.Controls[i].Autocomplete = tokens[f.Controls[i].Key]
	}
	f.Controls[0].Name = "business_name"
	f.Controls[len(f.Controls)-1].Name = "description"
	return f
}

// honeypot has fields that people do not see.
type honeypot struct{ plain }

func (c *honeypot) sheet() sheet {
	f := standardSheet()
	trap := func(name, label, class string, hide template.HTMLAttr) control {
		t := offer("", name, "text", label)
		t.Trap, t.Class, t.Hide = true, class, hide
		return t
	}
	f.Controls = append([]control{
		trap("url", "Website (leave this empty)", "", ` style="display:none"`),
		trap("email_confirm", "E-mail again", "hp-field", ` aria-hidden="true"`),
	}, f.Controls...)
	f.Controls = append(f.Controls, trap("fax_number", "Fax", "", ` hidden`))
	return f
}

// manyForms has other forms beside the right one, and the catalog does not say
// which it is.
type manyForms struct{ plain }

func (c *manyForms) sheet() sheet {
	f := standardSheet()
	f.Aside = `<form method="get" action="/search" role="search"><label>Search <input type="search" name="q"></label> <button>Search</button></form>
<form method="post" action="/login"><label>User <input type="text" name="user"></label> <label>Password <input type="password" name="password"></label> <button>Log in</button></form>
<form method="post" action="/newsletter"><label>Our newsletter <input type="email" name="email" placeholder="Your e-mail"></label> <button>Subscribe</button></form>`
	return f
}

func (c *manyForms) describe(d *directory.Directory) { d.Form.Steps[0].Form = "" }

func (c *manyForms) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if a, p := c.read(w, r); a != nil {
			c.refuse(w, p, http.StatusForbidden, "We do not know you.")
		}
	})
}

// formMoved has moved its form page; the action is relative to the new one.
type formMoved struct{ plain }

func (c *formMoved) sheet() sheet {
	f := standardSheet()
	f.Action = "send"
	return f
}

func (c *formMoved) form(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/forms/new/", http.StatusMovedPermanently)
}

func (c *formMoved) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /forms/new/{$}", func(w http.ResponseWriter, _ *http.Request) { c.showForm(w, c.page) })
	mux.HandleFunc("POST /forms/new/send", c.list)
}

func (c *formMoved) file(w http.ResponseWriter, r *http.Request) { c.wrongPlace(w, r) }

// baseHref has a relative action and says what it is relative to.
type baseHref struct{ plain }

func (c *baseHref) sheet() sheet {
	f := standardSheet()
	f.Base, f.Action = "/intake/v2/", "listings"
	return f
}

func (c *baseHref) routes(mux *http.ServeMux) { mux.HandleFunc("POST /intake/v2/listings", c.list) }

func (c *baseHref) file(w http.ResponseWriter, r *http.Request) { c.wrongPlace(w, r) }

// wrongPlace answers a post to a path that takes none.
func (c *plain) wrongPlace(w http.ResponseWriter, r *http.Request) {
	if a, p := c.read(w, r); a != nil {
		c.refuse(w, p, http.StatusNotFound, "Nothing takes posts at "+strings.TrimSpace(r.URL.Path)+".")
	}
}
