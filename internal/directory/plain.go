package directory

import (
	"strings"

	"golang.org/x/net/html"
)

// plainText is a text of a profile as it leaves the house: without markup. Whoever shows
// it may take it for markup of his own page, so there must be none in it, whatever a
// customer wrote. What is between script or style tags is no text. A sign that begins no
// tag stays: "3 < 4" is "3 < 4".
func plainText(s string) string {
	for strings.Contains(s, "<") {
		t := withoutMarkup(s)
		if t == s {
			break
		}
		s = t // what was taken out may have kept a tag apart
	}
	return strings.TrimSpace(s)
}

func withoutMarkup(s string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	hidden := ""
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == "" {
				b.Write(z.Raw())
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			if n := string(name); n == "script" || n == "style" {
				hidden = n
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == hidden {
				hidden = ""
			}
		}
	}
}
