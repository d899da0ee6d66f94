package job

import (
	"regexp"
	"strings"
)

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
// parts stripped, at most 200 bytes cut at a rune.
func Signature(class, cause string) string {
	if len(cause) > 4096 {
		cause = cause[:4096]
	}
	s := strings.ToValidUTF8(cause, "")
	for _, n := range signatureNoise {
		s = n.re.ReplaceAllString(s, n.by)
	}
	s = class + ": " + strings.TrimSpace(s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}
