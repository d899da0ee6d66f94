package formfield

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Guess is what a control may be asking for.
type Guess struct {
	Key        string // profile key, or "logo"
	Confidence float64
	Evidence   string // for people: label "Company name", type email
}

// Finding is what is known of one control: guesses, best first, or why none is made.
type Finding struct {
	Guesses []Guess
	Reject  Reject
}

// Best returns the guess that may be filled in.
func (f Finding) Best() (Guess, bool) {
	if f.Reject != "" || len(f.Guesses) == 0 || f.Guesses[0].Confidence < Fill {
		return Guess{}, false
	}
	return f.Guesses[0], true
}

// Infer guesses for each control of the form, in its order.
func Infer(form Form) []Finding {
	out := make([]Finding, len(form.Controls))
	for i, c := range form.Controls {
		out[i] = Finding{Reject: c.reject()}
		if out[i].Reject == "" && !c.Disabled && !c.ReadOnly && c.kind() != kindOther {
			out[i].Guesses = weigh(c.kind(), c.signs())
		}
	}
	neighbours{form, out}.settle()
	return out
}

// sign is one hint at a key.
type sign struct {
	key    string
	weight float64
	from   string
}

// Weights of signs. What fills a field by itself is at least Fill.
const (
	byToken       = 0.97
	byType        = 0.95
	byLabel       = 0.96 // the label names it and nothing else
	byLabelPart   = 0.91
	byName        = 0.93
	byNamePart    = 0.86
	byPlaceholder = 0.91
	byHint        = 0.75 // an example in a placeholder, part of a text beside it
	strong        = 0.85 // from here two signs that disagree cancel each other
)

func (c Control) signs() []sign {
	var out []sign
	if key := tokenKey(c.Autocomplete); key != "" {
		out = append(out, sign{key, byToken, "autocomplete " + c.Autocomplete})
	}
	if key := typeKey(c.kind()); key != "" {
		out = append(out, sign{key, byType, "type " + c.Type})
	}
	out = append(out, readSigns("label", c.Label, byLabel, byLabelPart)...)
	out = append(out, readSigns("aria-label", c.Aria, byLabel, byLabelPart)...)
	out = append(out, attributeSigns("name", c.Name)...)
	if !slices.Equal(words(c.ID), words(c.Name)) {
		out = append(out, attributeSigns("id", c.ID)...)
	}
	out = append(out, readSigns("placeholder", c.Placeholder, byPlaceholder, byHint)...)
	out = append(out, exampleSigns(c.Placeholder)...)
	out = append(out, readSigns("title", c.Title, byPlaceholder, byHint)...)
	if c.Label == "" {
		out = append(out, readSigns("text beside it", c.Near, byPlaceholder, byHint)...)
	}
	return out
}

// readSigns reads a text for people. "City / Town" has two names; they must agree.
func readSigns(from, text string, whole, part float64) []sign {
	var found reading
	n := 0
	for _, alternative := range alternatives(text) {
		r, ok := read(words(alternative))
		if !ok {
			continue
		}
		if n > 0 && r.key != found.key {
			return nil
		}
		found = reading{r.key, r.whole && (n == 0 || found.whole)}
		n++
	}
	if r, ok := read(words(remark.ReplaceAllString(text, " "))); ok && (n == 0 || r.key == found.key || r.whole) {
		found, n = reading{r.key, r.whole || r.key == found.key && found.whole}, 1
	}
	if n == 0 {
		return nil
	}
	weight := part
	if found.whole {
		weight = whole
	}
	return []sign{{found.key, weight, fmt.Sprintf("%s %q", from, strings.Join(strings.Fields(text), " "))}}
}

func attributeSigns(from, text string) []sign {
	r, ok := read(words(text))
	if !ok || len(text) == 1 { // x is no network there, it is short for nothing
		return nil
	}
	weight := byNamePart
	if r.whole {
		weight = byName
	}
	return []sign{{r.key, weight, fmt.Sprintf("%s %q", from, text)}}
}

// examples are placeholders that show what is wanted.
var examples = []struct {
	key  string
	text *regexp.Regexp
}{
	{"email", regexp.MustCompile(`^[\w.+-]+@[\w-]+\.[\w.-]+$`)},
	{"website", regexp.MustCompile(`^(https?://(www\.)?(your|my|example|yoursite|company)?[\w-]*(\.[a-z]+)?/?|(www\.)[\w.-]+)\.{0,3}$`)},
	{"phone", regexp.MustCompile(`^\+?[\d().x -]{7,}$`)},
}

func exampleSigns(placeholder string) []sign {
	for _, e := range examples {
		if e.text.MatchString(strings.ToLower(strings.TrimSpace(placeholder))) {
			return []sign{{e.key, byHint, fmt.Sprintf("placeholder %q", placeholder)}}
		}
	}
	return nil
}

// tokens are the autofill fields of the HTML standard that a profile can answer.
var tokens = map[string]string{
	"organization": "name", "name": "contact_name", "given-name": "contact_first_name", "family-name": "contact_last_name",
	"email": "email", "tel": "phone", "tel-national": "phone_national", "url": "website", "street-address": "street", "address-line1": "street",
	"address-line2": foreign, "address-line3": foreign, "address-level2": "city", "address-level1": "region", "postal-code": "postal_code",
	"country": "country", "country-name": "country_name", "tel-country-code": foreign, "tel-area-code": foreign, "tel-local": foreign,
	"tel-extension": foreign, "organization-title": foreign, "username": foreign, "nickname": foreign, "additional-name": foreign, "bday": foreign,
}

// tokenKey reads an autocomplete attribute: the field is the last of its tokens.
func tokenKey(autocomplete string) string {
	list := strings.Fields(strings.ToLower(autocomplete))
	if n := len(list); n > 0 && list[n-1] == "webauthn" {
		list = list[:n-1]
	}
	if len(list) == 0 {
		return ""
	}
	if slices.Contains(list, "fax") || slices.Contains(list, "pager") {
		return foreign
	}
	return tokens[list[len(list)-1]]
}

func typeKey(k kind) string {
	switch k {
	case kindEmail:
		return "email"
	case kindPhone:
		return "phone"
	case kindURL:
		return "website"
	case kindFile:
		return "" // a file may be anything
	}
	return ""
}

// weigh joins the signs of each key and ranks the keys.
func weigh(k kind, signs []sign) []Guess {
	var out []Guess
	for _, s := range signs {
		if !fits(k, s.key) {
			continue
		}
		i := slices.IndexFunc(out, func(g Guess) bool { return g.Key == s.key })
		if i < 0 {
			out = append(out, Guess{Key: s.key, Confidence: s.weight, Evidence: s.from})
			continue
		}
		out[i].Confidence = min(0.99, 1-(1-out[i].Confidence)*(1-s.weight))
		out[i].Evidence += ", " + s.from
	}
	out = specialise(k, out)
	slices.SortStableFunc(out, func(a, b Guess) int { return cmp.Compare(b.Confidence, a.Confidence) })
	if len(out) > 1 && out[1].Confidence >= strong {
		for i := range out {
			out[i].Confidence *= 0.9 // two strong signs disagree: not certain any more
		}
	}
	return slices.DeleteFunc(out, func(g Guess) bool { return g.Key == foreign })
}

// specialise lets a special name overrule the general one that it implies: a type
// of url next to the label "Facebook", autocomplete "name" next to "Company name".
func specialise(k kind, guesses []Guess) []Guess {
	has := func(key string) bool {
		return slices.ContainsFunc(guesses, func(g Guess) bool { return g.Key == key && g.Confidence >= strong })
	}
	social := slices.ContainsFunc(guesses, func(g Guess) bool { return strings.HasPrefix(g.Key, "social.") && g.Confidence >= strong })
	drop := func(key string) {
		guesses = slices.DeleteFunc(guesses, func(g Guess) bool { return g.Key == key })
	}
	if social || k == kindURL && has(foreign) {
		drop("website")
	}
	if k == kindPhone && has(foreign) {
		drop("phone")
	}
	if k == kindEmail && has(foreign) {
		drop("email")
	}
	for special, general := range map[string]string{
		"name": "contact_name", "contact_first_name": "contact_name", "contact_last_name": "contact_name", "phone_national": "phone",
		"country_name": "country", "short_description": "description", "legal_name": "name", "street": "address", "website_host": "website",
	} {
		if has(special) && has(general) {
			drop(general)
		}
	}
	return guesses
}

// fits reports whether a control of the kind can take what the key stands for.
func fits(k kind, key string) bool {
	if key == foreign {
		return true
	}
	switch k {
	case kindEmail:
		return key == "email"
	case kindPhone:
		return key == "phone" || key == "phone_national"
	case kindURL:
		return key == "website" || strings.HasPrefix(key, "social.")
	case kindNumber:
		return key == "year_founded" || key == "postal_code" || key == "phone_national"
	case kindFile:
		return key == "logo"
	case kindChoice:
		return slices.Contains([]string{"country", "country_name", "region", "city", "category", "year_founded", "postal_code"}, key)
	case kindLong:
		return slices.Contains([]string{"description", "short_description", "keywords", "address", "street", "hours", "tagline", "category", "name"}, key)
	}
	return key != "logo"
}
