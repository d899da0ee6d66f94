package directory

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/unicode/norm"
)

// Normalize writes the profile in its one canonical form: text trimmed and
// composed, the phone in E.164, scheme and host of the website in lower-case
// ASCII, codes in the case they have. It corrects no mistakes; those are for
// [Business.Validate]. Doing it twice changes nothing more.
func (b *Business) Normalize() {
	for _, f := range b.texts() {
		*f.text = normalText(*f.text, f.lines)
	}
	b.Country = upperASCII(b.Country)
	b.Category = lowerASCII(b.Category)
	b.Email = normalEmail(b.Email)
	b.Phone = normalPhone(b.Phone, b.Country)
	b.Website = normalWebsite(b.Website)
	b.PostalCode = normalPostalCode(b.PostalCode, b.Country)
	b.Hours = normalHours(b.Hours)
	b.Logo = strings.TrimSpace(b.Logo)
	for i, k := range b.Keywords {
		b.Keywords[i] = normalText(k, false)
	}
	b.Socials = normalSocials(b.Socials)
}

// textField is a text of the profile with its limits.
type textField struct {
	key      string
	text     *string
	max      int  // characters
	lines    bool // may have more than one
	required string
}

// texts lists all texts but the logo. required is the remedy for an empty one.
func (b *Business) texts() []textField {
	return []textField{
		{"name", &b.Name, 100, false, "write the name that customers know"},
		{"legal_name", &b.LegalName, 150, false, ""},
		{"contact_name", &b.ContactName, 100, false, ""},
		{"email", &b.Email, maxEmail, false, "write an address that the business reads; directories send confirmations there"},
		{"phone", &b.Phone, 40, false, ""},
		{"website", &b.Website, 500, false, ""},
		{"street", &b.Street, 150, false, "write street and number"},
		{"city", &b.City, 100, false, "write the town or city"},
		{"region", &b.Region, 100, false, ""},
		{"postal_code", &b.PostalCode, 12, false, ""},
		{"country", &b.Country, 2, false, "write an ISO 3166-1 code of two letters, like US"},
		{"category", &b.Category, 64, false, "write one of our categories, like bakery or plumber"},
		{"tagline", &b.Tagline, 120, false, ""},
		{"short_description", &b.ShortDescription, 160, false, ""},
		{"description", &b.Description, 2000, true, "write two or three sentences about the business"},
		{"hours", &b.Hours, 500, false, ""},
	}
}

// normalText composes the letters, trims, and makes one space of several. Line
// breaks stay where lines is true; elsewhere they are a fault, not a space.
func normalText(s string, lines bool) string {
	s = norm.NFC.String(s)
	if !lines {
		return squeeze(s)
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	split := strings.Split(s, "\n")
	for i, line := range split {
		split[i] = squeeze(line)
	}
	return strings.Trim(strings.Join(split, "\n"), "\n")
}

// squeeze makes one space of each run of spaces and tabs, and none at the ends.
func squeeze(s string) string {
	blank := func(r rune) bool { return r == '\t' || unicode.Is(unicode.Zs, r) }
	s = strings.Join(strings.FieldsFunc(s, blank), " ")
	return strings.TrimSpace(s)
}

// Codes are ASCII. Other letters keep their case: in the other one they may
// compose differently, and the text would not be in normal form any more.
func upperASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func normalEmail(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	return s[:at+1] + asciiHost(s[at+1:])
}

// normalPhone writes a number in E.164, one without country code as a number of
// the country. What is no number stays as it is.
func normalPhone(s, country string) string {
	n, err := phonenumbers.Parse(s, country)
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return s
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}

// nationalPhone is the number as people in its country write it.
func nationalPhone(b *Business) string {
	n, err := phonenumbers.Parse(b.Phone, b.Country)
	if err != nil {
		return b.Phone
	}
	return phonenumbers.Format(n, phonenumbers.NATIONAL)
}

// normalSocials writes the networks in lower case and drops empty ones.
func normalSocials(socials map[string]string) map[string]string {
	if socials == nil {
		return nil
	}
	normal := make(map[string]string, len(socials))
	for network, address := range socials {
		network, address = lowerASCII(normalText(network, false)), normalText(address, false)
		if network == "twitter" {
			network = "x"
		}
		if address != "" {
			normal[network] = normalWebsite(address)
		}
	}
	return normal
}
