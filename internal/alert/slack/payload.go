package slack

import (
	"strings"
	"unicode/utf8"

	"github.com/directorybolt/directorybolt/internal/alert"
)

// payload is what the webhook takes. Of the types of Block Kit it has those that are
// used here.
type payload struct {
	Text        string  `json:"text"` // of the notification, and for screen readers
	Blocks      []block `json:"blocks,omitempty"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Fields   []text `json:"fields,omitempty"`
	Elements []any  `json:"elements,omitempty"` // text in a context, button in actions
}

type text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"` // names and addresses are not made links
}

type button struct {
	Type string `json:"type"`
	Text text   `json:"text"`
	URL  string `json:"url"`
}

// Shares of the limits, in characters. Together they stay below the sum.
const (
	mostPlain    = 3000 // of a message without blocks
	mostNote     = 300
	mostSentence = 1200
	mostGroups   = 2600
	mostCommands = 1200
)

// payloadOf is the post in Slack's form. Where it must be plain, or would break a limit
// against all care, it is text alone.
func payloadOf(p alert.Post, publicURL string) payload {
	c := p.Content(publicURL)
	if !p.Plain {
		if full := blocksOf(c); full.check() == nil {
			return full
		}
	}
	return payload{Text: code(c.Plain(), mostPlain)}
}

func blocksOf(c alert.Content) payload {
	p := payload{Text: fallback(c)}
	add := func(b block) { p.Blocks = append(p.Blocks, b) }
	add(block{Type: "header", Text: &text{Type: "plain_text", Text: escape(c.Title, maxHeader)}})
	for _, note := range c.Notes {
		add(block{Type: "context", Elements: []any{mrkdwn("⚠️ *" + escape(note, mostNote) + "*")}})
	}
	if c.Text != "" {
		add(block{Type: "section", Text: &text{Type: "plain_text", Text: escape(c.Text, mostSentence)}})
	}
	if fields := fieldsOf(c.Facts); len(fields) > 0 {
		add(block{Type: "section", Fields: fields})
	}
	if groups := groupLines(c); groups != "" {
		add(section(code(groups, mostGroups)))
	}
	if len(c.Commands) > 0 {
		add(section("*To look, and to act:*\n" + code(strings.Join(c.Commands, "\n"), mostCommands)))
	}
	if c.Link != "" {
		add(block{Type: "actions", Elements: []any{button{"button", text{Type: "plain_text", Text: "Open DirectoryBolt"}, c.Link}}})
	}
	add(block{Type: "context", Elements: []any{mrkdwn(escape(c.Footer, mostNote))}})
	return p
}

func fieldsOf(facts []alert.Fact) (fields []text) {
	for _, f := range facts[:min(len(facts), maxFields)] {
		fields = append(fields, mrkdwn("*"+escape(f.Name, 50)+"*\n"+escape(f.Value, 200)))
	}
	return fields
}

func groupLines(c alert.Content) string {
	lines := make([]string, 0, len(c.Groups)+1)
	for _, g := range c.Groups {
		lines = append(lines, cut(g.Line(), mostGroups/6))
	}
	if c.More > 0 {
		lines = append(lines, "… and more groups")
	}
	return strings.Join(lines, "\n")
}

// fallback is the line that a notification shows.
func fallback(c alert.Content) string {
	parts := append([]string{c.Title}, c.Notes...)
	for _, f := range c.Facts {
		if f.Name == "Value at risk" {
			parts = append(parts, f.Value+" at risk")
		}
	}
	return escape(strings.Join(parts, " · "), mostNote)
}

func mrkdwn(s string) text { return text{Type: "mrkdwn", Text: s, Verbatim: true} }

func section(s string) block {
	t := mrkdwn(s)
	return block{Type: "section", Text: &t}
}

// specials are what is a command to Slack, or would end a block of code.
var specials = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "ˋ", "\x00", "")

// escape makes s harmless: what is a command to Slack in <…> is only shown. The result
// has at most so many characters and is cut before it is escaped.
func escape(s string, most int) string {
	for cuts := most; ; cuts = cuts * 3 / 4 {
		if out := specials.Replace(cut(s, cuts)); utf8.RuneCountInString(out) <= most || cuts == 0 {
			return out
		}
	}
}

// code is s as a block of code that it cannot leave.
func code(s string, most int) string {
	const fence = "```"
	return fence + escape(strings.TrimRight(s, "\n"), most-2*len(fence)) + fence
}

// cut shortens s to n characters, with an ellipsis.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	return string([]rune(s)[:n-1]) + "…"
}
