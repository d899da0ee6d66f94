package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// threeSteps asks on three pages. What was said so far travels in a hidden field,
// signed; only the last page files the listing.
type threeSteps struct{ plain }

func (c *threeSteps) sheet() sheet {
	f := standardSheet()
	f.Title, f.Button = "Add your business: 1 of 3", "Next"
	f.Controls = []control{
		ask("name", "company", "text", "Business name"),
		ask("website", "website", "url", "Website"),
		ask("phone", "phone", "tel", "Phone"),
	}
	return f
}

func (c *threeSteps) second() sheet {
	f := standardSheet()
	f.ID, f.Title, f.Action, f.Button = "place", "Where are you: 2 of 3", "/add/place", "Next"
	f.Controls = []control{
		offer("street", "street", "text", "Street"),
		ask("city", "city", "text", "City"),
		offer("postal_code", "postcode", "text", "Postal code"),
	}
	return f
}

func (c *threeSteps) third() sheet {
	f := standardSheet()
	f.ID, f.Title, f.Action = "about", "What do you do: 3 of 3", "/add/about"
	terms := ask("", "terms", "checkbox", "I accept the terms of use")
	terms.Answer = "true"
	f.Controls = []control{
		ask("email", "email", "email", "E-mail"),
		ask("description", "about", "textarea", "Description"),
		terms,
	}
	return f
}

func (c *threeSteps) describe(d *directory.Directory) {
	for _, f := range []sheet{c.second(), c.third()} {
		d.Form.Steps = append(d.Form.Steps, directory.Step{Form: "form#" + f.ID, Fields: f.fields()})
	}
}

func (c *threeSteps) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.next(w, f, c.second())
	}
}

func (c *threeSteps) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /add/place", func(w http.ResponseWriter, r *http.Request) {
		if f := c.receiveStep(w, r, c.second()); f != nil {
			c.next(w, f, c.third())
		}
	})
	mux.HandleFunc("POST /add/about", func(w http.ResponseWriter, r *http.Request) {
		if f := c.receiveStep(w, r, c.third()); f != nil {
			c.thank(w, c.accept(f))
		}
	})
}

// next answers a step with the page after it, which carries what was said so far.
func (c *threeSteps) next(w http.ResponseWriter, f *filing, form sheet) {
	c.outcome(f.post, OutcomeStep)
	state, err := json.Marshal(f.values)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	text := base64.RawURLEncoding.EncodeToString(state)
	form.Hidden = []hidden{{"state", text}, {"state_signature", c.sign(text)}}
	c.showForm(w, form)
}

// receiveStep reads a later step and puts what was said before under it.
func (c *threeSteps) receiveStep(w http.ResponseWriter, r *http.Request, form sheet) *filing {
	a, post := c.read(w, r)
	if a == nil {
		return nil
	}
	before, ok := c.state(a)
	if !ok {
		c.refuse(w, post, http.StatusBadRequest, "We lost track of your entry. Please begin again.")
		return nil
	}
	f := c.check(w, form, a, post)
	if f == nil {
		return nil
	}
	maps.Copy(f.values, before)
	f.key = Key(f.values["website"], f.values["phone"])
	c.register.update(post, func(p *Post) { p.Business, p.Name = f.key, f.values["name"] })
	return f
}

func (c *threeSteps) state(a *answer) (map[string]string, bool) {
	text := a.fields.Get("state")
	if !c.signed(text, a.fields.Get("state_signature")) {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	var values map[string]string
	return values, json.Unmarshal(raw, &values) == nil
}
