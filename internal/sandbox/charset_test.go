package sandbox

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/text/encoding/charmap"
)

// charsetOf is the encoding that a form asks for, by the library's tables.
func charsetOf(p *page, form *goquery.Selection) *charmap.Charmap {
	name := form.AttrOr("accept-charset", "")
	if name == "" {
		if _, params, err := mime.ParseMediaType(p.header.Get("Content-Type")); err == nil {
			name = params["charset"]
		}
	}
	switch strings.ToLower(name) {
	case "iso-8859-1":
		return charmap.Windows1252
	case "windows-1251":
		return charmap.Windows1251
	}
	return nil
}

// encoded writes all values in an encoding.
func encoded(values url.Values, to *charmap.Charmap) url.Values {
	if to == nil {
		return values
	}
	out := url.Values{}
	for name, texts := range values {
		for _, text := range texts {
			var b strings.Builder
			for _, r := range text {
				if c, ok := to.EncodeRune(r); ok {
					b.WriteByte(c)
				} else {
					fmt.Fprintf(&b, "&#%d;", r)
				}
			}
			out.Add(name, b.String())
		}
	}
	return out
}

func TestCharsetTablesAgreeWithTheLibrary(t *testing.T) {
	for ours, theirs := range map[*charset]*charmap.Charmap{latin1: charmap.Windows1252, windows1251: charmap.Windows1251} {
		if len(ours.high) != 128 {
			t.Fatalf("%s has %d upper characters, want 128", ours.name, len(ours.high))
		}
		for i, got := range ours.high {
			want := theirs.DecodeByte(byte(0x80 + i))
			undefined := want == '\uFFFD' // a control character by the Encoding Standard
			if got != want && !undefined {
				t.Errorf("%s: byte %#x is %q, want %q", ours.name, 0x80+i, got, want)
			}
		}
	}
}

func TestTextComesBackFromItsCharset(t *testing.T) {
	for _, c := range []struct {
		charset *charset
		text    string
	}{
		{latin1, "Café Müller – 5 €"}, {latin1, "plain"}, {latin1, "Żółw & Кофе"},
		{windows1251, "Кофейня №1"}, {windows1251, "Café"},
	} {
		got, err := c.charset.decode(string(c.charset.encode(c.text)))
		if err != nil || got != c.text {
			t.Errorf("%s: %q came back as %q, %v", c.charset.name, c.text, got, err)
		}
	}
}

func TestUTF8BytesAreRefusedWhereTheFormAsksForAnotherCharset(t *testing.T) {
	b := start(t, Config{Count: 3, Behaviours: []string{"latin1", "windows1251", "accept_charset"}})
	for _, d := range b.Catalog() {
		v := newVisitor(t, d, business(1))
		values := url.Values{}
		for _, f := range d.Form.Steps[0].Fields {
			values.Set(f.Name, v.business[f.Profile])
		}
		p := postForm(t, v, d.Form.Start, values)
		if p.status != http.StatusBadRequest {
			t.Errorf("%s answered %d, want 400", d.Slug, p.status)
		}
		if r, _ := b.Witness().Directory(d.Slug); len(r.Accepted) != 0 || r.Bodies != 1 {
			t.Errorf("%s: %d listings of %d bodies, want 0 of 1", d.Slug, len(r.Accepted), r.Bodies)
		}
	}
}

// postForm posts values as a browser in UTF-8 does.
func postForm(t testing.TB, v *visitor, address string, values url.Values) *page {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	p, err := v.do(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
