package webclient

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

// Page is an answer, with as much of its body as was read.
type Page struct {
	URL       *url.URL // after redirects
	Status    int
	Header    http.Header
	Body      []byte // as sent, without transfer and content encoding
	Truncated bool   // the body went on after MaxBody
	Broken    error  // the body ended in this error
	Hops      []Hop  // redirects that led here, the first is the answer to the request itself
}

// Hop is an answer that pointed elsewhere.
type Hop struct {
	URL    *url.URL
	Status int
	Header http.Header
}

// readPage reads at most MaxBody bytes and closes the body. What was read stays
// when the rest could not be.
func readPage(u *url.URL, resp *http.Response) *Page {
	defer func() { _ = resp.Body.Close() }()
	p := &Page{URL: u, Status: resp.StatusCode, Header: resp.Header}
	p.Body, p.Broken = io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if len(p.Body) > MaxBody {
		p.Body, p.Truncated, p.Broken = p.Body[:MaxBody], true, nil
	}
	return p
}

// MediaType is the type of the body without parameters, guessed where the answer
// does not say.
func (p *Page) MediaType() string {
	t := p.Header.Get("Content-Type")
	if t == "" {
		t = http.DetectContentType(p.Body)
	}
	t, _, _ = strings.Cut(t, ";") // parameters may be written wrongly
	m, _, err := mime.ParseMediaType(t)
	if err != nil || len(m) > 100 {
		return "application/octet-stream"
	}
	return m
}

// IsHTML reports whether the body is a page for people.
func (p *Page) IsHTML() bool {
	m := p.MediaType()
	return m == "text/html" || m == "application/xhtml+xml"
}

// Charset names the encoding of the body: by byte order mark, header, meta
// element, or look.
func (p *Page) Charset() string {
	_, name := p.encoding()
	return name
}

func (p *Page) encoding() (encoding.Encoding, string) {
	if !p.IsHTML() && !strings.Contains(p.Header.Get("Content-Type"), "charset") && utf8.Valid(p.Body) {
		return encoding.Nop, "utf-8"
	}
	enc, name, certain := charset.DetermineEncoding(p.Body, p.Header.Get("Content-Type"))
	if !certain && name == "windows-1252" && utf8.Valid(trimPartialRune(p.Body)) {
		return encoding.Nop, "utf-8" // it looks at the first kilobyte only; we have the whole page
	}
	return enc, name
}

// trimPartialRune drops a character that the size limit cut in two.
func trimPartialRune(b []byte) []byte {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

// Text is the body as UTF-8.
func (p *Page) Text() string {
	enc, _ := p.encoding()
	text, err := enc.NewDecoder().Bytes(p.Body)
	if err != nil {
		text = p.Body
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	return strings.ToValidUTF8(string(text), "\uFFFD")
}
