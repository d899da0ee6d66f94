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

	"github.com/andybalholm/cascadia"
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

func (c *checker) method() {
	switch {
	case c.Method == "":
		c.fault("method", "write one of "+list(methods), "is missing")
	case !slices.Contains(methods, c.Method):
		c.fault("method", "write one of "+list(methods), "%s is not known", oneLine(string(c.Method)))
	}
	if c.Automation != "" && !slices.Contains(automations, c.Automation) {
		c.fault("automation", "write one of "+list(automations), "%s is not known", oneLine(string(c.Automation)))
	}
	fills := c.Method == MethodForm || c.Method == MethodBrowser
	switch {
	case c.Form != nil && !fills && slices.Contains(methods, c.Method):
		c.fault("form", "remove it, or write method: form", "is of no use with method %s", c.Method)
	case c.Form != nil:
		c.form()
	case fills && c.Need() == "":
		c.fault("form", "describe the form: start and steps", "is missing")
	}
}

func list[S ~string](words []S) string {
	s := make([]string, len(words))
	for i, w := range words {
		s[i] = string(w)
	}
	return strings.Join(s, ", ")
}

func (c *checker) form() {
	c.address("form.start", c.Form.Start)
	if len(c.Form.Steps) == 0 {
		c.fault("form.steps", "add at least one; the last is the one that files the listing", "no step")
	}
	for i, s := range c.Form.Steps {
		key := fmt.Sprintf("form.steps[%d]", i)
		c.selector(key+".form", s.Form)
		for j, f := range s.Fields {
			c.field(fmt.Sprintf("%s.fields[%d]", key, j), f)
		}
	}
}

func (c *checker) field(key string, f Field) {
	if n := countSet(f.Name, f.Label, f.CSS); n != 1 {
		c.fault(key, "give exactly one of name, label and css", "%s what finds the control", numberWord(n))
	}
	if n := countSet(f.Profile, f.Value, f.File); n != 1 {
		c.fault(key, "give exactly one of profile, value and file", "%s what goes in", numberWord(n))
	}
	c.selector(key+".css", f.CSS)
	if f.Profile != "" && !isProfileKey(f.Profile) {
		c.fault(key+".profile", profileKeyRemedy(f.Profile), "%s is no profile key", oneLine(f.Profile))
	}
	if f.File != "" && !slices.Contains(fileKeys, f.File) {
		c.fault(key+".file", "write "+strings.Join(fileKeys, " or "), "%s is no file of a profile", oneLine(f.File))
	}
	if len(Placeholders(f.Value)) > 0 {
		c.warn(key+".value", "use profile to fill in a part of the profile", "%s is sent as it stands", oneLine(f.Value))
	}
	if f.Max < 0 {
		c.fault(key+".max", "write the number of characters that fit, or remove it", "is negative")
	}
}

func profileKeyRemedy(key string) string {
	return cmp.Or(didYouMean(key, Keys()), "docs/directories.md lists the keys of a profile")
}

func countSet(values ...string) int {
	n := 0
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}

func numberWord(n int) string {
	if n == 0 {
		return "nothing says"
	}
	return "more than one key says"
}

func (c *checker) selector(key, css string) {
	if css == "" {
		return
	}
	if _, err := cascadia.ParseGroup(css); err != nil {
		c.fault(key, "write a CSS selector like form#listing or div.success", "%s is not a CSS selector: %v", oneLine(css), err)
	}
}

func (c *checker) rules() {
	submits := c.Method == MethodForm || c.Method == MethodBrowser || c.Method == MethodAPI
	if submits && c.Need() == "" && len(c.Success) == 0 {
		c.fault("success", "add at least one, without evidence nothing counts as submitted", "no rule")
	}
	for i, r := range c.Success {
		key := fmt.Sprintf("success[%d]", i)
		c.rule(key, r)
		if r.Status == 200 && countSet(r.Text, r.Selector, r.URL, r.JSON) == 0 {
			c.warn(key, "add a text or a selector that only the confirmation has", "status 200 alone is what an error page has too")
		}
	}
	for i, r := range c.Rejected {
		c.rule(fmt.Sprintf("rejected[%d]", i), r)
	}
	for i, r := range c.Action {
		key := fmt.Sprintf("action[%d]", i)
		c.rule(key, r.Rule)
		switch {
		case r.Need == "":
			c.fault(key+".need", "write one of "+list(needs), "is missing")
		case !slices.Contains(needs, r.Need):
			c.fault(key+".need", "write one of "+list(needs), "%s is no kind of action", oneLine(r.Need))
		}
	}
	c.extract("listing", c.Listing)
}

func (c *checker) rule(key string, r Rule) {
	if countSet(r.Text, r.Selector, r.URL, r.JSON) == 0 && r.Status == 0 {
		c.fault(key, "give at least one of text, selector, url, status and json", "the rule matches everything")
	}
	if r.Text != "" && strings.TrimSpace(r.Text) == "" {
		c.fault(key+".text", "write words that only this page has", "is blank")
	}
	c.placeholders(key+".text", r.Text)
	c.selector(key+".selector", r.Selector)
	if r.Status != 0 && (r.Status < 100 || r.Status > 599) {
		c.fault(key+".status", "write an HTTP status, 100 to 599", "%d is out of range", r.Status)
	}
	if r.Equals != "" && r.JSON == "" {
		c.fault(key+".equals", "name the path in json", "compares nothing")
	}
}

func (c *checker) placeholders(key, template string) {
	for _, p := range Placeholders(template) {
		if !isProfileKey(p) {
			c.fault(key, profileKeyRemedy(p), "unknown placeholder {%s}", p)
		}
	}
}

func (c *checker) extract(key string, x *Extract) {
	if x == nil {
		return
	}
	n := countSet(x.Selector, x.Header, x.JSON)
	if x.Final {
		n++
	}
	if n != 1 {
		c.fault(key, "give exactly one of selector, header, json and final", "%s where the URL stands", numberWord(n))
	}
	c.selector(key+".selector", x.Selector)
}

func (c *checker) lookup() {
	l := c.Lookup
	if l == nil {
		return
	}
	c.lookupURL(l.URL)
	if len(l.Found) == 0 {
		c.fault("lookup.found", "add a rule that matches when the business is there", "no rule")
	}
	for i, r := range l.Found {
		c.rule(fmt.Sprintf("lookup.found[%d]", i), r)
	}
	for i, r := range l.Absent {
		c.rule(fmt.Sprintf("lookup.absent[%d]", i), r)
	}
	if l.AbsenceIsProof && len(l.Absent) == 0 {
		c.fault("lookup.absence_is_proof", "add a rule to lookup.absent, or write false", "nothing says what absence looks like")
	}
	if l.Settle < 0 {
		c.fault("lookup.settle", "write a duration like 30s", "is negative")
	}
	c.extract("lookup.listing", l.Listing)
}

// lookupURL checks the template: whatever a profile holds, it may only change
// the path and the query. A host from a profile would send requests anywhere.
func (c *checker) lookupURL(template string) {
	const key = "lookup.url"
	c.placeholders(key, template)
	if template != "" && len(Placeholders(template)) == 0 {
		c.fault(key, "put a placeholder in, like ?q={website_host}", "is the same page for every business")
	}
	filled := placeholder.ReplaceAllString(template, "x")
	c.address(key, filled)
	authority, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(template, "https://"), "http://"), "/")
	authority, _, _ = strings.Cut(authority, "?")
	if placeholder.MatchString(authority) {
		c.fault(key, "write the host out, use placeholders after it", "takes its host from the profile")
	}
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
