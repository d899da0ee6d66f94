package httpform

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/directorybolt/directorybolt/internal/submit/webclient"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

// entry is one name and value of a form as sent.
type entry struct {
	name, value string
	file        *file
}

// entries constructs the entry list of the HTML standard: the successful controls
// in tree order, with the button that sends the form.
func (f *form) entries(button *control, charsetName string) []entry {
	var out []entry
	add := func(name, value string) { out = append(out, entry{name: name, value: value}) }
	for _, c := range f.controls {
		switch {
		case c.Disabled, inside(c.node, "datalist") != nil, c.isButton && c != button, c.Ticks() && !c.Checked:
			continue
		case c.Type == "image":
			prefix := c.Name
			if prefix != "" {
				prefix += "."
			}
			add(prefix+"x", "0")
			add(prefix+"y", "0")
		case c.Name == "":
			continue
		case c.Tag == "select":
			for _, o := range c.picked() {
				add(c.Name, o.Value)
			}
		case c.Type == "file":
			upload := c.file
			if upload == nil {
				upload = &file{mediaType: "application/octet-stream"}
			}
			out = append(out, entry{name: c.Name, value: upload.name, file: upload})
		case c.Type == "hidden" && strings.EqualFold(c.Name, "_charset_"):
			add(c.Name, charsetName)
		default:
			add(c.Name, c.Value)
		}
		if d := attr(c.node, "dirname"); d != "" && (c.Tag == "textarea" || c.Type == "text" || c.Type == "search") {
			add(d, "ltr")
		}
	}
	return out
}

// button is the button that sends the form: the one the catalog names as name or
// name=value, else the form's first. A form may have none.
func (f *form) button(named string) (*control, error) {
	name, value, withValue := strings.Cut(named, "=")
	for _, c := range f.controls {
		if !c.isButton || c.Type != "submit" && c.Type != "image" || c.Disabled {
			continue
		}
		if named == "" || c.Name == name && (!withValue || c.Value == value) {
			return c, nil
		}
	}
	if named != "" {
		return nil, permanent("the form has no button %q any more", named)
	}
	return nil, nil
}

// encoding is the one the form is sent in: the first of accept-charset that is
// known, else the page's. What cannot carry a form becomes UTF-8.
func (f *form) encoding() (encoding.Encoding, string) {
	for label := range strings.FieldsSeq(strings.ReplaceAll(attr(f.node, "accept-charset"), ",", " ")) {
		if e, name := charset.Lookup(label); e != nil {
			return output(e, name)
		}
	}
	e, name := charset.Lookup(f.view.page.Charset())
	return output(e, name)
}

func output(e encoding.Encoding, name string) (encoding.Encoding, string) {
	if e == nil || name == "replacement" || strings.HasPrefix(name, "utf-16") {
		return encoding.Nop, "utf-8"
	}
	return e, name
}

// effect is the form as a request. The error is a verdict.
func (f *form) effect(button *control) (webclient.Effect, error) {
	action, err := f.action(button)
	if err != nil {
		return webclient.Effect{}, permanent("the form is sent to %q, which is no URL", attr(f.node, "action"))
	}
	method := f.method(button)
	if method == "dialog" || action.Scheme != "http" && action.Scheme != "https" {
		return webclient.Effect{}, permanent("the form is sent by a script and needs a browser")
	}
	enc, name := f.encoding()
	list := f.entries(button, name)
	encoder := encoding.HTMLEscapeUnsupported(enc.NewEncoder())
	encode := func(s string) string {
		out, err := encoder.String(s)
		if err != nil {
			return s // only input that is not UTF-8 gets here, and ours is
		}
		return out
	}
	e := webclient.Effect{Method: http.MethodPost, URL: action.String(), Referer: referer(f.view.page.URL)}
	switch {
	case method == "get":
		action.RawQuery = urlEncode(list, encode)
		action.ForceQuery = action.RawQuery == ""
		e.Method, e.URL = http.MethodGet, action.String()
	case f.enctype(button) == multipart:
		boundary := "----DirectoryBolt" + rand.Text()
		e.ContentType, e.Body = multipart+"; boundary="+boundary, multipartEncode(list, encode, boundary)
	case f.enctype(button) == plainText:
		e.ContentType, e.Body = plainText, plainEncode(list, encode)
	default:
		e.ContentType, e.Body = urlencoded, []byte(urlEncode(list, encode))
	}
	return e, nil
}

// referer is the URL of the page without what is never told.
func referer(u *url.URL) string {
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	return c.String()
}

// urlEncode writes application/x-www-form-urlencoded by the URL standard, which
// differs from net/url in * and ~.
func urlEncode(list []entry, encode func(string) string) string {
	var b strings.Builder
	for i, e := range list {
		if i > 0 {
			b.WriteByte('&')
		}
		percent(&b, encode(newlines(e.name, "\r\n")))
		b.WriteByte('=')
		percent(&b, encode(newlines(e.value, "\r\n")))
	}
	return b.String()
}

func percent(b *strings.Builder, s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '*', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			fmt.Fprintf(b, "%%%02X", c)
		}
	}
}

// multipartEncode writes multipart/form-data by the HTML standard.
func multipartEncode(list []entry, encode func(string) string, boundary string) []byte {
	var b strings.Builder
	quote := strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22")
	for _, e := range list {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", boundary, quote.Replace(encode(newlines(e.name, "\r\n"))))
		if e.file == nil {
			b.WriteString("\r\n\r\n" + encode(newlines(e.value, "\r\n")) + "\r\n")
			continue
		}
		fmt.Fprintf(&b, "; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n", quote.Replace(encode(e.file.name)), e.file.mediaType)
		b.Write(e.file.content)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return []byte(b.String())
}

func plainEncode(list []entry, encode func(string) string) []byte {
	var b strings.Builder
	for _, e := range list {
		b.WriteString(encode(newlines(e.name, "\r\n")) + "=" + encode(newlines(e.value, "\r\n")) + "\r\n")
	}
	return []byte(b.String())
}

// tick ticks one radio button, alone in its group, or a checkbox.
func (f *form) tick(c *control) {
	if c.Type == "radio" {
		for _, other := range f.group(c) {
			other.Checked = false
		}
	}
	c.Checked = true
}

// group lists the radio buttons, or checkboxes, that share the name of c.
func (f *form) group(c *control) []*control {
	if c.Name == "" {
		return []*control{c}
	}
	return slices.DeleteFunc(slices.Clone(f.controls), func(o *control) bool { return o.Type != c.Type || o.Name != c.Name })
}

// settleRadios leaves the last of the radio buttons that a page ticked in one group.
func (f *form) settleRadios() {
	last := map[string]*control{}
	for _, c := range f.controls {
		if c.Type != "radio" || !c.Checked || c.Name == "" {
			continue
		}
		if before := last[c.Name]; before != nil {
			before.Checked = false
		}
		last[c.Name] = c
	}
}

// cutOff reports whether the size limit cut the page within the form: the last
// node that was read is in it.
func (f *form) cutOff() bool {
	if !f.view.page.Truncated {
		return false
	}
	n := f.view.doc.Get(0)
	for n.LastChild != nil {
		n = n.LastChild
		if n == f.node {
			return true
		}
	}
	for _, c := range f.controls {
		if contains(c.node, n) {
			return true
		}
	}
	return false
}
