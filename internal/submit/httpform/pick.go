package httpform

import (
	"strings"

	"github.com/andybalholm/cascadia"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/formfield"
)

// pick returns the form of the step. It does not guess: what cannot be told apart
// is a verdict.
func (v *view) pick(step directory.Step) (*form, error) {
	all := v.forms()
	if step.Form != "" {
		return v.pickBySelector(all, step.Form)
	}
	var likely []*form
	for _, f := range all {
		if formfield.PurposeOf(f.model) == formfield.ForListing {
			likely = append(likely, f)
		}
	}
	if len(likely) > 1 {
		if named := withFields(likely, step.Fields); len(named) == 1 {
			likely = named
		}
	}
	switch len(likely) {
	case 0:
		return nil, v.noForm("")
	case 1:
		return likely[0], nil
	}
	return nil, permanent("the form is ambiguous: the page has %d forms that may be the one; name it in the catalog entry's form", len(likely)).on(v)
}

func (v *view) pickBySelector(all []*form, selector string) (*form, error) {
	m, err := cascadia.Compile(selector)
	if err != nil {
		return nil, permanent("the catalog entry's form %q is no CSS selector: %v", selector, err)
	}
	var found []*form
	for _, f := range all {
		if m.Match(f.node) {
			found = append(found, f)
		}
	}
	if len(found) == 0 { // the selector may name something in the form
		for _, f := range all {
			if cascadia.Query(f.node, m) != nil {
				found = append(found, f)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, v.noForm(selector)
	case 1:
		return found[0], nil
	}
	return nil, permanent("the form is ambiguous: %d forms of the page match %q", len(found), selector).on(v)
}

// noForm says what stands on the page in place of the form.
func (v *view) noForm(selector string) *verdict {
	switch {
	case v.doc == nil:
		return permanent("the form is gone: the page is %s, not HTML", v.page.MediaType()).on(v)
	case v.formFor(formfield.ForLogin) != nil:
		return needs(directory.NeedLogin, "the page asks for a login in place of the form").on(v)
	case v.formFor(formfield.ForPayment) != nil:
		return needs(directory.NeedPayment, "the page asks for a payment in place of the form").on(v)
	case v.captcha() != "":
		return needs(directory.NeedCaptcha, "the page has a captcha in place of the form: %s", v.captcha()).on(v)
	case len(v.forms()) == 0 && v.doc.Find("form").Length() > maxForms || v.doc.Find("input, select, textarea, button").Length() > maxControls:
		return permanent("the form cannot be told: the page has more forms or fields than a page for people").on(v)
	case v.page.Truncated:
		return permanent("the form is gone: it is not within the first %d MiB of the page", len(v.page.Body)>>20).on(v)
	case selector != "":
		return permanent("the form is gone: no form of the page matches %q", selector).on(v)
	}
	return permanent("the form is gone: the page has no form for a listing").on(v)
}

// withFields lists the forms that have every field that the catalog names by name.
func withFields(forms []*form, fields []directory.Field) []*form {
	var out []*form
	for _, f := range forms {
		named, missing := 0, 0
		for _, field := range fields {
			if field.Name == "" {
				continue
			}
			named++
			if len(f.byName(field.Name)) == 0 {
				missing++
			}
		}
		if named > 0 && missing == 0 {
			out = append(out, f)
		}
	}
	return out
}

func (f *form) byName(name string) []*control {
	var out []*control
	for _, c := range f.controls {
		if c.Name == name && !c.isButton {
			out = append(out, c)
		}
	}
	return out
}

// sameWords compares labels without case and punctuation.
func sameWords(a, b string) bool {
	return strings.EqualFold(letters(a), letters(b)) && letters(a) != ""
}
