package directory

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// Limits of a profile's lists.
const (
	maxKeywords = 20
	maxKeyword  = 50 // characters
)

// Validate checks a normalized profile with no option set, see [Options.Validate].
func (b *Business) Validate() error { return Options{}.Validate(b) }

// Validate checks a normalized profile. The error is a *ProfileError with every
// fault; each message says what to do.
func (o Options) Validate(b *Business) error {
	v := validator{Options: o, b: b}
	v.texts()
	v.email()
	v.contact()
	v.address()
	v.category()
	v.keywords()
	v.socials()
	v.rest()
	if len(v.faults) > 0 {
		return &ProfileError{v.faults}
	}
	return nil
}

type validator struct {
	Options
	b      *Business
	faults []Fault
}

func (v *validator) fault(field, format string, args ...any) {
	v.faults = append(v.faults, Fault{field, fmt.Sprintf(format, args...)})
}

// faulty reports whether the field has a fault already, so that one is enough.
func (v *validator) faulty(field string) bool {
	return slices.ContainsFunc(v.faults, func(f Fault) bool { return f.Field == field })
}

func (v *validator) texts() {
	for _, f := range v.b.texts() {
		if *f.text == "" {
			if f.required != "" {
				v.fault(f.key, "is missing: %s", f.required)
			}
			continue
		}
		v.text(f.key, *f.text, f.max, f.lines)
	}
}

// text checks what holds for every text. It reports one fault at most.
func (v *validator) text(field, s string, limit int, lines bool) {
	n := utf8.RuneCountInString(s)
	i := strings.IndexFunc(s, func(r rune) bool { return !printable(r) && !(lines && r == '\n') })
	switch {
	case !utf8.ValidString(s):
		v.fault(field, "is not UTF-8: save the file as UTF-8")
	case i >= 0 && s[i] == '\n':
		v.fault(field, "has more than one line: write it in one")
	case i >= 0:
		r, _ := utf8.DecodeRuneInString(s[i:])
		v.fault(field, "contains the invisible character %U: remove it", r)
	case n > limit && field == "country":
		v.fault(field, "%s is no country code: %s", oneLine(s), countryRemedy(s))
	case n > limit:
		v.fault(field, "has %d characters, at most %d fit: shorten it", n, limit)
	}
}

// printable refuses control characters and those that turn the direction of the
// text around: both can make a listing show something else than it says.
func printable(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return false
	}
	return true
}

func (v *validator) email() {
	s := v.b.Email
	if s == "" || v.faulty("email") {
		return
	}
	if fault := v.emailFault(s); fault != "" {
		v.fault("email", "%s", fault)
	}
}

// contact checks phone and website; one of them tells the business from others.
func (v *validator) contact() {
	if v.b.Phone == "" && v.b.Website == "" {
		v.fault("website", "is missing: write the website, or at least a phone")
	}
	if v.b.Phone != "" && !v.faulty("phone") {
		v.phone()
	}
	if v.b.Website != "" && !v.faulty("website") {
		v.web("website", v.b.Website)
	}
}

func (v *validator) phone() {
	n, err := phonenumbers.Parse(v.b.Phone, v.b.Country)
	switch {
	case err != nil || !phonenumbers.IsValidNumber(n):
		v.fault("phone", "%s is not a phone number: write it with its country code, like +1 503 555 0142", oneLine(v.b.Phone))
	case phonenumbers.Format(n, phonenumbers.E164) != v.b.Phone:
		v.fault("phone", "%s is not in international form: write %s", oneLine(v.b.Phone), phonenumbers.Format(n, phonenumbers.E164))
	}
}

func (v *validator) web(field, s string) {
	if !strings.Contains(s, "://") {
		v.fault(field, "%s is not a full address: write it with https:// in front", oneLine(s))
		return
	}
	if fault := webFault(s); fault != "" {
		v.fault(field, "%s %s: write an address like https://example.com", oneLine(withoutSecret(s)), fault)
		return
	}
	u, err := url.Parse(s)
	if err != nil { // webFault parsed it
		return
	}
	if fault := hostFault(u.Hostname(), v.AllowLocal); fault != "" {
		v.fault(field, "%s %s", oneLine(u.Hostname()), fault)
	}
}

func (v *validator) address() {
	country := v.b.Country
	name, known := countries[country]
	if country != "" && !known && !v.faulty("country") {
		v.fault("country", "%s is no country code: %s", oneLine(country), countryRemedy(country))
	}
	if known && v.b.Region == "" && slices.Contains(withRegion, country) {
		v.fault("region", "is missing: write the state or province, addresses in %s have one", name)
	}
	if fault := postalFault(v.b.PostalCode, country); fault != "" && !v.faulty("postal_code") {
		v.fault("postal_code", "%s", fault)
	}
}

func (v *validator) category() {
	slug := v.b.Category
	if _, ok := CategoryName(slug); ok || slug == "" || v.faulty("category") {
		return
	}
	v.fault("category", "%s is no category of ours: %s", oneLine(slug), cmp.Or(didYouMean(slug, categorySlugs()), "docs/directories.md lists them"))
}

func (v *validator) keywords() {
	if n := len(v.b.Keywords); n > maxKeywords {
		v.fault("keywords", "has %d keywords, at most %d fit: keep the best", n, maxKeywords)
	}
	for i, k := range v.b.Keywords {
		field := fmt.Sprintf("keywords[%d]", i)
		if k == "" {
			v.fault(field, "is empty: remove it")
		} else {
			v.text(field, k, maxKeyword, false)
		}
	}
}

func (v *validator) socials() {
	for _, network := range slices.Sorted(maps.Keys(v.b.Socials)) {
		field := "socials." + network
		if !slices.Contains(socialNetworks, network) {
			v.fault("socials", "%s is no network we know: %s", oneLine(network),
				cmp.Or(didYouMean(network, socialNetworks), "the networks are "+strings.Join(socialNetworks, ", ")))
			continue
		}
		v.text(field, v.b.Socials[network], 500, false)
		if !v.faulty(field) {
			v.web(field, v.b.Socials[network])
		}
	}
}

func (v *validator) rest() {
	if v.b.Hours != "" && !v.faulty("hours") {
		if fault := hoursFault(v.b.Hours); fault != "" {
			v.fault("hours", "%s", fault)
		}
	}
	if v.b.Logo != "" {
		if fault := logoFault(v.b.Logo); fault != "" {
			v.fault("logo", "%s", fault)
		}
	}
	if y := v.b.YearFounded; y != 0 && (y < 1000 || y > time.Now().Year()) {
		v.fault("year_founded", "%d is not a year of the past: write four digits", y)
	}
}
