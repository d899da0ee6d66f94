package sandbox

import (
	"errors"
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// charset is a single-byte encoding whose lower half is ASCII.
type charset struct {
	name string
	high []rune // what bytes 0x80 to 0xFF mean
}

var (
	// What the web calls ISO-8859-1 is windows-1252, by the Encoding Standard.
	latin1      = newCharset("ISO-8859-1", latin1C1+runeRange(0xA0, 0xFF))
	windows1251 = newCharset("windows-1251", cyrillicC1+runeRange('А', 'я'))
)

const (
	latin1C1   = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
	cyrillicC1 = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u0098™љ›њќћџ\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕї"
)

func newCharset(name, high string) *charset { return &charset{name, []rune(high)} }

func runeRange(from, to rune) string {
	var b strings.Builder
	for r := from; r <= to; r++ {
		b.WriteRune(r)
	}
	return b.String()
}

// errGarbled is what a person would see as Ã¼ in place of ü.
var errGarbled = errors.New("the text is UTF-8, the form asks for another encoding")

// numericReference is how a form sends a character that its encoding lacks.
var numericReference = regexp.MustCompile(`&#\d+;`)

// decode reads text as a form of this charset sends it. Text outside ASCII that
// is valid UTF-8 was encoded wrongly: in these encodings it would be a row of
// symbols that no name contains.
func (c *charset) decode(s string) (string, error) {
	var b strings.Builder
	ascii := true
	for i := range len(s) {
		if s[i] < 0x80 {
			b.WriteByte(s[i])
			continue
		}
		ascii = false
		b.WriteRune(c.high[s[i]-0x80])
	}
	if !ascii && utf8.ValidString(s) {
		return "", errGarbled
	}
	return numericReference.ReplaceAllStringFunc(b.String(), html.UnescapeString), nil
}

// encode writes a page in this charset; a character that it lacks becomes a
// numeric reference.
func (c *charset) encode(page string) []byte {
	out := make([]byte, 0, len(page))
	for _, r := range page {
		out = c.append(out, r)
	}
	return out
}

func (c *charset) append(out []byte, r rune) []byte {
	if r < 0x80 {
		return append(out, byte(r))
	}
	for i, h := range c.high {
		if h == r {
			return append(out, byte(0x80+i))
		}
	}
	return append(out, "&#"+strconv.Itoa(int(r))+";"...)
}
