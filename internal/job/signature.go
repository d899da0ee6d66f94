package job

import (
	"regexp"
	"strings"
	"unicode"
)

// MostSignature is how long a signature is at most, in bytes.
const MostSignature = 200

var signatureNoise = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`"[^"]*"|'[^']*'|` + "`[^`]*`"), "…"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "ID"},
	{regexp.MustCompile(`(?i)\b(?:0x)?[0-9a-f]*[0-9][0-9a-f]{6,}\b`), "HEX"},
	{regexp.MustCompile(`[0-9]+`), "N"},
	{regexp.MustCompile(`\s+`), " "},
}

// Signature groups failures: class and message with ids, numbers, hex and quoted
// parts stripped, tidy.
func Signature(class, cause string) string {
	if len(cause) > 4096 {
		cause = cause[:4096]
	}
	s := strings.ToValidUTF8(cause, "")
	for _, n := range signatureNoise {
		s = n.re.ReplaceAllString(s, n.by)
	}
	s = class + ": " + strings.TrimSpace(s)
	if len(s) > MostSignature {
		s = strings.ToValidUTF8(s[:MostSignature], "")
	}
	return TidySignature(s)
}

// TidySignature is the form in which a signature is kept, told and compared, whoever
// made it. What is tidy stays as it is.
func TidySignature(s string) string { return OneLine(s, MostSignature) }

// OneLine makes one line of text, at most so many bytes, without what moves a cursor or
// turns the direction of writing.
func OneLine(s string, most int) string {
	if len(s) > 4*most {
		s = s[:4*most]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0xFEFF:
			return -1
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= most {
		return s
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(s[:max(most-len(ellipsis), 0)], "") + ellipsis
}
