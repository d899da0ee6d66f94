package directory

import (
	"regexp"
	"slices"
	"strings"
)

// postalFormat is how a country writes its postal codes.
type postalFormat struct {
	pattern *regexp.Regexp // of the code in its canonical form
	tail    int            // letters after the gap; 0: no gap
	gap     string
	example string
}

func postal(pattern string, tail int, gap, example string) postalFormat {
	return postalFormat{regexp.MustCompile(`^(?:` + pattern + `)$`), tail, gap, example}
}

var fiveDigits = postal(`[0-9]{5}`, 0, "", "10115")
var fourDigits = postal(`[0-9]{4}`, 0, "", "1010")

// postalFormats has the countries whose codes are checked. Others are taken as
// they come, within [anyPostalCode].
var postalFormats = map[string]postalFormat{
	"US": postal(`[0-9]{5}(-[0-9]{4})?`, 0, "", "97205"),
	"CA": postal(`[A-Z][0-9][A-Z] [0-9][A-Z][0-9]`, 3, " ", "K1A 0B1"),
	"GB": postal(`[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}`, 3, " ", "SW1A 1AA"),
	"NL": postal(`[0-9]{4} [A-Z]{2}`, 2, " ", "1012 AB"),
	"SE": postal(`[0-9]{3} [0-9]{2}`, 2, " ", "111 22"),
	"CZ": postal(`[0-9]{3} [0-9]{2}`, 2, " ", "110 00"),
	"SK": postal(`[0-9]{3} [0-9]{2}`, 2, " ", "811 01"),
	"GR": postal(`[0-9]{3} [0-9]{2}`, 2, " ", "104 31"),
	"PL": postal(`[0-9]{2}-[0-9]{3}`, 3, "-", "00-950"),
	"PT": postal(`[0-9]{4}-[0-9]{3}`, 3, "-", "1000-001"),
	"BR": postal(`[0-9]{5}-[0-9]{3}`, 3, "-", "01310-100"),
	"JP": postal(`[0-9]{3}-[0-9]{4}`, 4, "-", "100-0001"),
	"IN": postal(`[1-9][0-9]{5}`, 0, "", "110001"),
	"SG": postal(`[0-9]{6}`, 0, "", "018989"),
	"DE": fiveDigits, "FR": fiveDigits, "IT": fiveDigits, "ES": fiveDigits, "FI": fiveDigits, "MX": fiveDigits,
	"AT": fourDigits, "CH": fourDigits, "BE": fourDigits, "DK": fourDigits, "NO": fourDigits, "AU": fourDigits, "NZ": fourDigits, "ZA": fourDigits,
}

var anyPostalCode = regexp.MustCompile(`^[A-Z0-9]([A-Z0-9 -]*[A-Z0-9])?$`)

// noPostalCode are countries where addresses have none, or mostly none.
var noPostalCode = []string{
	"AE", "AG", "AO", "AW", "BF", "BI", "BJ", "BO", "BS", "BW", "BZ", "CD", "CF", "CG", "CI", "CK", "CM", "CW", "DJ", "DM",
	"ER", "FJ", "GA", "GD", "GH", "GM", "GQ", "GY", "HK", "IE", "JM", "KI", "KM", "KN", "KP", "LC", "ML", "MO", "MR", "MS",
	"MW", "NR", "NU", "PA", "QA", "RW", "SB", "SC", "SL", "SO", "SR", "ST", "SX", "SY", "TD", "TG", "TK", "TO", "TV", "UG",
	"VC", "VU", "YE", "ZW",
}

// withRegion are countries whose addresses are incomplete without a region.
var withRegion = []string{"AU", "BR", "CA", "IN", "MX", "US"}

// normalPostalCode writes a code in upper case with the gap where its country
// has one.
func normalPostalCode(s, country string) string {
	s = upperASCII(s)
	f, ok := postalFormats[country]
	if !ok || f.tail == 0 {
		return s
	}
	solid := strings.NewReplacer(" ", "", "-", "").Replace(s)
	if len(solid) <= f.tail {
		return s
	}
	if spaced := solid[:len(solid)-f.tail] + f.gap + solid[len(solid)-f.tail:]; f.pattern.MatchString(spaced) {
		return spaced
	}
	return s
}

// postalFault says what is wrong with a canonical code, or "".
func postalFault(code, country string) string {
	if code == "" {
		if slices.Contains(noPostalCode, country) {
			return ""
		}
		return "is missing: write the postal code of the address"
	}
	if f, ok := postalFormats[country]; ok && !f.pattern.MatchString(code) {
		return oneLine(code) + " is no postal code of " + countries[country] + ": write it like " + f.example
	}
	if !anyPostalCode.MatchString(code) {
		return oneLine(code) + " is no postal code: use letters, digits, spaces and hyphens"
	}
	return ""
}
