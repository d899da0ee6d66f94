package directory

import "time"

// Method says how a directory takes submissions.
type Method string

const (
	MethodForm    Method = "form"    // a plain HTML form over HTTP
	MethodBrowser Method = "browser" // a form that needs a browser
	MethodAPI     Method = "api"     // a REST API
	MethodManual  Method = "manual"  // a person does it
	MethodCanary  Method = "canary"  // writes to a witness table
)

// Automation says whether the directory's terms let software submit.
type Automation string

const (
	AutomationAllowed   Automation = "allowed"
	AutomationUnknown   Automation = "unknown" // treated as allowed, with robots.txt and pacing
	AutomationForbidden Automation = "forbidden"
)

// Directory is one entry of the catalog. The YAML keys are the field names of
// the documented format, docs/directories.md.
type Directory struct {
	Slug          string            `yaml:"slug" json:"slug"`
	Name          string            `yaml:"name" json:"name"`
	URL           string            `yaml:"url" json:"url"`
	Category      string            `yaml:"category" json:"category"`   // what the directory is about; "general" for all
	Tier          int               `yaml:"tier" json:"tier"`           // 1 best to 4
	Authority     int               `yaml:"authority" json:"authority"` // 0 to 100; selection goes by it
	Country       []string          `yaml:"country" json:"country,omitempty"`
	Active        *bool             `yaml:"active" json:"active,omitempty"` // nil means true
	Method        Method            `yaml:"method" json:"method"`
	Automation    Automation        `yaml:"automation" json:"automation,omitempty"` // empty means unknown
	RequiresLogin bool              `yaml:"requires_login" json:"requires_login,omitempty"`
	HasCaptcha    bool              `yaml:"has_captcha" json:"has_captcha,omitempty"`
	Paid          bool              `yaml:"paid" json:"paid,omitempty"`
	Form          *Form             `yaml:"form" json:"form,omitempty"`
	Success       []Rule            `yaml:"success" json:"success,omitempty"`   // any of these is evidence
	Rejected      []Rule            `yaml:"rejected" json:"rejected,omitempty"` // any of these is a no
	Action        []ActionRule      `yaml:"action" json:"action,omitempty"`     // any of these needs a person
	Listing       *Extract          `yaml:"listing" json:"listing,omitempty"`   // where the listing's URL stands in the answer
	Lookup        *Lookup           `yaml:"lookup" json:"lookup,omitempty"`
	Pacing        Pacing            `yaml:"pacing" json:"pacing"`
	Categories    map[string]string `yaml:"categories" json:"categories,omitempty"` // our category -> the directory's own; "*" is the rest
	Checked       string            `yaml:"checked" json:"checked,omitempty"`       // YYYY-MM-DD, when a person last looked

	Source  string `yaml:"-" json:"source,omitempty"` // file:line
	Version string `yaml:"-" json:"version"`          // hash of the entry
}

// IsActive reports whether selection may choose the directory.
func (d *Directory) IsActive() bool { return d.Active == nil || *d.Active }

// Form describes a submission by HTML form.
type Form struct {
	Start string `yaml:"start" json:"start"` // page with the first form
	Steps []Step `yaml:"steps" json:"steps"`
	Infer *bool  `yaml:"infer" json:"infer,omitempty"` // fields not named may be inferred; nil means true
}

// Step is one page: which form, what goes in, how it is sent. The last step is
// the one that files the listing.
type Step struct {
	Form   string  `yaml:"form" json:"form,omitempty"` // CSS selector; empty: the one form that is not search, login or newsletter
	Fields []Field `yaml:"fields" json:"fields,omitempty"`
	Submit string  `yaml:"submit" json:"submit,omitempty"` // name, or name=value, of the button; empty: the first
}

// Field fills one control. The control is found by exactly one of Name, Label or
// CSS; the content is exactly one of Profile, Value or File.
type Field struct {
	Name     string `yaml:"name" json:"name,omitempty"`
	Label    string `yaml:"label" json:"label,omitempty"` // text of the label, compared without case and punctuation
	CSS      string `yaml:"css" json:"css,omitempty"`
	Profile  string `yaml:"profile" json:"profile,omitempty"` // a profile key, see Business.Value
	Value    string `yaml:"value" json:"value,omitempty"`     // literal; "true" or "false" for a checkbox
	File     string `yaml:"file" json:"file,omitempty"`       // a profile key that names a file: logo
	Max      int    `yaml:"max" json:"max,omitempty"`         // cut text to so many characters, at a word
	Required bool   `yaml:"required" json:"required,omitempty"`
}

// Rule matches a page. All its set fields must match. Text, Selector and JSON
// count only when they did not match on the page before the post.
type Rule struct {
	Text     string `yaml:"text" json:"text,omitempty"`         // in the page's visible text, without case; {name}, {website}, … are filled in
	Selector string `yaml:"selector" json:"selector,omitempty"` // CSS
	URL      string `yaml:"url" json:"url,omitempty"`           // substring of the final URL's path and query
	Status   int    `yaml:"status" json:"status,omitempty"`     // of the final answer
	JSON     string `yaml:"json" json:"json,omitempty"`         // dotted path in a JSON body: data.status
	Equals   string `yaml:"equals" json:"equals,omitempty"`     // value wanted at JSON; empty: any but null and false
	Reason   string `yaml:"reason" json:"reason,omitempty"`     // shown when a rejected rule matched: duplicate
}

// ActionRule is a rule whose match means that a person is needed.
type ActionRule struct {
	Rule `yaml:",inline"`
	Need string `yaml:"need" json:"need"` // one of the Need constants
}

// Extract finds a URL in an answer. Exactly one field is set.
type Extract struct {
	Selector string `yaml:"selector" json:"selector,omitempty"` // CSS of a link; its href
	Header   string `yaml:"header" json:"header,omitempty"`     // name of a response header
	JSON     string `yaml:"json" json:"json,omitempty"`         // dotted path
	Final    bool   `yaml:"final" json:"final,omitempty"`       // the final URL itself
}

// Lookup asks the directory whether it has the business, instead of posting again.
type Lookup struct {
	URL            string   `yaml:"url" json:"url"`                           // GET; {name}, {website}, {website_host}, {phone}, {postal_code} are filled in, escaped
	Found          []Rule   `yaml:"found" json:"found"`                       // any: it is there
	Absent         []Rule   `yaml:"absent" json:"absent"`                     // any: it is not there; neither matching says nothing
	Listing        *Extract `yaml:"listing" json:"listing,omitempty"`         // the listing's URL on the lookup page
	AbsenceIsProof bool     `yaml:"absence_is_proof" json:"absence_is_proof"` // nothing hides in a moderation queue
	Settle         Duration `yaml:"settle" json:"settle"`                     // time until an accepted listing can be found; zero means 10 s
}

// Pacing says how often the host may be visited, by all workers together.
type Pacing struct {
	MinInterval Duration `yaml:"min_interval" json:"min_interval"` // between two turns; zero: no wait
	DailyCap    int      `yaml:"daily_cap" json:"daily_cap"`       // turns per UTC day; zero: no cap
	Timeout     Duration `yaml:"timeout" json:"timeout"`           // of one request; zero means 30 s
}

// Duration is a time.Duration written as "30s" in YAML and JSON.
type Duration time.Duration

// D returns the duration as the standard type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// MarshalText writes "30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "30s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}
