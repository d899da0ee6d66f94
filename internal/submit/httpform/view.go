package httpform

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"unicode"

	"github.com/PuerkitoBio/goquery"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
	"golang.org/x/net/html"
)

// view is a page as its reader sees it.
type view struct {
	page *webclient.Page
	doc  *goquery.Document // nil when the page is no HTML, or none that can be parsed
	gone map[*html.Node]bool
	off  map[*html.Node]bool
	base *url.URL

	visible func() string
	data    func() any
}

func newView(p *webclient.Page) *view {
	v := &view{page: p, base: p.URL}
	v.visible = sync.OnceValue(v.readText)
	v.data = sync.OnceValue(v.readJSON)
	if !p.IsHTML() {
		return v
	}
	root, err := html.Parse(strings.NewReader(p.Text()))
	if err != nil {
		return v // nested too deeply for any page that people wrote
	}
	v.doc = goquery.NewDocumentFromNode(root)
	v.gone, v.off = hiddenNodes(v.doc)
	if href, ok := v.doc.Find("base[href]").First().Attr("href"); ok {
		if u, err := p.URL.Parse(strings.TrimSpace(href)); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
			v.base = u
		}
	}
	return v
}

// text is what the page shows, with single spaces: no scripts, no styles, nothing
// hidden, and not what a form was filled in with, which would be our own words.
func (v *view) text() string { return v.visible() }

func (v *view) readText() string {
	if v.doc == nil {
		if v.page.IsHTML() {
			return ""
		}
		return squeeze(v.page.Text())
	}
	var b strings.Builder
	v.writeText(&b, v.doc.Get(0), maxText)
	return squeeze(b.String())
}

// unread are elements whose content is not text of the page.
var unread = map[string]bool{
	"script": true, "style": true, "noscript": true, "template": true, "head": true, "textarea": true, "select": true,
	"datalist": true, "iframe": true, "object": true, "svg": true, "math": true,
}

// inline elements do not separate words.
var inline = map[string]bool{
	"a": true, "abbr": true, "b": true, "bdi": true, "bdo": true, "cite": true, "code": true, "data": true, "dfn": true, "em": true, "font": true,
	"i": true, "kbd": true, "mark": true, "q": true, "s": true, "samp": true, "small": true, "span": true, "strong": true, "sub": true, "sup": true,
	"time": true, "u": true, "var": true, "wbr": true, "ins": true, "del": true,
}

// writeText writes the visible text of n, and stops after most bytes or a little more.
func (v *view) writeText(b *strings.Builder, n *html.Node, most int) {
	switch n.Type {
	case html.TextNode:
		b.WriteString(n.Data[:min(len(n.Data), most)])
		return
	case html.ElementNode:
		if unread[n.Data] || v.gone[n] {
			return
		}
		if !inline[n.Data] {
			b.WriteByte(' ')
			defer b.WriteByte(' ')
		}
	}
	for c := n.FirstChild; c != nil && b.Len() <= most; c = c.NextSibling {
		v.writeText(b, c, most)
	}
}

// maxText is how much text of a page is read, in bytes: all of it, since a body of
// the largest size does not grow more than that when it is decoded.
const maxText = 4 * webclient.MaxBody

// maxElement is how much of the text of one element is read, in bytes.
const maxElement = 4000

// textOf is the visible text of one element.
func (v *view) textOf(n *html.Node) string {
	if v.hidden(n) {
		return ""
	}
	var b strings.Builder
	v.writeText(&b, n, maxElement)
	return squeeze(b.String())
}

// hidden reports whether n is in something that is not shown.
func (v *view) hidden(n *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if v.gone[n] {
			return true
		}
	}
	return false
}

// squeeze folds white space into single spaces and drops what no reader sees and
// no database takes: control characters, zero widths.
func squeeze(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == '\u200b', r == '\u200c', r == '\u200d', r == '\ufeff', r == '\u00ad':
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// readJSON is the body as JSON, nil if it is none. A page for people is none.
func (v *view) readJSON() any {
	if v.page.IsHTML() || v.page.Broken != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(v.page.Text())))
	d.UseNumber()
	var data any
	if d.Decode(&data) != nil {
		return nil
	}
	return data
}

// kept is the page to be stored as evidence.
func (v *view) kept() *submit.Page {
	media := v.page.MediaType()
	if v.page.IsHTML() || strings.HasPrefix(media, "text/") {
		media += "; charset=" + v.page.Charset()
	}
	return &submit.Page{URL: v.page.URL.Redacted(), Status: v.page.Status, MediaType: media, Body: v.page.Body}
}
