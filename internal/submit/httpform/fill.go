package httpform

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/andybalholm/cascadia"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/formfield"
)

// filler fills one form.
type filler struct {
	form      *form
	directory *directory.Directory
	business  *directory.Business
}

// fill puts in what the catalog names, then what can be inferred. Its errors are
// verdicts, all of them reached before anything is sent.
func (f filler) fill(step directory.Step, infer bool) error {
	f.form.settleRadios()
	for _, field := range step.Fields {
		if err := f.named(field); err != nil {
			return err
		}
	}
	findings := formfield.Infer(f.form.model)
	if infer {
		f.inferred(findings)
	}
	return f.complete(findings)
}

// named fills one field of the catalog.
func (f filler) named(field directory.Field) error {
	targets, err := f.find(field)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		if field.Required {
			return permanent("the form has changed: it has no field %s any more", nameOf(field)).on(f.form.view)
		}
		return nil
	}
	for _, c := range targets {
		c.settled = true
	}
	if f.put(targets, field) || !field.Required {
		return nil
	}
	return f.missing(field, targets[0])
}

// find lists the controls that the field means: one, or a group of ticks.
func (f filler) find(field directory.Field) ([]*control, error) {
	var found []*control
	var match cascadia.Selector
	if field.CSS != "" {
		var err error
		if match, err = cascadia.Compile(field.CSS); err != nil {
			return nil, permanent("the catalog entry's field %q is no CSS selector: %v", field.CSS, err)
		}
	}
	for _, c := range f.form.controls {
		switch {
		case c.isButton || c.Disabled:
		case field.Name != "" && c.Name == field.Name,
			match != nil && match.Match(c.node),
			field.Label != "" && (sameWords(c.Label, field.Label) || c.Label == "" && (sameWords(c.Aria, field.Label) || sameWords(c.Near, field.Label)) ||
				c.Type == "radio" && sameWords(c.Group, field.Label)):
			found = append(found, c)
		}
	}
	if field.Name != "" {
		// A checkbox often has a hidden twin of the same name that stands for "no".
		visible := slices.DeleteFunc(slices.Clone(found), func(c *control) bool { return c.Type == "hidden" })
		if len(visible) > 0 {
			found = visible
		}
	}
	if len(found) > 1 && !oneGroup(found) {
		return nil, permanent("the form is ambiguous: %d of its fields may be %s", len(found), nameOf(field)).on(f.form.view)
	}
	return found, nil
}

func oneGroup(list []*control) bool {
	return !slices.ContainsFunc(list, func(c *control) bool { return !c.Ticks() || c.Type != list[0].Type || c.Name != list[0].Name })
}

func nameOf(field directory.Field) string {
	switch {
	case field.Label != "":
		return `"` + field.Label + `"`
	case field.CSS != "":
		return field.CSS
	}
	return `"` + field.Name + `"`
}

// put fills the controls with the field's content and reports whether something
// is in them now, or was to be left out.
func (f filler) put(targets []*control, field directory.Field) bool {
	c := targets[0]
	switch {
	case field.File != "":
		return f.upload(c, field.File)
	case field.Profile == "category" || field.Profile == "category_name":
		return f.set(targets, f.categories(field.Profile), field.Max, true)
	case field.Profile != "":
		return f.set(targets, f.values(field.Profile), field.Max, cuttable[field.Profile])
	}
	return f.literal(targets, field)
}

// literal puts in what the catalog says word for word.
func (f filler) literal(targets []*control, field directory.Field) bool {
	c := targets[0]
	if c.Type == "checkbox" && len(targets) == 1 && (field.Value == "true" || field.Value == "false") {
		c.Checked = field.Value == "true"
		return true
	}
	if field.Value == "" { // to be left empty
		if !c.Ticks() && c.Tag != "select" {
			c.Value = ""
		}
		return true
	}
	return f.set(targets, []string{field.Value}, field.Max, true)
}

// set puts the first of the values that fits into the controls.
func (f filler) set(targets []*control, values []string, limit int, cut bool) bool {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	c := targets[0]
	switch {
	case c.Tag == "select":
		c.unsure = !chooseOption(c, values) && c.preset()
		return !c.unsure && c.filled()
	case c.Ticks():
		return f.tickOne(targets, values)
	case c.Type == "file":
		return false
	}
	for _, value := range values {
		if text, ok := c.fit(value, limit, cut); ok {
			c.Value = text
			return true
		}
	}
	return false
}

// chooseOption chooses by value, then by text.
func chooseOption(c *control, values []string) bool {
	for _, same := range []func(o formfield.Option, v string) bool{
		func(o formfield.Option, v string) bool { return o.Value == v },
		func(o formfield.Option, v string) bool { return strings.EqualFold(o.Value, v) },
		func(o formfield.Option, v string) bool { return sameWords(o.Text, v) },
	} {
		for _, v := range values {
			for i, o := range c.Options {
				if !o.Disabled && o.Value != "" && same(o, v) {
					c.choose(i)
					return true
				}
			}
		}
	}
	return false
}

// tickOne ticks the one of the controls that a value names, by its value or label.
func (f filler) tickOne(targets []*control, values []string) bool {
	for _, v := range values {
		for _, c := range targets {
			if c.Value == v || sameWords(c.Label, v) || sameWords(c.Value, v) {
				f.form.tick(c)
				return true
			}
		}
	}
	return false
}

// upload attaches a file of the profile.
func (f filler) upload(c *control, key string) bool {
	name, mediaType, data, ok := f.business.LogoFile()
	if key != "logo" || c.Type != "file" || !ok || !accepts(attr(c.node, "accept"), name, mediaType) {
		return false
	}
	c.file = &file{name: name, mediaType: mediaType, content: data}
	return true
}

// accepts reads an accept attribute: endings, types, and types with a star.
func accepts(accept, name, mediaType string) bool {
	if strings.TrimSpace(accept) == "" {
		return true
	}
	family, _, _ := strings.Cut(mediaType, "/")
	for token := range strings.SplitSeq(strings.ToLower(accept), ",") {
		token = strings.TrimSpace(token)
		if token == mediaType || token == family+"/*" || token == "*/*" || strings.HasPrefix(token, ".") && strings.HasSuffix(name, token) ||
			token == ".jpeg" && strings.HasSuffix(name, ".jpg") {
			return true
		}
	}
	return false
}

// cuttable are the texts that stay true when they are cut. Half an address of a
// website is none.
var cuttable = map[string]bool{"description": true, "short_description": true, "tagline": true, "keywords": true}

// fit is the value as the control takes it, cut to its limits where that is
// allowed, and whether it takes it.
func (c *control) fit(value string, limit int, cut bool) (string, bool) {
	if c.Tag != "textarea" {
		value = strings.Join(strings.Fields(value), " ")
	}
	text := c.clean(value)
	if limit > 0 && len([]rune(text)) > limit {
		if !cut {
			return "", false
		}
		text = shorten(text, limit)
	}
	for n := c.MaxLength; c.MaxLength > 0 && codeUnits(text) > c.MaxLength; n-- {
		if !cut || n <= 0 {
			return "", false
		}
		text = shorten(text, min(n, len([]rune(text))-1))
	}
	return text, text != "" && c.matches(text)
}

// codeUnits is how browsers count a maxlength.
func codeUnits(s string) int { return len(utf16.Encode([]rune(s))) }

// matches checks the pattern and the type of the control. A pattern that only
// JavaScript can read is left to the site.
func (c *control) matches(text string) bool {
	switch c.Type {
	case "number":
		return numeric.MatchString(text)
	case "email":
		return strings.Contains(text, "@")
	case "url":
		return strings.Contains(text, ":")
	}
	if c.Pattern == "" || c.Tag == "textarea" {
		return true
	}
	pattern, err := regexp.Compile(`^(?:` + c.Pattern + `)$`)
	return err != nil || pattern.MatchString(text)
}

var numeric = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// values are the ways to say what the profile has for a key, the best first.
func (f filler) values(key string) []string {
	of := func(keys ...string) []string {
		var out []string
		for _, k := range keys {
			v, _ := f.business.Value(k)
			out = append(out, v)
		}
		return out
	}
	switch key {
	case "phone":
		list := of("phone", "phone_national")
		return append(list, digits(list[1]), digits(list[0]))
	case "phone_national":
		list := of("phone_national", "phone")
		return append([]string{list[0], digits(list[0])}, list[1])
	case "country":
		return of("country", "country_name")
	case "country_name":
		return of("country_name", "country")
	case "region":
		return regionNames(f.business.Country, f.business.Region)
	case "description":
		return of("description", "short_description")
	}
	return of(key)
}

// categories are the directory's words for the category of the business, else ours.
func (f filler) categories(key string) []string {
	if len(f.directory.Categories) > 0 {
		own, ok := f.directory.Categories[f.business.Category]
		if !ok {
			own = f.directory.Categories["*"]
		}
		return []string{own}
	}
	slug, _ := f.business.Value("category")
	name, _ := f.business.Value("category_name")
	if key == "category_name" {
		return []string{name, slug}
	}
	return []string{slug, name}
}

// inferred fills what the catalog does not name, where there is no doubt.
func (f filler) inferred(findings []formfield.Finding) {
	for i, c := range f.form.fields() {
		guess, ok := findings[i].Best()
		if !ok || c.settled || c.Disabled || c.Tag != "select" && c.filled() {
			continue
		}
		key := guess.Key
		switch {
		case key == "logo":
			f.upload(c, key)
			continue
		case key == "category":
			f.set([]*control{c}, f.categories("category_name"), 0, false)
			continue
		case key == "country" && c.Tag != "select" && !strings.Contains(c.Autocomplete, "country"):
			key = "country_name" // a person would write the name
		}
		f.set([]*control{c}, f.values(key), 0, cuttable[key])
	}
}

// fields lists the controls in the order of the model: all but the buttons.
func (f *form) fields() []*control {
	return slices.DeleteFunc(slices.Clone(f.controls), func(c *control) bool { return c.isButton })
}

// complete checks that what the form insists on is there.
func (f filler) complete(findings []formfield.Finding) error {
	seen := map[string]bool{} // groups of radio buttons whose plan has been chosen
	for i, c := range f.form.fields() {
		why := findings[i].Reject
		if c.settled && c.Type == "checkbox" || c.Disabled || c.Type == "hidden" || why == formfield.Trap || why == formfield.Invisible {
			continue
		}
		again := c.Type == "radio" && seen[c.Name]
		seen[c.Name] = seen[c.Name] || c.Type == "radio" && c.Name != ""
		if why == formfield.Plan && !again && !f.settlePlan(c) {
			return needs(directory.NeedPayment, "none of the choices of %q says that it is free", c.sayGroup()).on(f.form.view)
		}
		if f.filledGroup(c) && !c.unsure {
			continue
		}
		if why == formfield.Terms && mustAgree(c) {
			return needs(directory.NeedTerms, "the form wants agreement to %q; name the field in the catalog entry once somebody has agreed", c.Says()).on(f.form.view)
		}
		if c.Required || c.starred || c.unsure {
			return f.lacking(c, why, findings[i])
		}
	}
	return nil
}

// filledGroup reports whether the control, or for a radio button one of its
// group, has something in it.
func (f filler) filledGroup(c *control) bool {
	if c.Type != "radio" {
		return c.filled()
	}
	return slices.ContainsFunc(f.form.group(c), (*control).filled)
}

// settlePlan chooses the plan that costs nothing, and reports whether a choice is
// made or none is asked for.
func (f filler) settlePlan(c *control) bool {
	if c.settled {
		return true
	}
	if c.Tag == "select" {
		for i, o := range c.Options {
			if !o.Disabled && o.Value != "" && formfield.Free(o.Text) {
				c.choose(i)
				return true
			}
		}
		return !c.filled() && !c.Required && !c.starred
	}
	group := f.form.group(c)
	if slices.ContainsFunc(group, func(o *control) bool { return o.settled }) {
		return true
	}
	for _, o := range group {
		if !o.Disabled && formfield.Free(o.Label+" "+o.Value) {
			f.form.tick(o)
			return true
		}
	}
	return !f.filledGroup(c) && !c.Required
}

func (c *control) sayGroup() string {
	if c.Ticks() && c.Group != "" {
		return c.Group
	}
	return c.Says()
}

var (
	agreement = regexp.MustCompile(`(?i)\b(agree|accept|akzeptiere|stimme|accepte|acepto|accetto|aceito)`)
	toTerms   = regexp.MustCompile(`(?i)\b(terms|conditions|rules|guidelines|agb|nutzungsbedingungen|tos|policy)\b`)
)

// mustAgree reports whether a box has to be ticked: it says so, or it says that
// who sends the form agrees to terms.
func mustAgree(c *control) bool {
	said := c.Label + " " + c.Near + " " + c.Aria
	return c.Required || c.starred || agreement.MatchString(said) && toTerms.MatchString(said)
}

// lacking is the verdict on a required control that stays empty.
func (f filler) lacking(c *control, why formfield.Reject, found formfield.Finding) error {
	switch why {
	case formfield.Password:
		return needs(directory.NeedLogin, "the form wants an account: %q", c.Says()).on(f.form.view)
	case formfield.Captcha:
		return needs(directory.NeedCaptcha, "the form has a captcha: %q", c.Says()).on(f.form.view)
	case formfield.Payment, formfield.Plan:
		return needs(directory.NeedPayment, "the form asks for a payment: %q", c.Says()).on(f.form.view)
	}
	if guess, ok := found.Best(); ok && guess.Key == "category" {
		return f.noCategory(c)
	}
	if guess, ok := found.Best(); ok {
		return needs(directory.NeedMissingField, "the form insists on %q, and the profile's %s does not fit or is empty", c.sayGroup(), guess.Key).on(f.form.view)
	}
	return needs(directory.NeedMissingField, "the form insists on %q, and nothing says what belongs there", c.sayGroup()).on(f.form.view)
}

// missing is the verdict on a field that the catalog calls required.
func (f filler) missing(field directory.Field, c *control) error {
	switch {
	case field.Profile == "category" || field.Profile == "category_name":
		return f.noCategory(c)
	case field.Value != "":
		return permanent("the form has changed: %s does not take %q any more", nameOf(field), field.Value).on(f.form.view)
	}
	key := field.Profile + field.File
	return needs(directory.NeedMissingField, "the field %q is required, and the profile's %s does not fit or is empty", c.sayGroup(), key).on(f.form.view)
}

func (f filler) noCategory(c *control) error {
	return needs(directory.NeedCategoryChoice, "no choice of %q is known for the category %q; add it to the catalog entry's categories", c.sayGroup(), f.business.Category).on(f.form.view)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// letters are the letters and digits of s, with single spaces between words.
func letters(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}
