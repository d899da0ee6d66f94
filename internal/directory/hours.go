package directory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// weekdays in schema.org's short form.
var weekdays = []string{"Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"}

var (
	timeRange = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`)
	gaps      = regexp.MustCompile(` *([,;-]) *`)
)

// normalHours writes schema.org opening hours with one kind of gap: nothing
// around - and a comma, "; " between entries.
func normalHours(s string) string {
	s = gaps.ReplaceAllString(strings.NewReplacer("–", "-", "—", "-").Replace(s), "$1")
	s = strings.TrimFunc(s, func(r rune) bool { return r == ';' || unicode.IsSpace(r) })
	return strings.ReplaceAll(s, ";", "; ")
}

// hoursFault says what is wrong with normalized opening hours, or "".
func hoursFault(s string) string {
	for _, entry := range strings.Split(s, "; ") {
		days, times, timed := strings.Cut(entry, " ")
		for _, d := range strings.Split(days, ",") {
			if !isDays(d) {
				return fmt.Sprintf("%s does not begin with days: write them like Mo-Fr 09:00-17:00; Sa 10:00-13:00", oneLine(entry))
			}
		}
		if !timed {
			continue // schema.org: open all day
		}
		for _, t := range strings.Split(times, ",") {
			from, to, _ := strings.Cut(t, "-")
			if !timeRange.MatchString(t) || from == to {
				return fmt.Sprintf("%s has no times like 09:00-17:00: write 24 hours with two digits, 00:00-24:00 for the whole day", oneLine(entry))
			}
		}
	}
	return ""
}

// isDays reports whether s is a day or a range of days.
func isDays(s string) bool {
	from, to, isRange := strings.Cut(s, "-")
	return slices.Contains(weekdays, from) && (!isRange || slices.Contains(weekdays, to) && from != to)
}
