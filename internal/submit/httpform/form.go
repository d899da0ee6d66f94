package httpform

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/directorybolt/directorybolt/internal/formfield"
	"golang.org/x/net/html"
)

// form is a form of a page, with the state of its controls.
type form struct {
	node     *html.Node
	view     *view
	controls []*control // in tree order
	model    formfield.Form
}

// control is a control of a form and what is in it.
type control struct {
	formfield.Control
	node     *html.Node
	options  []*html.Node // of a select, as in Control.Options
	chosen   []bool       // which of them
	file     *file
	starred  bool // its label says that it is required
	settled  bool // the catalog decided what is in it
	unsure   bool // what it would send by itself is a choice that nobody made, and the right one is not known
	isButton bool
}

// file is what is uploaded.
type file struct {
	name, mediaType string
	content         []byte
}

// Limits of what is read of a page: no form for people comes near them.
const (
	maxForms    = 200
	maxControls = 3000 // of all forms together
	maxOptions  = 20_000
)

// forms lists the forms of the page with their controls, by the form owner rules
// of the HTML standard. Beyond the limits there are none.
func (v *view) forms() []*form {
	if v.doc == nil {
		return nil
	}
	r := &formReader{view: v, byID: map[string]*html.Node{}, owned: map[*html.Node][]*html.Node{}}
	r.index(v.doc.Get(0))
	if len(r.nodes) > maxForms || r.controls > maxControls || r.options > maxOptions {
		return nil
	}
	out := make([]*form, 0, len(r.nodes))
	labels := v.labels(r.byID)
	for _, n := range r.nodes {
		f := &form{node: n, view: v}
		for _, c := range r.owned[n] {
			f.controls = append(f.controls, v.control(c, labels, r.byID))
		}
		f.model = f.describe()
		out = append(out, f)
	}
	return out
}

// formReader assigns controls to forms.
type formReader struct {
	view  *view
	nodes []*html.Node // forms in tree order
	byID  map[string]*html.Node
	owned map[*html.Node][]*html.Node

	controls, options int
}

func (r *formReader) index(root *html.Node) {
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "form" {
			r.nodes = append(r.nodes, n)
		}
		if id := attr(n, "id"); id != "" && r.byID[id] == nil {
			r.byID[id] = n
		}
	}
	var last *html.Node
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || inside(n, "template") != nil {
			continue
		}
		switch n.Data {
		case "form":
			last = n
		case "option":
			r.options++
		case "input", "select", "textarea", "button":
			r.controls++
			if owner := r.owner(n, last); owner != nil {
				r.owned[owner] = append(r.owned[owner], n)
			}
		}
	}
}

// owner is the form that n belongs to: the one its form attribute names, else the
// one around it. A form that begins between the rows of a table ends up empty in
// the tree, and the controls of the rows after it are its own.
func (r *formReader) owner(n, last *html.Node) *html.Node {
	if id, ok := attrOK(n, "form"); ok {
		if f := r.byID[id]; f != nil && f.Data == "form" {
			return f
		}
		return nil
	}
	if f := inside(n, "form"); f != nil {
		return f
	}
	if last != nil && last.FirstChild == nil && last.Parent != nil && contains(last.Parent, n) {
		return last
	}
	return nil
}

func (v *view) control(n *html.Node, labels map[*html.Node]string, byID map[string]*html.Node) *control {
	c := &control{node: n, Control: formfield.Control{
		Tag:          n.Data,
		Name:         attr(n, "name"),
		ID:           attr(n, "id"),
		Class:        attr(n, "class"),
		Label:        labels[n],
		Placeholder:  attr(n, "placeholder"),
		Title:        attr(n, "title"),
		Aria:         aria(n, byID),
		Autocomplete: attr(n, "autocomplete"),
		Pattern:      attr(n, "pattern"),
		MaxLength:    number(attr(n, "maxlength")),
		TabIndex:     number(attr(n, "tabindex")),
		Required:     has(n, "required") || attr(n, "aria-required") == "true",
		Disabled:     disabled(n),
		ReadOnly:     has(n, "readonly"),
		Multiple:     has(n, "multiple"),
		Checked:      has(n, "checked"),
		Hidden:       v.unseen(n),
	}}
	if set := inside(n, "fieldset"); set != nil {
		c.Group = v.legend(set)
	}
	switch n.Data {
	case "select":
		c.readOptions()
	case "textarea":
		c.Value = newlines(rawText(n), "\n")
	case "button":
		c.Type = cmp.Or(oneOf(attr(n, "type"), "submit", "reset", "button"), "submit")
		c.Value, c.isButton = attr(n, "value"), true
	default:
		c.readInput()
	}
	if c.Label == "" && !c.isButton && c.Type != "hidden" {
		c.Near = v.near(n)
	}
	c.starred = starred(c.Label) || c.Label == "" && starred(c.Near)
	return c
}

func (c *control) readInput() {
	c.Type = strings.ToLower(attr(c.node, "type"))
	c.Value = attr(c.node, "value")
	switch c.Type {
	case "submit", "reset", "button", "image":
		c.isButton = true
	case "hidden":
		c.Hidden = true
	case "checkbox", "radio":
		if !has(c.node, "value") {
			c.Value = "on"
		}
	case "color":
		c.Value = cmp.Or(c.Value, "#000000")
	case "range":
		c.Value = cmp.Or(c.Value, middle(attr(c.node, "min"), attr(c.node, "max")))
	case "file":
		c.Value = ""
	case "email", "tel", "url", "number", "search", "date", "month", "week", "time", "datetime-local", "password":
		c.Value = c.clean(c.Value)
	default:
		c.Type = "text"
		c.Value = c.clean(c.Value)
	}
}

// clean is the value sanitization of the HTML standard for one-line controls.
func (c *control) clean(s string) string {
	if c.Tag == "textarea" {
		return newlines(s, "\n")
	}
	s = strings.NewReplacer("\r", "", "\n", "").Replace(s)
	if c.Type == "url" || c.Type == "email" {
		s = strings.TrimSpace(s)
	}
	return s
}

// readOptions reads the options and which of them are chosen to begin with: those
// marked, of a single choice the last of them, else the first that can be.
func (c *control) readOptions() {
	size, firstOpen := number(attr(c.node, "size")), -1
	last := -1
	for n := range c.node.Descendants() {
		if n.Type != html.ElementNode || n.Data != "option" {
			continue
		}
		text := squeeze(rawText(n))
		value, ok := attrOK(n, "value")
		if !ok {
			value = text
		}
		group := inside(n, "optgroup")
		o := formfield.Option{Value: value, Text: text, Selected: has(n, "selected"), Disabled: has(n, "disabled") || group != nil && has(group, "disabled")}
		if label := attr(n, "label"); label != "" {
			o.Text = squeeze(label)
		}
		i := len(c.Options)
		c.Options, c.options, c.chosen = append(c.Options, o), append(c.options, n), append(c.chosen, o.Selected && c.Multiple)
		if o.Selected {
			last = i
		}
		if !o.Disabled && firstOpen < 0 {
			firstOpen = i
		}
	}
	if c.Multiple {
		return
	}
	if last < 0 && size <= 1 {
		last = firstOpen
	}
	if last >= 0 {
		c.chosen[last] = true
	}
}

// choose chooses option i, alone.
func (c *control) choose(i int) {
	clear(c.chosen)
	c.chosen[i] = true
}

// filled reports whether the control would send something that a person chose or
// typed. The first option of a select, when it has no value, is a prompt.
func (c *control) filled() bool {
	switch {
	case c.Ticks():
		return c.Checked
	case c.Type == "file":
		return c.file != nil
	case c.Tag == "select":
		return slices.ContainsFunc(c.picked(), func(o formfield.Option) bool { return o.Value != "" })
	}
	return c.Value != ""
}

// preset reports whether a select would send a choice that neither the page nor a
// person made: its first option, where that is no prompt.
func (c *control) preset() bool {
	return c.filled() && !slices.ContainsFunc(c.Options, func(o formfield.Option) bool { return o.Selected })
}

func (c *control) picked() []formfield.Option {
	var out []formfield.Option
	for i, o := range c.Options {
		if c.chosen[i] && !o.Disabled {
			out = append(out, o)
		}
	}
	return out
}

// maxSays is how many headings and buttons of a form are read.
const maxSays = 30

// describe is the form as formfield sees it.
func (f *form) describe() formfield.Form {
	m := formfield.Form{
		Action: attr(f.node, "action"), Method: f.method(nil), Enctype: f.enctype(nil), Charset: attr(f.node, "accept-charset"),
		ID: attr(f.node, "id"), Name: attr(f.node, "name"), Class: attr(f.node, "class"), Role: attr(f.node, "role"), AriaLabel: attr(f.node, "aria-label"),
	}
	var says []string
	for n := range f.node.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "h1", "h2", "h3", "h4", "h5", "h6", "legend", "button", "caption":
			if len(says) < maxSays {
				says = append(says, shorten(f.view.textOf(n), maxNear))
			}
		}
	}
	for _, c := range f.controls {
		if c.isButton && c.Tag == "input" {
			says = append(says, c.Value)
		}
		if !c.isButton {
			m.Controls = append(m.Controls, c.Control)
		}
	}
	m.Text = strings.Join(says, " ")
	return m
}

// method is "get" or "post", or "dialog" for a form that is not sent. A button may
// say otherwise than its form.
func (f *form) method(button *control) string {
	m := attr(f.node, "method")
	if button != nil && has(button.node, "formmethod") {
		m = attr(button.node, "formmethod")
	}
	return cmp.Or(oneOf(m, "post", "dialog"), "get")
}

const (
	urlencoded = "application/x-www-form-urlencoded"
	multipart  = "multipart/form-data"
	plainText  = "text/plain"
)

func (f *form) enctype(button *control) string {
	e := attr(f.node, "enctype")
	if button != nil && has(button.node, "formenctype") {
		e = attr(button.node, "formenctype")
	}
	return cmp.Or(oneOf(e, multipart, plainText), urlencoded)
}

// action is the URL that the form is sent to; an empty one is the page itself.
func (f *form) action(button *control) (*url.URL, error) {
	a := strings.TrimSpace(attr(f.node, "action"))
	if button != nil && has(button.node, "formaction") {
		a = strings.TrimSpace(attr(button.node, "formaction"))
	}
	if a == "" {
		page := *f.view.page.URL
		return &page, nil
	}
	return f.view.base.Parse(a)
}

// signature is what a form is known by when it comes again: where it goes and what
// it asks.
func (f *form) signature() string {
	var b strings.Builder
	b.WriteString(f.method(nil) + " " + attr(f.node, "action"))
	for _, c := range f.controls {
		b.WriteString(" " + c.Tag + ":" + c.Name)
	}
	return b.String()
}

func number(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0
	}
	return n
}

// middle is the default of a range.
func middle(low, high string) string {
	from, err := strconv.Atoi(low)
	if err != nil {
		from = 0
	}
	to, err := strconv.Atoi(high)
	if err != nil {
		to = 100
	}
	return strconv.Itoa(from + max(to-from, 0)/2)
}

func oneOf(s string, known ...string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if slices.Contains(known, s) {
		return s
	}
	return ""
}
