package httpform

import (
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
)

func attr(n *html.Node, name string) string {
	v, _ := attrOK(n, name)
	return v
}

func has(n *html.Node, name string) bool {
	_, ok := attrOK(n, name)
	return ok
}

func attrOK(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name && a.Namespace == "" {
			return a.Val, true
		}
	}
	return "", false
}

// inside returns the nearest element of that name around n.
func inside(n *html.Node, name string) *html.Node {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Type == html.ElementNode && p.Data == name {
			return p
		}
	}
	return nil
}

func contains(outer, n *html.Node) bool {
	for p := n; p != nil; p = p.Parent {
		if p == outer {
			return true
		}
	}
	return false
}

// rawText is all text in n, shown or not.
func rawText(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// disabled reports whether a control is, by itself or by a fieldset around it. The
// first legend of a disabled fieldset stays alive.
func disabled(n *html.Node) bool {
	if has(n, "disabled") {
		return true
	}
	for set := inside(n, "fieldset"); set != nil; set = inside(set, "fieldset") {
		if has(set, "disabled") && !holds(firstLegend(set), n) {
			return true
		}
	}
	return false
}

func holds(outer, n *html.Node) bool { return outer != nil && contains(outer, n) }

func firstLegend(set *html.Node) *html.Node {
	for c := range set.ChildNodes() {
		if c.Type == html.ElementNode && c.Data == "legend" {
			return c
		}
	}
	return nil
}

func (v *view) legend(set *html.Node) string {
	if l := firstLegend(set); l != nil {
		return squeeze(rawText(l))
	}
	return ""
}

// unseen reports whether no person sees n.
func (v *view) unseen(n *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if v.gone[n] || v.off[n] {
			return true
		}
	}
	return false
}

// labels maps controls to the text of their labels: those that name them, those
// around them. Several are joined.
func (v *view) labels(byID map[string]*html.Node) map[*html.Node]string {
	out := map[*html.Node]string{}
	v.doc.Find("label").Each(func(_ int, s *goquery.Selection) {
		label := s.Get(0)
		target := byID[attr(label, "for")]
		if !has(label, "for") {
			if in := s.Find("input, select, textarea, button").First(); in.Length() > 0 {
				target = in.Get(0)
			}
		}
		if target == nil {
			return
		}
		if len(out[target]) > maxLabel {
			return
		}
		var b strings.Builder
		labelText(&b, label)
		out[target] = strings.TrimSpace(out[target] + " " + squeeze(b.String()))
	})
	return out
}

// maxLabel is how much of a label is read, in bytes. What is longer is none.
const maxLabel = 1000

// labelText is the text of a label without that of the controls in it.
func labelText(b *strings.Builder, n *html.Node) {
	for c := range n.ChildNodes() {
		switch {
		case b.Len() > maxLabel:
			return
		case c.Type == html.TextNode:
			b.WriteString(c.Data[:min(len(c.Data), maxLabel)])
		case c.Type == html.ElementNode && !unread[c.Data] && c.Data != "button":
			if !inline[c.Data] {
				b.WriteByte(' ')
			}
			labelText(b, c)
		}
	}
}

// aria is the name of a control for those who listen.
func aria(n *html.Node, byID map[string]*html.Node) string {
	if label := attr(n, "aria-label"); label != "" {
		return squeeze(label)
	}
	var b strings.Builder
	for id := range strings.FieldsSeq(attr(n, "aria-labelledby")) {
		if named := byID[id]; named != nil {
			labelText(&b, named)
			b.WriteByte(' ')
		}
	}
	return squeeze(b.String())
}

// near is the text before a control without a label: beside it, in the cell
// before its own, or the term it is the description of. Text beyond another
// control belongs to that one.
func (v *view) near(n *html.Node) string {
	for range 3 {
		for s := n.PrevSibling; s != nil; s = s.PrevSibling {
			if s.Type == html.ElementNode && (isControl(s) || hasControl(s)) {
				return ""
			}
			if text := nodeText(s); text != "" {
				return text
			}
		}
		if n.Parent == nil || n.Parent.Type != html.ElementNode || n.Parent.Data == "form" || n.Parent.Data == "body" {
			return ""
		}
		n = n.Parent
	}
	return ""
}

const maxNear = 120 // characters

func nodeText(n *html.Node) string {
	switch n.Type {
	case html.TextNode:
		return shorten(squeeze(n.Data), maxNear)
	case html.ElementNode:
		if !unread[n.Data] {
			var b strings.Builder
			labelText(&b, n)
			return shorten(squeeze(b.String()), maxNear)
		}
	}
	return ""
}

func isControl(n *html.Node) bool {
	switch n.Data {
	case "select", "textarea":
		return true
	case "input":
		return !strings.EqualFold(attr(n, "type"), "hidden")
	}
	return false
}

func hasControl(n *html.Node) bool {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && isControl(c) {
			return true
		}
	}
	return false
}

var star = regexp.MustCompile(`(?i)\*|\(required\)|\brequired\s*$|\(pflichtfeld\)|\(obligatoire\)|\(obligatorio\)`)

// starred reports whether a label says that its control must be filled in.
func starred(label string) bool { return star.MatchString(label) }

// shorten cuts s to at most n characters, at a word where one ends in the second
// half, without a mark.
func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	cut := string(r[:n])
	if r[n] != ' ' {
		if i := strings.LastIndexAny(cut, " \n\t"); i >= len(cut)/2 {
			cut = cut[:i]
		}
	}
	return strings.TrimRight(cut, " \n\t,;:-–—(")
}

// newlines writes every line break as eol.
func newlines(s, eol string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	if eol == "\n" {
		return s
	}
	return strings.ReplaceAll(s, "\n", eol)
}
