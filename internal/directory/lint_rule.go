package directory

import (
	"fmt"
	"slices"
	"strings"
)

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
