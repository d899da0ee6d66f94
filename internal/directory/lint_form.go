package directory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/andybalholm/cascadia"
)

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
