package httpform

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"github.com/directorybolt/directorybolt/internal/directory"
)

const (
	maxExcerpt = 500  // bytes
	maxURL     = 2048 // bytes of a listing's URL
)

// reader applies the rules of a directory to pages.
type reader struct {
	business *directory.Business
	now      time.Time
}

// first returns the first rule that matches, by its index, and what it matched.
// before is the page before the post, nil where there was none: text, selector and
// JSON that it has already prove nothing.
func (r reader) first(rules []directory.Rule, after, before *view) (int, *directory.Evidence) {
	for i, rule := range rules {
		if excerpt, ok := r.match(rule, after, before); ok {
			return i, r.evidence(rule, after, excerpt)
		}
	}
	return -1, nil
}

// match reports whether all that the rule says is true of the page. The excerpt is
// what it matched. A rule that says nothing matches nothing.
func (r reader) match(rule directory.Rule, after, before *view) (excerpt string, ok bool) {
	tests := []struct {
		set     bool
		holds   func(*view) (string, bool)
		byState bool // counts even if it was true before the post
	}{
		{rule.Text != "", func(v *view) (string, bool) { return r.text(rule.Text, v) }, false},
		{rule.Selector != "", func(v *view) (string, bool) { return bySelector(rule.Selector, v) }, false},
		{rule.JSON != "", func(v *view) (string, bool) { return byJSON(rule.JSON, rule.Equals, v) }, false},
		{rule.URL != "", func(v *view) (string, bool) { return byURL(rule.URL, v) }, true},
		{rule.Status != 0, func(v *view) (string, bool) {
			return fmt.Sprintf("HTTP %d", v.page.Status), v.page.Status == rule.Status
		}, true},
	}
	for _, t := range tests {
		if !t.set {
			continue
		}
		found, holds := t.holds(after)
		if !holds {
			return "", false
		}
		if before != nil && !t.byState {
			if _, held := t.holds(before); held {
				return "", false
			}
		}
		if excerpt == "" {
			excerpt = found
		}
		ok = true
	}
	return excerpt, ok
}

// text looks for a text in what the page shows, without case.
func (r reader) text(template string, v *view) (string, bool) {
	wanted, complete := directory.Expand(template, r.business, nil)
	wanted = lower(squeeze(wanted))
	if !complete || wanted == "" {
		return "", false
	}
	shown := v.text()
	folded := lower(shown)
	at := strings.Index(folded, wanted)
	if at < 0 {
		return "", false
	}
	// Letters may change their size with their case, but not their number.
	from := utf8.RuneCountInString(folded[:at])
	return around(shown, from, utf8.RuneCountInString(wanted)), true
}

func lower(s string) string { return strings.Map(unicode.ToLower, s) }

// around is the text from the given character on with what stands beside it, in
// at most maxExcerpt bytes.
func around(s string, from, length int) string {
	r := []rune(s)
	start := max(from-60, 0)
	for start > 0 && start < from && r[start-1] != ' ' {
		start++ // at the beginning of a word
	}
	end := min(from+length+200, len(r))
	return excerptOf(string(r[start:end]))
}

func excerptOf(s string) string {
	s = squeeze(s)
	if len(s) <= maxExcerpt {
		return s
	}
	s = s[:maxExcerpt]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return strings.TrimSpace(s)
}

func bySelector(selector string, v *view) (string, bool) {
	found := v.find(selector)
	if found == nil {
		return "", false
	}
	if text := v.textOf(found.Get(0)); text != "" {
		return excerptOf(text), true
	}
	return excerptOf("an element that matches " + selector), true
}

// find returns the first element that matches, nil if none does. A selector that
// cannot be read matches nothing; the catalog's check names it.
func (v *view) find(selector string) *goquery.Selection {
	if v.doc == nil {
		return nil
	}
	m, err := cascadia.Compile(selector)
	if err != nil {
		return nil
	}
	if s := v.doc.FindMatcher(m).First(); s.Length() > 0 {
		return s
	}
	return nil
}

func byURL(part string, v *view) (string, bool) {
	at := v.page.URL.RequestURI()
	return excerptOf(at), strings.Contains(at, part)
}

func byJSON(path, equals string, v *view) (string, bool) {
	value, ok := lookupJSON(v.data(), path)
	if !ok || value == nil || value == false {
		return "", false
	}
	said := jsonText(value)
	return excerptOf(path + ": " + said), equals == "" || said == equals
}

// lookupJSON follows a dotted path; a number is an index where a list is.
func lookupJSON(data any, path string) (any, bool) {
	for step := range strings.SplitSeq(path, ".") {
		switch at := data.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				return nil, false
			}
			data = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			data = at[i]
		default:
			return nil, false
		}
	}
	return data, true
}

func jsonText(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}

func (r reader) evidence(rule directory.Rule, v *view, excerpt string) *directory.Evidence {
	kept := v.kept()
	return &directory.Evidence{
		Rule: inWords(rule), URL: kept.URL, Status: kept.Status, Excerpt: excerpt,
		MediaType: kept.MediaType, Size: int64(len(kept.Body)), At: r.now.UTC(),
	}
}

// inWords is a rule as the catalog writes it, on one line.
func inWords(rule directory.Rule) string {
	var parts []string
	say := func(name, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%s: %q", name, value))
		}
	}
	say("text", rule.Text)
	say("selector", rule.Selector)
	say("url", rule.URL)
	say("json", rule.JSON)
	say("equals", rule.Equals)
	if rule.Status != 0 {
		parts = append(parts, fmt.Sprintf("status: %d", rule.Status))
	}
	return strings.Join(parts, ", ")
}

// listingURL finds the URL of the listing in an answer, "" if it is not there.
func listingURL(x *directory.Extract, v *view) string {
	if x == nil {
		return ""
	}
	base, found := v.page.URL, ""
	switch {
	case x.Selector != "":
		if s := v.find(x.Selector); s != nil {
			base, found = v.base, s.AttrOr("href", "")
		}
	case x.Header != "":
		base, found = headerValue(x.Header, v)
	case x.JSON != "":
		value, _ := lookupJSON(v.data(), x.JSON)
		found, _ = value.(string)
	case x.Final:
		found = v.page.URL.String()
	}
	return absolute(base, found)
}

// headerValue looks in the final answer, then in those that led to it.
func headerValue(name string, v *view) (*url.URL, string) {
	if value := v.page.Header.Get(name); value != "" {
		return v.page.URL, value
	}
	for i := len(v.page.Hops) - 1; i >= 0; i-- {
		if value := v.page.Hops[i].Header.Get(name); value != "" {
			return v.page.Hops[i].URL, value
		}
	}
	return v.page.URL, ""
}

func absolute(base *url.URL, ref string) string {
	if ref = strings.TrimSpace(ref); ref == "" {
		return ""
	}
	u, err := base.Parse(ref)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	u.User = nil
	if s := u.String(); len(s) <= maxURL && utf8.ValidString(s) {
		return s
	}
	return ""
}
