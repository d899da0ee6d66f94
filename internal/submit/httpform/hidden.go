package httpform

import (
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
)

// What of a style hides an element: gone elements are not shown at all, the others
// are where nobody looks. Enough to see through the usual traps; the rest of CSS is
// a browser's business.
var (
	goneStyle = regexp.MustCompile(`(?i)(^|[;{\s])(display\s*:\s*none|visibility\s*:\s*(hidden|collapse))`)
	offStyle  = regexp.MustCompile(`(?i)(^|[;{\s])((left|top|right|bottom|text-indent|margin-left|margin-top)\s*:\s*-\d{3,}|opacity\s*:\s*0+(\.0+)?\s*(;|!|$)|clip\s*:\s*rect\(\s*[01]|clip-path\s*:\s*inset\(\s*(50|100)%|(height|width|max-height|max-width|font-size)\s*:\s*0(px|em|rem|%)?\s*(;|!|$)|transform\s*:\s*scale\(\s*0\s*\))`)
)

// Limits of what is read of a page's own styles. A page of strangers must not keep
// us busy: only selectors of one step, and so many that all of them together look
// at no more than maxLooks elements.
const (
	maxStyle     = 256 << 10 // bytes
	maxSelectors = 200
	maxLooks     = 20_000_000
)

var plainSelector = regexp.MustCompile(`^[\w-]*([.#][\w-]+|\[[\w-]+(=["']?[\w-]+["']?)?\])*([ >]+[\w-]*([.#][\w-]+|\[[\w-]+(=["']?[\w-]+["']?)?\])*)?$`)

// hiddenNodes finds the elements that are not shown, by attribute, by their own
// style and by the rules of the page's style elements.
func hiddenNodes(doc *goquery.Document) (gone, off map[*html.Node]bool) {
	gone, off = make(map[*html.Node]bool), make(map[*html.Node]bool)
	doc.Find("[hidden], [aria-hidden], [style], dialog").Each(func(_ int, s *goquery.Selection) {
		n := s.Get(0)
		style, _ := s.Attr("style")
		_, hidden := s.Attr("hidden")
		_, open := s.Attr("open")
		switch {
		case hidden, goneStyle.MatchString(style), n.Data == "dialog" && !open:
			gone[n] = true
		case s.AttrOr("aria-hidden", "") == "true", offStyle.MatchString(style):
			off[n] = true
		}
	})
	for _, r := range styleRules(doc) {
		into := off
		if r.gone {
			into = gone
		}
		doc.FindMatcher(r.selector).Each(func(_ int, s *goquery.Selection) { into[s.Get(0)] = true })
	}
	return gone, off
}

type styleRule struct {
	selector cascadia.Selector
	gone     bool
}

// styleRules reads the hiding rules of the style elements, up to the limits.
func styleRules(doc *goquery.Document) []styleRule {
	var out []styleRule
	most := min(maxSelectors, maxLooks/looks(doc.Get(0)))
	doc.Find("style").Each(func(_ int, s *goquery.Selection) {
		if m, ok := s.Attr("media"); ok && !strings.Contains(m, "all") && !strings.Contains(m, "screen") {
			return
		}
		css := s.Text()
		eachRule(css[:min(len(css), maxStyle)], func(selector, body string) {
			gone, off := goneStyle.MatchString(body), offStyle.MatchString(body)
			if !gone && !off {
				return
			}
			for part := range strings.SplitSeq(selector, ",") {
				part = strings.TrimSpace(part)
				if len(out) >= most || !plainSelector.MatchString(part) {
					continue
				}
				if s, err := cascadia.Compile(part); err == nil {
					out = append(out, styleRule{s, gone})
				}
			}
		})
	})
	return out
}

// looks is how many elements a selector of one step looks at: each, and those
// around it.
func looks(root *html.Node) int {
	n := 1
	var walk func(*html.Node, int)
	walk = func(at *html.Node, depth int) {
		for c := range at.ChildNodes() {
			if c.Type == html.ElementNode {
				n += depth
				walk(c, depth+1)
			}
		}
	}
	walk(root, 1)
	return n
}

var comment = regexp.MustCompile(`(?s)/\*.*?(\*/|$)`)

// eachRule calls visit for the rules at the top of a style sheet. What stands in
// @media and its like holds only sometimes, and is passed over.
func eachRule(css string, visit func(selector, body string)) {
	css = comment.ReplaceAllString(css, " ")
	for {
		open := strings.IndexByte(css, '{')
		if open < 0 {
			return
		}
		head := css[:open]
		if i := strings.LastIndexByte(head, ';'); i >= 0 {
			head = head[i+1:] // an @import before it
		}
		body, rest := block(css[open+1:])
		if selector := strings.TrimSpace(head); selector != "" && selector[0] != '@' {
			visit(selector, body)
		}
		css = rest
	}
}

// block splits after the brace that closes what is already open.
func block(css string) (body, rest string) {
	depth := 1
	for i := range len(css) {
		switch css[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return css[:i], css[i+1:]
		}
	}
	return css, ""
}
