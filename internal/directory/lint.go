package directory

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// needs are the kinds of action that a catalog may name.
var needs = []string{
	NeedCaptcha, NeedLogin, NeedEmailVerification, NeedPhoneVerification, NeedPayment,
	NeedMissingField, NeedTerms, NeedCategoryChoice, NeedManual,
}

var (
	methods     = []Method{MethodForm, MethodBrowser, MethodAPI, MethodManual, MethodCanary}
	automations = []Automation{AutomationAllowed, AutomationUnknown, AutomationForbidden}
	slugPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// Limits of an entry.
const (
	maxSlug = 64
	maxName = 100 // characters
	maxURL  = 2048
)

// check finds what is wrong with the entries, one by one and together.
func check(entries []entry, where string) []Finding {
	if len(entries) == 0 {
		return []Finding{{File: where, Severity: SeverityError, Message: "no directories in the catalog",
			Remedy: "add at least one entry, docs/directories.md shows how"}}
	}
	var findings []Finding
	slugs, urls := map[string]entry{}, map[string]entry{}
	for _, e := range entries {
		c := checker{entry: e}
		c.readFaults()
		c.unique(slugs, urls)
		c.identity()
		c.reach()
		c.method()
		c.rules()
		c.lookup()
		c.pacing()
		c.categories()
		findings = append(findings, c.findings...)
	}
	return findings
}

func sortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// checker checks one entry.
type checker struct {
	entry
	findings []Finding
}

func (c *checker) find(s Severity, key string, line int, remedy, message string) {
	c.findings = append(c.findings, Finding{
		File: c.file, Line: line, Directory: cmp.Or(c.Slug, c.Name), Key: key,
		Message: message, Remedy: remedy, Severity: s,
	})
}

func (c *checker) fault(key, remedy, format string, args ...any) {
	if !c.binder.hidden(key) {
		c.find(SeverityError, key, c.lineOf(key), remedy, fmt.Sprintf(format, args...))
	}
}

func (c *checker) warn(key, remedy, format string, args ...any) {
	if !c.binder.hidden(key) {
		c.find(SeverityWarning, key, c.lineOf(key), remedy, fmt.Sprintf(format, args...))
	}
}

// lineOf is the line of the key, or of the nearest one that it lies in.
func (c *checker) lineOf(key string) int {
	for key != "" {
		if line, ok := c.binder.lines[key]; ok {
			return line
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return c.line
}

func (c *checker) readFaults() {
	for _, f := range c.binder.faults {
		c.find(SeverityError, f.path, f.line, f.remedy, f.message)
	}
}

// unique refuses a second entry of one slug, and doubts one of the same address:
// a business would be handed in there twice.
func (c *checker) unique(slugs, urls map[string]entry) {
	if first, ok := slugs[c.Slug]; ok && c.Slug != "" {
		c.fault("slug", "give each directory a slug of its own", "is taken already%s", first.place())
	} else {
		slugs[c.Slug] = c.entry
	}
	address := strings.TrimSuffix(strings.ToLower(c.URL), "/")
	if first, ok := urls[address]; ok && address != "" {
		c.warn("url", "remove one of the two, or the directory gets each business twice", "is also the url of %q%s", first.Slug, first.place())
	} else {
		urls[address] = c.entry
	}
}

func (e entry) place() string {
	if e.file == "" {
		return ""
	}
	return fmt.Sprintf(", by %s:%d", e.file, e.line)
}

func (c *checker) identity() {
	switch {
	case c.Slug == "":
		c.fault("slug", "give the directory a short name like acme-listings; it never changes", "is missing")
	case !slugPattern.MatchString(c.Slug), len(c.Slug) > maxSlug:
		c.fault("slug", fmt.Sprintf("use lower-case letters and digits, joined by single hyphens, at most %d", maxSlug), "%s is not a slug", oneLine(c.Slug))
	}
	switch {
	case strings.TrimSpace(c.Name) == "":
		c.fault("name", "write the directory's name as people know it", "is missing")
	case utf8.RuneCountInString(c.Name) > maxName:
		c.fault("name", fmt.Sprintf("shorten it to %d", maxName), "has %d characters", utf8.RuneCountInString(c.Name))
	case strings.ContainsFunc(c.Name, unicode.IsControl):
		c.fault("name", "write it in one line of plain text", "contains a control character")
	}
	c.address("url", c.URL)
	if c.Checked != "" {
		if _, err := time.Parse(time.DateOnly, c.Checked); err != nil {
			c.fault("checked", "write the day a person last looked, like 2026-11-23", "%s is not a date", oneLine(c.Checked))
		}
	}
}

// address checks an absolute URL without placeholders.
func (c *checker) address(key, s string) {
	const remedy = "write an address like https://directory.example/add"
	if s == "" {
		c.fault(key, remedy, "is missing")
		return
	}
	if fault := webFault(s); fault != "" {
		c.fault(key, remedy, "%s %s", oneLine(withoutSecret(s)), fault)
	}
}

// withoutSecret hides the password of an address, which does not belong in logs.
func withoutSecret(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	return u.Redacted()
}

// webFault says what keeps s from being an absolute http or https URL, or "".
func webFault(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "is not a URL"
	case strings.ContainsFunc(s, unicode.IsSpace):
		return "contains a space"
	case len(s) > maxURL:
		return fmt.Sprintf("is longer than %d bytes", maxURL)
	case u.Scheme != "http" && u.Scheme != "https":
		return "is not an absolute http or https URL"
	case u.Hostname() == "":
		return "names no host"
	case u.User != nil:
		return "contains a user name"
	}
	return ""
}

func (c *checker) reach() {
	if c.parsed && c.binder.lines["authority"] == 0 {
		c.fault("authority", "write 0 to 100; selection goes by it", "is missing")
	}
	if c.Authority < 0 || c.Authority > 100 {
		c.fault("authority", "write 0 to 100", "%d is out of range", c.Authority)
	}
	switch {
	case c.Tier == 0:
		c.fault("tier", "write 1 (best) to 4", "is missing")
	case c.Tier < 1 || c.Tier > 4:
		c.fault("tier", "write 1 (best) to 4", "%d is out of range", c.Tier)
	}
	for i, code := range c.Country {
		key := fmt.Sprintf("country[%d]", i)
		if _, ok := countries[code]; !ok {
			c.fault(key, countryRemedy(code), "%s is no country code", oneLine(code))
		} else if slices.Index(c.Country, code) != i {
			c.fault(key, "remove one of the two", "%s stands twice", oneLine(code))
		}
	}
}

// CountryFault says why a text is no code of a country, and what to write; it is empty when
// it is one.
func CountryFault(code string) string {
	if _, ok := countries[code]; ok {
		return ""
	}
	return oneLine(code) + " is no country code: " + countryRemedy(code)
}

func countryRemedy(code string) string {
	upper := strings.ToUpper(strings.TrimSpace(code))
	if _, ok := countries[upper]; ok {
		return "write " + upper
	}
	if upper == "UK" {
		return "write GB"
	}
	for known, name := range countries {
		if strings.EqualFold(name, upper) {
			return "write " + known
		}
	}
	return "write an ISO 3166-1 code of two letters, like US"
}

func (c *checker) pacing() {
	const remedy = "write a duration like 30s, or remove it"
	if c.Pacing.MinInterval < 0 {
		c.fault("pacing.min_interval", remedy, "is negative")
	}
	if c.Pacing.Timeout < 0 {
		c.fault("pacing.timeout", remedy, "is negative")
	}
	if c.Pacing.DailyCap < 0 {
		c.fault("pacing.daily_cap", "write the turns a day, or remove it", "is negative")
	}
}

func (c *checker) categories() {
	if c.Category == "" {
		c.fault("category", "write general, or what the directory is about", "is missing")
	} else if c.Category != CategoryGeneral {
		c.category("category", c.Category)
	}
	for _, slug := range slices.Sorted(maps.Keys(c.Categories)) {
		key := "categories." + slug
		if slug != "*" {
			c.category(key, slug)
		}
		if c.Categories[slug] == "" {
			c.fault(key, "write the directory's own name or number for it", "is empty")
		}
	}
}

func (c *checker) category(key, slug string) {
	if _, ok := CategoryName(slug); !ok {
		c.fault(key, cmp.Or(didYouMean(slug, categorySlugs()), "docs/directories.md lists the categories"), "%s is no category of ours", oneLine(slug))
	}
}

func list[S ~string](words []S) string {
	s := make([]string, len(words))
	for i, w := range words {
		s[i] = string(w)
	}
	return strings.Join(s, ", ")
}
