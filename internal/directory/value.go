package directory

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// profileKeys names the parts of a profile that a form or a lookup can ask for.
var profileKeys = []struct {
	key  string
	text func(*Business) string
}{
	{"name", func(b *Business) string { return b.Name }},
	{"legal_name", func(b *Business) string { return b.LegalName }},
	{"contact_name", func(b *Business) string { return b.ContactName }},
	{"contact_first_name", func(b *Business) string { first, _ := splitName(b.ContactName); return first }},
	{"contact_last_name", func(b *Business) string { _, last := splitName(b.ContactName); return last }},
	{"email", func(b *Business) string { return b.Email }},
	{"phone", func(b *Business) string { return b.Phone }},
	{"phone_national", nationalPhone},
	{"website", func(b *Business) string { return b.Website }},
	{"website_host", func(b *Business) string { return websiteHost(b.Website) }},
	{"address", fullAddress},
	{"street", func(b *Business) string { return b.Street }},
	{"city", func(b *Business) string { return b.City }},
	{"region", func(b *Business) string { return b.Region }},
	{"postal_code", func(b *Business) string { return b.PostalCode }},
	{"country", func(b *Business) string { return b.Country }},
	{"country_name", func(b *Business) string { return countries[b.Country] }},
	{"category", func(b *Business) string { return b.Category }},
	{"category_name", func(b *Business) string { name, _ := CategoryName(b.Category); return name }},
	{"tagline", func(b *Business) string { return b.Tagline }},
	{"short_description", func(b *Business) string { return b.ShortDescription }},
	{"description", func(b *Business) string { return b.Description }},
	{"keywords", func(b *Business) string { return strings.Join(b.Keywords, ", ") }},
	{"hours", func(b *Business) string { return b.Hours }},
	{"year_founded", yearFounded},
}

// socialNetworks are the keys of [Business.Socials]; each is a profile key after
// "social.".
var socialNetworks = []string{"facebook", "github", "instagram", "linkedin", "pinterest", "threads", "tiktok", "x", "yelp", "youtube"}

// fileKeys are the parts of a profile that are files.
var fileKeys = []string{"logo"}

// Keys lists every key that [Business.Value] knows.
func Keys() []string {
	var keys []string
	for _, k := range profileKeys {
		keys = append(keys, k.key)
	}
	for _, n := range socialNetworks {
		keys = append(keys, "social."+n)
	}
	return keys
}

// FileKeys lists the parts of a profile that are files, see [Field].
func FileKeys() []string { return slices.Clone(fileKeys) }

func isProfileKey(key string) bool {
	_, ok := new(Business).Value(key)
	return ok
}

// Value returns the text of a profile key, without markup: it is for the pages of others.
// False means that there is no such
// key; a known key of which the profile says nothing is "" and true. The profile
// should be normalized.
func (b *Business) Value(key string) (string, bool) {
	if network, ok := strings.CutPrefix(key, "social."); ok {
		return plainText(b.Socials[network]), slices.Contains(socialNetworks, network)
	}
	for _, k := range profileKeys {
		if k.key == key {
			return plainText(k.text(b)), true
		}
	}
	return "", false
}

// splitName takes the last word for the family name.
func splitName(name string) (first, last string) {
	words := strings.Fields(name)
	if len(words) < 2 {
		return strings.Join(words, ""), ""
	}
	return strings.Join(words[:len(words)-1], " "), words[len(words)-1]
}

func fullAddress(b *Business) string {
	place := strings.TrimSpace(b.Region + " " + b.PostalCode)
	parts := []string{b.Street, b.City, place, countries[b.Country]}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func yearFounded(b *Business) string {
	if b.YearFounded == 0 {
		return ""
	}
	return strconv.Itoa(b.YearFounded)
}

// placeholder is a profile key in braces.
var placeholder = regexp.MustCompile(`\{([a-z][a-z_.]*)\}`)

// Placeholders lists the keys that a template names, {name} as name.
func Placeholders(template string) []string {
	var keys []string
	for _, m := range placeholder.FindAllStringSubmatch(template, -1) {
		keys = append(keys, m[1])
	}
	return keys
}

// Expand fills the placeholders of a template from the profile, each value
// through escape unless that is nil. It is false when a placeholder is unknown or
// the profile has nothing for it: such a text is no evidence, since "" stands on
// every page, and such a URL asks for something else.
func Expand(template string, b *Business, escape func(string) string) (string, bool) {
	complete := true
	text := placeholder.ReplaceAllStringFunc(template, func(p string) string {
		value, known := b.Value(p[1 : len(p)-1])
		if !known {
			complete = false
			return p
		}
		if value == "" {
			complete = false
		}
		if escape != nil {
			value = escape(value)
		}
		return value
	})
	return text, complete
}
