package slack

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Slack's limits, in characters. The sum is documented nowhere; Slack answers
// msg_blocks_too_long from about 13 200 on.
const (
	maxBlocks       = 50
	maxHeader       = 150
	maxSection      = 3000
	maxFields       = 10
	maxField        = 2000
	maxContext      = 10
	maxActions      = 25
	maxButton       = 75
	maxButtonURL    = 3000
	maxMessageText  = 4000
	maxSumOfBlocks  = 12_000
	minTextOfObject = 1
)

// check reports every limit that the payload breaks, and text that Slack would take
// for a command.
func (p payload) check() error {
	c := checker{}
	c.size("text", p.Text, minTextOfObject, maxMessageText)
	if len(p.Blocks) > maxBlocks {
		c.fault("%d blocks, at most %d", len(p.Blocks), maxBlocks)
	}
	for i, b := range p.Blocks {
		c.block(fmt.Sprintf("block %d (%s)", i, b.Type), b)
	}
	if c.sum > maxSumOfBlocks {
		c.fault("%d characters in all blocks, at most %d", c.sum, maxSumOfBlocks)
	}
	return errors.Join(c.faults...)
}

type checker struct {
	faults []error
	sum    int
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

func (c *checker) block(name string, b block) {
	switch b.Type {
	case "header":
		c.one(name, b.Text, "plain_text", maxHeader)
	case "section":
		if b.Text == nil && len(b.Fields) == 0 {
			c.fault("%s: neither text nor fields", name)
		}
		if b.Text != nil {
			c.one(name, b.Text, b.Text.Type, maxSection)
		}
		if len(b.Fields) > maxFields {
			c.fault("%s: %d fields, at most %d", name, len(b.Fields), maxFields)
		}
		for i := range b.Fields {
			c.one(fmt.Sprintf("%s, field %d", name, i), &b.Fields[i], b.Fields[i].Type, maxField)
		}
	case "context":
		c.elements(name, b.Elements, maxContext)
	case "actions":
		c.elements(name, b.Elements, maxActions)
	default:
		c.fault("%s: unknown type", name)
	}
}

func (c *checker) elements(name string, elements []any, most int) {
	if len(elements) == 0 || len(elements) > most {
		c.fault("%s: %d elements, 1 to %d", name, len(elements), most)
	}
	for i, e := range elements {
		name := fmt.Sprintf("%s, element %d", name, i)
		switch e := e.(type) {
		case text:
			c.one(name, &e, e.Type, maxSection)
		case button:
			c.one(name, &e.Text, "plain_text", maxButton)
			if u, err := url.Parse(e.URL); err != nil || u.Host == "" || len(e.URL) > maxButtonURL {
				c.fault("%s: no address that Slack takes", name)
			}
		default:
			c.fault("%s: unknown type %T", name, e)
		}
	}
}

func (c *checker) one(name string, t *text, kind string, most int) {
	switch {
	case t == nil:
		c.fault("%s: no text", name)
		return
	case t.Type != kind || kind != "plain_text" && kind != "mrkdwn":
		c.fault("%s: text of type %q", name, t.Type)
	}
	c.size(name, t.Text, minTextOfObject, most)
	c.sum += utf8.RuneCountInString(t.Text)
}

func (c *checker) size(name, s string, least, most int) {
	if n := utf8.RuneCountInString(s); n < least || n > most {
		c.fault("%s: %d characters, %d to %d", name, n, least, most)
	}
	if !utf8.ValidString(s) || strings.ContainsAny(s, "<>\x00") {
		c.fault("%s: not escaped", name)
	}
	if strings.Count(s, "```")%2 != 0 {
		c.fault("%s: a block of code is not closed", name)
	}
}
