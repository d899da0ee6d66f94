package webclient

import (
	"bytes"
	"fmt"
	"strings"
)

// robotsMax is how much of a robots.txt is read; RFC 9309 asks for no less.
const robotsMax = 500 << 10

// robotsRules are the lines of a robots.txt that are meant for us, by RFC 9309.
// The zero value allows everything.
type robotsRules []robotsRule

type robotsRule struct {
	pattern string
	allow   bool
}

// parseRobots reads the groups that name product, or those for everybody if none
// does. A line that cannot be read is passed over, not held against the file.
func parseRobots(body []byte, product string) robotsRules {
	var ours, everybody robotsRules
	var named, forUs, forAll bool // a group names us; the current group's readers
	inRules := true               // a user-agent line after rules begins a new group
	body = bytes.TrimPrefix(body[:min(len(body), robotsMax)], []byte("\xef\xbb\xbf"))
	for line := range bytes.FieldsFuncSeq(body, func(r rune) bool { return r == '\n' || r == '\r' }) {
		key, value, ok := robotsLine(string(line))
		switch {
		case !ok:
		case key == "user-agent":
			if inRules {
				forUs, forAll, inRules = false, false, false
			}
			forUs = forUs || productToken(value) == product
			forAll = forAll || value == "*"
			named = named || forUs
		case key == "allow" || key == "disallow":
			inRules = true
			if value == "" {
				continue
			}
			rule := robotsRule{pattern: robotsEscape(value), allow: key == "allow"}
			if forUs {
				ours = append(ours, rule)
			}
			if forAll {
				everybody = append(everybody, rule)
			}
		}
	}
	if named {
		return ours
	}
	return everybody
}

func robotsLine(line string) (key, value string, ok bool) {
	line, _, _ = strings.Cut(line, "#")
	key, value, ok = strings.Cut(line, ":")
	return strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value), ok
}

// productToken is a user agent's name without what may follow it.
func productToken(agent string) string {
	agent = strings.ToLower(agent)
	end := strings.IndexFunc(agent, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' && r != '_' })
	if end >= 0 {
		agent = agent[:end]
	}
	return agent
}

// allow reports whether path (with its query) may be visited: the longest pattern
// that matches decides, and between two of one length the one that allows.
func (r robotsRules) allow(path string) bool {
	path = robotsEscape(path)
	if path == "/robots.txt" {
		return true
	}
	longest, allowed := -1, true
	for _, rule := range r {
		n := len(rule.pattern)
		if n < longest || (n == longest && !rule.allow) || !robotsMatch(rule.pattern, path) {
			continue
		}
		longest, allowed = n, rule.allow
	}
	return allowed
}

// robotsMatch matches pattern at the beginning of path. A * stands for anything, a
// $ at the end of the pattern for the end of the path.
func robotsMatch(pattern, path string) bool {
	if end, ok := strings.CutSuffix(pattern, "$"); ok {
		pattern = end
	} else {
		pattern += "*"
	}
	star, mark := -1, 0 // the last * seen, and what of path it stands for so far
	i, j := 0, 0
	for j < len(path) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && pattern[i] == path[j]:
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// robotsEscape brings a path to the one spelling in which patterns and paths are
// compared: unreserved characters plain, the rest of the escapes in upper case.
func robotsEscape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		escaped := false
		if c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]) {
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			escaped = true
			i += 2
		}
		if c >= 0x80 || (escaped && !unreserved(c)) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
