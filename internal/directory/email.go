package directory

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode/utf8"
)

const (
	maxEmail      = 254 // characters of an address that mail can be sent to
	maxEmailLocal = 64  // before the @
)

// EmailFault says what is wrong with the e-mail address of a customer and what to write; it
// is empty when nothing is. Unlike that of a profile, which is published, it may be one that
// only works in the house.
func EmailFault(s string) string { return Options{AllowLocal: true}.emailFault(s) }

func (o Options) emailFault(s string) string {
	if n := utf8.RuneCountInString(s); n > maxEmail {
		return fmt.Sprintf("has %d characters, at most %d fit: shorten it", n, maxEmail)
	}
	address, err := mail.ParseAddress(s)
	if err != nil || address.Address != s || address.Name != "" || strings.ContainsFunc(s, func(r rune) bool { return !printable(r) }) {
		return oneLine(s) + " is not an e-mail address: write one like hello@example.com"
	}
	at := strings.LastIndexByte(s, '@')
	if at > maxEmailLocal {
		return fmt.Sprintf("has %d characters before the @, at most %d are allowed: use a shorter address", at, maxEmailLocal)
	}
	if fault := hostFault(s[at+1:], o.AllowLocal); fault != "" {
		return oneLine(s[at+1:]) + " " + fault
	}
	return ""
}
