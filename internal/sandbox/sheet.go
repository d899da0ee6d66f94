package sandbox

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// sheet is the form of a directory: what its page shows, what its catalog entry
// says of it, and what it insists on are all derived from it.
type sheet struct {
	ID       string // of the form element
	Title    string
	Intro    string
	Action   string // as written in the page, so it may be relative
	Encoding string // enctype; empty: urlencoded
	Accept   string // accept-charset
	Hidden   []hidden
	Controls []control
	Button   string
	Widget   template.HTML // inside the form, before the button
	Aside    template.HTML // before the form
	Footer   string        // of the page
	Base     string        // href of the base element
	Wrapped  bool          // labels enclose their controls
}

type hidden struct{ Name, Value string }

// control is one question of a form.
type control struct {
	Key          string // profile key that answers it; empty: Answer does
	Answer       string // literal that the catalog gives
	Name         string
	Label        string
	Type         string // text, email, tel, url, textarea, select, radio, checkbox, file
	Options      []option
	Required     bool
	Max          int
	Autocomplete string
	ByLabel      bool              // the catalog names the label, not the control
	Unnamed      bool              // the catalog does not name it at all
	Trap         bool              // must stay empty
	Hide         template.HTMLAttr // on the row, with Trap
	Class        string            // of the row, with Trap
}

type option struct{ Value, Text string }

// ask makes a required control.
func ask(key, name, kind, label string) control {
	return control{Key: key, Name: name, Type: kind, Label: label, Required: true}
}

// offer makes a control that may stay empty.
func offer(key, name, kind, label string) control {
	return control{Key: key, Name: name, Type: kind, Label: label}
}

// standardControls is what most directories want to know.
func standardControls() []control {
	return []control{
		ask("name", "company", "text", "Business name"),
		ask("website", "website", "url", "Website"),
		ask("phone", "phone", "tel", "Phone"),
		ask("email", "email", "email", "E-mail"),
		offer("street", "street", "text", "Street"),
		ask("city", "city", "text", "City"),
		offer("postal_code", "postcode", "text", "Postal code"),
		ask("description", "about", "textarea", "Description"),
	}
}

// standardSheet is the form that behaviours vary.
func standardSheet() sheet {
	return sheet{
		ID:       "listing",
		Title:    "Add your business",
		Intro:    "Tell us about your business. Listings are free.",
		Action:   "/add",
		Controls: standardControls(),
		Button:   "Add listing",
	}
}

// fields is what the catalog says of the form.
func (f sheet) fields() []directory.Field {
	var out []directory.Field
	for _, c := range f.Controls {
		if c.Trap || c.Unnamed {
			continue
		}
		field := directory.Field{Max: c.Max, Required: c.Required}
		switch {
		case c.ByLabel:
			field.Label = c.Label
		default:
			field.Name = c.Name
		}
		switch {
		case c.Key == "":
			field.Value = c.Answer
		case c.Type == "file":
			field.File = c.Key
		default:
			field.Profile = c.Key
		}
		out = append(out, field)
	}
	return out
}

// faults says what is wrong with an answer, a sentence for each control.
func (f sheet) faults(a *answer) []fault {
	var out []fault
	for _, c := range f.Controls {
		if why := c.fault(a); why != "" {
			out = append(out, fault{Name: c.Name, Text: c.Label + ": " + why})
		}
	}
	return out
}

type fault struct{ Name, Text string }

func (c control) fault(a *answer) string {
	value := a.fields.Get(c.Name)
	switch {
	case c.Trap:
		return ""
	case c.Type == "file":
		return c.fileFault(a.files[c.Name])
	case value == "" && c.Required:
		return "please fill in this field"
	case value == "":
		return ""
	case len(c.Options) > 0 && !slices.ContainsFunc(c.Options, func(o option) bool { return o.Value == value }):
		return fmt.Sprintf("%q is not one of our choices", value)
	case c.Max > 0 && utf8.RuneCountInString(value) > c.Max:
		return fmt.Sprintf("at most %d characters", c.Max)
	case c.Type == "email" && !strings.Contains(value, "@"):
		return "this is not an e-mail address"
	case c.Type == "url" && websiteHost(value) == "":
		return "this is not an address of a website"
	}
	return ""
}

func (c control) fileFault(content []byte) string {
	switch {
	case len(content) == 0 && c.Required:
		return "please choose a file"
	case len(content) > 0 && !isImage(content):
		return "please choose a PNG, JPEG or GIF image"
	}
	return ""
}

// trapped reports whether a trap was filled in, which only software does.
func (f sheet) trapped(a *answer) bool {
	return slices.ContainsFunc(f.Controls, func(c control) bool { return c.Trap && a.fields.Get(c.Name) != "" })
}

// values sorts an answer by profile key.
func (f sheet) values(a *answer) map[string]string {
	out := make(map[string]string)
	for _, c := range f.Controls {
		if c.Key != "" && c.Type != "file" {
			out[c.Key] = strings.TrimSpace(a.fields.Get(c.Name))
		}
	}
	return out
}
