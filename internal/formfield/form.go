package formfield

import "strings"

// Form is a form as its page describes it.
type Form struct {
	Action    string
	Method    string // "get" or "post"
	Enctype   string
	Charset   string // accept-charset
	ID        string
	Name      string
	Class     string
	Role      string
	AriaLabel string
	Text      string // headings, legends and buttons of the form
	Controls  []Control
}

// Control is one control of a form.
type Control struct {
	Tag          string // input, select, textarea
	Type         string // of an input, in lower case; "text" when it says nothing
	Name         string
	ID           string
	Class        string
	Label        string // text of its label
	Group        string // text of the legend of its fieldset
	Near         string // text before it, where it has no label
	Placeholder  string
	Title        string
	Aria         string // aria-label, or the text that aria-labelledby points to
	Autocomplete string
	Pattern      string
	Value        string
	Options      []Option // of a select
	MaxLength    int      // zero: none
	TabIndex     int
	Checked      bool
	Required     bool
	Disabled     bool
	ReadOnly     bool
	Multiple     bool
	Hidden       bool // by type, attribute or style: no person sees it
}

// Option is a choice of a select.
type Option struct {
	Value    string
	Text     string
	Selected bool
	Disabled bool
}

// kind is what a control takes, which limits what it can be asking for.
type kind string

const (
	kindText   kind = "text"
	kindLong   kind = "long"
	kindEmail  kind = "email"
	kindPhone  kind = "tel"
	kindURL    kind = "url"
	kindNumber kind = "number"
	kindChoice kind = "choice"
	kindFile   kind = "file"
	kindOther  kind = "other" // ticks, dates, colours, buttons: no text of a profile
)

func (c Control) kind() kind {
	switch c.Tag {
	case "textarea":
		return kindLong
	case "select":
		return kindChoice
	}
	switch c.Type {
	case "", "text", "search":
		return kindText
	case "email", "tel", "url", "number", "file":
		return kind(c.Type)
	}
	return kindOther
}

// Ticks reports whether the control is a checkbox or a radio button.
func (c Control) Ticks() bool { return c.Type == "checkbox" || c.Type == "radio" }

// typed reports whether a person types into the control.
func (c Control) typed() bool {
	switch c.kind() {
	case kindText, kindLong, kindEmail, kindPhone, kindURL, kindNumber:
		return !c.Hidden
	}
	return false
}

// Says is the best name of the control for people.
func (c Control) Says() string {
	for _, s := range []string{c.Label, c.Aria, c.Placeholder, c.Near, c.Title, c.Group, c.Name, c.ID} {
		if s = strings.Trim(strings.Join(strings.Fields(s), " "), " *:"); s != "" {
			return s
		}
	}
	return "a control without a name"
}
