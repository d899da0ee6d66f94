package formfield

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// words splits a label or an attribute into lower-case words without accents:
// at everything that is no letter or digit, at a capital after a small letter, and
// between letters and digits. "businessName*" and "Business name" are the same.
func words(s string) []string {
	var out []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			out = append(out, word.String())
			word.Reset()
		}
	}
	var last rune
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
		case unicode.IsDigit(r) != unicode.IsDigit(last), unicode.IsUpper(r) && unicode.IsLower(last):
			flush()
			fallthrough
		default:
			word.WriteString(fold(r))
		}
		last = r
	}
	flush()
	return out
}

func fold(r rune) string {
	switch r {
	case 'ß', 'ẞ':
		return "ss"
	case 'ø', 'Ø':
		return "o"
	}
	return string(unicode.ToLower(r))
}

// remark is a text in parentheses that says how to fill a field, not what it is.
var remark = regexp.MustCompile(`(?i)[(\[][^)\]]*(?:\d|optional|required|character|comma|separated|e\.g|example|if any|max|min|format|include)[^)\]]*[)\]]`)

// alternatives splits "City / Town" into its two names.
func alternatives(s string) []string {
	s = remark.ReplaceAllString(s, " ")
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("/|,;&()", r) })
}

// filler are words that say nothing of what a field is, and may stand around any
// name. In attributes the prefixes of form builders do.
var filler = set(`a an the of for to and or in on at by with your our my this these please enter add type provide select choose
	pick upload tell us here what is are which where full valid new listing list submit submission field input txt text fld frm form
	user item entry data info information details detail value post custom meta attr required optional number no id job social
	company business organization organisation firm firma entreprise empresa site directory url link wpforms wpcf acf cf gform
	der die das des ihr ihre ihrer eure deine le la les l de du d votre el los tu su il lo un una une da do seu uw het een`)

func set(list string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}
