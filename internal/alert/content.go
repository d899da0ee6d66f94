package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Content is a message in words, before a service's own form.
type Content struct {
	Title    string   // one line, with a sign in front
	Text     string   // one sentence; may be empty
	Notes    []string // that it is late, or may be a repeat: to be seen first
	Facts    []Fact
	Groups   []Group  // top signatures
	More     int      // groups beyond these
	Commands []string // what to type
	Link     string   // empty: none
	Footer   string   // which alert, and when this was sent
}

// Fact is a name and its value.
type Fact struct{ Name, Value string }

var signs = map[Severity]string{Page: "🔴", Warn: "🟠", Info: "🔵"}

// Content puts the post in words. publicURL is where people reach the installation;
// empty: there is no link.
func (p Post) Content(publicURL string) Content {
	m := p.Message
	c := Content{
		Title: m.title(p.At), Text: m.Text, Notes: p.notes(), Facts: m.facts(), Groups: m.Groups,
		Commands: m.commands(), Link: publicURL, Footer: m.footer(p.At),
	}
	if m.Digest() {
		c.More = max(m.Alerts-len(m.Groups), 0)
	}
	if len(m.Groups) == 1 && m.Groups[0].Signature == "" && len(m.Groups[0].Jobs) == 0 {
		c.Groups = nil
	}
	return c
}

func (p Post) notes() (notes []string) {
	if p.Late > 0 {
		notes = append(notes, "delayed "+span(p.Late))
	}
	if !p.Repeat.IsZero() {
		notes = append(notes, "may be a repeat: the answer to an attempt at "+stamp(p.Repeat)+" was lost")
	}
	return notes
}

func (m Message) title(now time.Time) string {
	sign, what := signs[m.Severity], m.what()
	switch m.Reason {
	case Grown:
		what += fmt.Sprintf(", %s new", number(m.Fresh))
	case Reminder:
		what = "Still open after " + span(now.Sub(m.FirstAt)) + ": " + what
	case Acknowledged:
		sign, what = "👀", "Acknowledged by "+m.By+": "+what
	case Over:
		sign, what = "✅", "Resolved: "+what
	case Test:
		sign, what = "🔔", "Test: this channel works"
	}
	if m.Canary {
		what += " (canary)"
	}
	return sign + " " + what
}

// what the message is about, with its number where that says something.
func (m Message) what() string {
	n := natureOf(m.Kind)
	what := n.many
	switch {
	case n.one == n.many:
		what = strings.ToUpper(what[:1]) + what[1:]
	case m.Count == 1:
		what = "1 " + n.one
	default:
		what = number(m.Count) + " " + n.many
	}
	if m.Alerts > 1 {
		what += fmt.Sprintf(" in %s groups", number(int64(m.Alerts)))
	}
	return what
}

func (m Message) facts() (facts []Fact) {
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	if m.Reason == Test {
		return nil
	}
	add("How many", number(m.Count))
	add("Since", stamp(m.FirstAt))
	if m.Count > 1 {
		add("Latest", stamp(m.LastAt))
	}
	if m.ValueCents > 0 {
		add("Value at risk", dollars(m.ValueCents))
	}
	switch {
	case m.Customer != job.ID{}:
		add("Customer", m.Customer.String())
	case m.Customers > 0:
		customers := number(int64(m.Customers))
		if m.More {
			customers = "more than " + customers
		}
		add("Customers hit", customers)
	}
	if m.Again > 0 {
		add("Failed again after a redrive", number(m.Again))
	}
	if !m.Digest() {
		add("Kind of job", m.JobKind)
	}
	if m.Reason == Over {
		add("What became of it", m.Note)
	} else {
		add("Note", m.Note)
	}
	if m.Left > 0 {
		add("Groups still open", number(int64(m.Left)))
	}
	return facts
}

func (m Message) footer(now time.Time) string {
	parts := []string{"DirectoryBolt", string(m.Severity), stamp(now)}
	if m.AlertID != (job.ID{}) {
		parts = append(parts, "alert "+m.AlertID.String())
	}
	return strings.Join(parts, " · ")
}

// Plain is the content as text, for services and readers without any form.
func (c Content) Plain() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", c.Title)
	for _, n := range c.Notes {
		line("(%s)", n)
	}
	if c.Text != "" {
		line("%s", c.Text)
	}
	for _, f := range c.Facts {
		line("%s: %s", f.Name, f.Value)
	}
	for _, g := range c.Groups {
		line("%s", g.Line())
	}
	if c.More > 0 {
		line("and %s more groups", number(int64(c.More)))
	}
	for _, command := range c.Commands {
		line("  %s", command)
	}
	if c.Link != "" {
		line("%s", c.Link)
	}
	line("%s", c.Footer)
	return b.String()
}

// Line is the group on one line.
func (g Group) Line() string {
	parts := []string{number(g.Count) + " × " + g.Signature}
	if g.Letters != "" {
		parts = append(parts, "group "+g.Letters)
	}
	if g.ValueCents > 0 {
		parts = append(parts, dollars(g.ValueCents))
	}
	if g.Cause != "" && !strings.HasSuffix(g.Signature, g.Cause) {
		parts = append(parts, "last: "+g.Cause)
	}
	if len(g.Jobs) > 0 {
		parts = append(parts, "e.g. "+ids(g.Jobs, ", "))
	}
	return strings.Join(parts, " · ")
}

func ids(list []job.ID, between string) string {
	texts := make([]string, len(list))
	for i, id := range list {
		texts[i] = id.String()
	}
	return strings.Join(texts, between)
}

// number is n with commas between thousands.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// dollars is US cents as people write them.
func dollars(cents int64) string { return fmt.Sprintf("$%s.%02d", number(cents/100), cents%100) }

// stamp is a moment as people read it, the same wherever they are.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// span is a duration as people say it.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
