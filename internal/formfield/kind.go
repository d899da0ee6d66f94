package formfield

import (
	"regexp"
	"strings"
)

// Purpose is what a form is for.
type Purpose string

const (
	ForListing    Purpose = "listing" // none of the others
	ForSearch     Purpose = "search"
	ForLogin      Purpose = "login"
	ForNewsletter Purpose = "newsletter"
	ForPayment    Purpose = "payment"
	ForNothing    Purpose = "nothing" // a button, a switch of languages: nothing to fill in
)

var (
	searchWords     = regexp.MustCompile(`\bsearch|\bsuche|\brecherche|\bbuscar|\bfind\b|\bfilter`)
	loginWords      = regexp.MustCompile(`\b(log ?in|sign ?in|anmelden|einloggen|connexion|sign ?up|register|registration|create (an )?account)\b`)
	newsletterWords = regexp.MustCompile(`newsletter|subscri|mailing|mailchimp|stay (informed|updated|in touch)|updates`)
)

// PurposeOf tells what a form is for by what it asks and what it says of itself.
func PurposeOf(f Form) Purpose {
	self := strings.Join(words(strings.Join([]string{f.ID, f.Name, f.Class, f.Role, f.AriaLabel, f.Action, f.Text}, " ")), " ")
	typed, passwords, searches, emails, long, cards, choices := 0, 0, 0, 0, 0, 0, 0
	for _, c := range f.Controls {
		why := c.reject()
		switch {
		case why == Payment && c.kind() != kindOther:
			cards++
		case c.Hidden || why == Trap:
			continue
		case why == Password:
			passwords++
		case c.typed():
			typed++
		case c.kind() == kindChoice || c.kind() == kindFile:
			choices++
		}
		if why == Search {
			searches++
		}
		if c.kind() == kindEmail || tokenKey(c.Autocomplete) == "email" || strings.Contains(strings.Join(words(c.Name), " "), "email") {
			emails++
		}
		if c.kind() == kindLong {
			long++
		}
	}
	switch {
	case cards > 0:
		return ForPayment
	case passwords > 0 && (typed <= 2 || loginWords.MatchString(self) && typed <= 4 && long == 0):
		return ForLogin
	case typed+choices == 0 || typed == 0 && choices == 1:
		return ForNothing
	case long == 0 && typed <= 2 && (searches > 0 || f.Role == "search" || f.Method == "get" && searchWords.MatchString(self)):
		return ForSearch
	case long == 0 && typed <= 3 && emails > 0 && newsletterWords.MatchString(self):
		return ForNewsletter
	case typed == 1 && emails == 1 && choices == 0:
		return ForNewsletter // an e-mail address alone files nothing
	}
	return ForListing
}
