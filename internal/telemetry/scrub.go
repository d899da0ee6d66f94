package telemetry

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// shortestSecret is the length from which on a value is looked for as it stands;
// a shorter one would also be found in innocent words.
const shortestSecret = 6

// Scrubber takes secrets out of text. It is safe for concurrent use.
type Scrubber struct{ known *strings.Replacer }

// NewScrubber returns a scrubber that knows these secrets beside those it
// recognises by their form.
func NewScrubber(secrets []string) *Scrubber {
	secrets = slices.Clone(secrets)
	// A secret that contains another is replaced whole.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, secret := range secrets {
		if len(secret) >= shortestSecret {
			pairs = append(pairs, secret, Redacted)
		}
	}
	return &Scrubber{strings.NewReplacer(pairs...)}
}

// Forms of secrets. A password that was not escaped may hold any character, so
// that of a URL reaches to the last @ of the word: too much is hidden rather than
// too little.
var secretForms = []struct {
	form *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`(://[^\s/:@"'<>]*):[^\s"'<>]*@`), "${1}:" + Redacted + "@"},
	{regexp.MustCompile(`(?i)(https?://hooks\.slack[a-z-]*\.com/)[^\s"'<>]+`), "${1}" + Redacted},
	{regexp.MustCompile(`(?i)(\bauthorization["']?\s*[:=]\s*["']?[a-z]+ +)[^\s"'<>]+`), "${1}" + Redacted},
	{regexp.MustCompile(`(?i)\b(bearer) +[a-z0-9._~+/=-]{8,}`), "${1} " + Redacted},
	{regexp.MustCompile(`(?i)\b([a-z_-]*(?:password|passwd|secret|token|api_?key|access_?key|amz-signature))=[^\s&"'<>]+`), "${1}=" + Redacted},
	{regexp.MustCompile(`\b(?:whsec_|dbk_[a-z]+_|sb_secret_|xox[a-z]-)[A-Za-z0-9+/=_.-]+`), Redacted},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), Redacted}, // JSON web token
}

// Scrub is text with its secrets replaced by [Redacted].
func (s *Scrubber) Scrub(text string) string {
	text = s.known.Replace(text)
	for _, f := range secretForms {
		text = f.form.ReplaceAllString(text, f.by)
	}
	return text
}

// isSecretKey reports whether what stands under the key is a secret by its name.
func isSecretKey(key string) bool {
	key = strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	for _, word := range []string{"password", "secret", "token", "authorization", "cookie", "api_key", "access_key", "routing_key"} {
		if key == word || strings.HasSuffix(key, "_"+word) {
			return true
		}
	}
	return false
}
