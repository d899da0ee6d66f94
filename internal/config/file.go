package config

import (
	"fmt"
	"strings"
)

// entry is one line of a settings file.
type entry struct {
	line       int
	key, value string
}

// parseFile reads lines of KEY=VALUE. Blank lines and lines that begin with # say
// nothing; "export " before a key is passed over. A value in single quotes is
// taken as it stands; in double quotes \n, \t, \", \\ and \$ mean what they do in
// a shell; without quotes it ends before a # that follows a space. Nothing is
// expanded. A line that is none of this is a fault with its number; faults never
// repeat a value.
func parseFile(text string) (entries []entry, faults []string) {
	seen := map[string]int{}
	text = strings.TrimPrefix(text, "\ufeff")
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, rest, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		key = strings.TrimSpace(key)
		if !ok || !isName(key) {
			faults = append(faults, fmt.Sprintf("%d: want a line KEY=VALUE", n))
			continue
		}
		value, err := unquote(strings.TrimSpace(rest))
		if err != nil {
			faults = append(faults, fmt.Sprintf("%d: %s: %v", n, key, err))
			continue
		}
		if first := seen[key]; first > 0 {
			faults = append(faults, fmt.Sprintf("%d: %s stands on line %d already", n, key, first))
			continue
		}
		seen[key] = n
		entries = append(entries, entry{n, key, value})
	}
	return entries, faults
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func unquote(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	switch s[0] {
	case '\'':
		value, rest, ok := strings.Cut(s[1:], "'")
		return value, afterQuote(ok, rest)
	case '"':
		value, rest, ok := cutDoubleQuoted(s[1:])
		return value, afterQuote(ok, rest)
	}
	if s[0] == '#' {
		return "", nil
	}
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && (s[i-1] == ' ' || s[i-1] == '\t') {
			return strings.TrimSpace(s[:i]), nil
		}
	}
	return s, nil
}

func afterQuote(closed bool, rest string) error {
	if !closed {
		return fmt.Errorf("the quote is not closed on this line")
	}
	if rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#' {
		return fmt.Errorf("something follows the closing quote")
	}
	return nil
}

// cutDoubleQuoted reads up to the closing quote, escapes undone.
func cutDoubleQuoted(s string) (value, rest string, closed bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteString(unescaped(s[i]))
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func unescaped(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '"', '\\', '$':
		return string(c)
	}
	return `\` + string(c)
}
