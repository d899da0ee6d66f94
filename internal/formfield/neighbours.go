package formfield

import (
	"regexp"
	"slices"
	"strings"
)

// neighbours decides what one control alone cannot tell.
type neighbours struct {
	form  Form
	found []Finding
}

func (n neighbours) settle() {
	n.addresses()
	n.bareNames()
	n.shortTexts()
	n.doubles()
}

// best is the key a control would be filled with.
func (n neighbours) best(i int) string {
	g, _ := n.found[i].Best()
	return g.Key
}

func (n neighbours) has(keys ...string) bool {
	for i := range n.found {
		if slices.Contains(keys, n.best(i)) {
			return true
		}
	}
	return false
}

// addresses reads a bare "Address" as the street where the form asks for the city
// apart, and as the whole address where it does not.
func (n neighbours) addresses() {
	if !n.has("city", "postal_code") || n.has("street") {
		return
	}
	for i := range n.found {
		if n.best(i) == "address" {
			n.found[i].Guesses[0].Key = "street"
			n.found[i].Guesses[0].Evidence += ", city asked apart"
			return
		}
	}
}

var aboutBusiness = regexp.MustCompile(`\b(listing|list|business|company|site|website|startup|product|tool|organi[sz]ation|directory)\b`)

// bareNames reads a bare "Name" or "Title": the person's where the business has a
// field of its own, else the business's, if the form is about one.
func (n neighbours) bareNames() {
	for i, c := range n.form.Controls {
		if n.found[i].Reject != "" || c.kind() != kindText || c.Disabled || c.ReadOnly {
			continue
		}
		word := bareName(c)
		if word == "" || n.best(i) != "" {
			continue
		}
		g := Guess{Key: "name", Confidence: byLabelPart, Evidence: "a bare " + word + ", and no other name of a business"}
		switch {
		case word == "name" && n.has("name"):
			g = Guess{Key: "contact_name", Confidence: byLabelPart, Evidence: "a bare name, beside the name of the business"}
		case n.has("name"):
			continue
		case !aboutBusiness.MatchString(strings.Join(words(n.form.Text+" "+n.form.ID+" "+n.form.Class+" "+n.form.Action), " ")) && !n.has("category", "website"):
			g.Confidence = byHint
		}
		n.found[i].Guesses = append([]Guess{g}, n.found[i].Guesses...)
	}
}

// bareName is "name" or "title" when that is all that is said of the control.
func bareName(c Control) string {
	for _, s := range []string{c.Label, c.Aria, c.Placeholder, c.Near, c.Name, c.ID} {
		rest := slices.DeleteFunc(words(remark.ReplaceAllString(s, " ")), func(w string) bool { return filler[w] })
		switch text := strings.Join(rest, " "); text {
		case "":
			continue
		case "name", "title", "nom", "nombre", "nome", "naam":
			if text != "title" {
				return "name"
			}
			return text
		}
		return ""
	}
	return ""
}

// shortTexts reads a description with little room as a short one.
func (n neighbours) shortTexts() {
	for i, c := range n.form.Controls {
		if n.best(i) == "description" && c.MaxLength > 0 && c.MaxLength <= 200 && !n.has("short_description") {
			n.found[i].Guesses[0].Key = "short_description"
			n.found[i].Guesses[0].Evidence += ", little room"
		}
	}
}

var again = regexp.MustCompile(`\b(confirm|repeat|re ?enter|re ?type|again|verify|wiederholen|bestatigen)\b`)

// doubles leaves a key to the control that is most certain of it, or the first of
// equals. A control that wants the same again gets the same again.
func (n neighbours) doubles() {
	winner := make(map[string]int)
	for i := range n.found {
		key := n.best(i)
		if key == "" || again.MatchString(n.form.Controls[i].said()) {
			continue
		}
		if w, ok := winner[key]; !ok || n.found[i].Guesses[0].Confidence > n.found[w].Guesses[0].Confidence {
			winner[key] = i
		}
	}
	for i := range n.found {
		key := n.best(i)
		if key == "" || again.MatchString(n.form.Controls[i].said()) {
			continue
		}
		if winner[key] != i {
			n.found[i].Guesses[0].Confidence = byHint
			n.found[i].Guesses[0].Evidence += ", but another control is surer"
		}
	}
}
