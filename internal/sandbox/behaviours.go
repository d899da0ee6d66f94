package sandbox

import (
	"slices"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// Behaviour is one way in which a directory behaves.
type Behaviour struct {
	Name string
	What string // what it does, for people

	// Expect are the states in which a submission may rest once its order is
	// completed; Need is the kind of action, with needs_action.
	Expect []directory.SubmissionState
	Need   string

	// Lists is how often the directory has taken the business in by then, listed
	// or held: 0 or 1. OnlyIfSent says that 1 holds only when the submission does
	// not wait for a person before anything was sent.
	Lists      int
	OnlyIfSent bool

	Closed bool // nothing listens

	make func(*site) conduct
}

var (
	expectListed    = []directory.SubmissionState{directory.Submitted, directory.Live}
	expectAction    = []directory.SubmissionState{directory.NeedsAction}
	expectFailed    = []directory.SubmissionState{directory.FailedState}
	expectRejected  = []directory.SubmissionState{directory.Rejected}
	expectUncertain = []directory.SubmissionState{directory.Uncertain}
	expectUnlisted  = []directory.SubmissionState{directory.FailedState, directory.Uncertain}
)

// Behaviours lists every behaviour, by family.
var Behaviours = []Behaviour{
	// forms.go, steps.go: how a form asks
	{Name: "plain", What: "plain form, receipt with a link", Expect: expectListed, Lists: 1, make: as[plain]},
	{Name: "csrf", What: "token bound to a session cookie; a wrong one is a 403", Expect: expectListed, Lists: 1, make: as[csrf]},
	{Name: "three_steps", What: "three pages with a hidden state; the last one files", Expect: expectListed, Lists: 1, make: as[threeSteps]},
	{Name: "selects", What: "selects with own ids, radio buttons, a checkbox, a text with a limit", Expect: expectListed, Lists: 1, make: as[selects]},
	{Name: "upload_required", What: "multipart form that insists on a logo", Expect: append([]directory.SubmissionState{directory.NeedsAction}, expectListed...),
		Need: directory.NeedMissingField, Lists: 1, OnlyIfSent: true, make: as[uploadRequired]},
	{Name: "upload_optional", What: "multipart form that takes a logo", Expect: expectListed, Lists: 1, make: as[uploadOptional]},
	{Name: "labels", What: "controls named f1, f2, …; only labels tell", Expect: expectListed, Lists: 1, make: as[labels]},
	{Name: "inferred", What: "the catalog names no field", Expect: expectListed, Lists: 1, make: as[inferred]},
	{Name: "honeypot", What: "hidden fields that must stay empty, else it is spam", Expect: expectListed, Lists: 1, make: as[honeypot]},
	{Name: "many_forms", What: "search, login and newsletter forms beside the right one", Expect: expectListed, Lists: 1, make: as[manyForms]},
	{Name: "form_moved", What: "301 to the form page, whose action is relative", Expect: expectListed, Lists: 1, make: as[formMoved]},
	{Name: "base_href", What: "relative action with a base element", Expect: expectListed, Lists: 1, make: as[baseHref]},

	// charsets.go: in which bytes
	{Name: "latin1", What: "ISO-8859-1 page; UTF-8 bytes are refused", Expect: expectListed, Lists: 1, make: as[latin1Page]},
	{Name: "windows1251", What: "windows-1251 page; UTF-8 bytes are refused", Expect: expectListed, Lists: 1, make: as[cyrillicPage]},
	{Name: "accept_charset", What: "UTF-8 page, form with accept-charset ISO-8859-1", Expect: expectListed, Lists: 1, make: as[acceptCharset]},

	// replies.go: how the post is answered
	{Name: "found_302", What: "302 to a thank-you page", Expect: expectListed, Lists: 1, make: as[found302]},
	{Name: "see_other_303", What: "303 to the listing itself", Expect: expectListed, Lists: 1, make: as[seeOther303]},
	{Name: "json", What: "JSON answer", Expect: expectListed, Lists: 1, make: as[jsonReply]},
	{Name: "created_201", What: "201 with a Location header and no text", Expect: expectListed, Lists: 1, make: as[created201]},
	{Name: "meta_refresh", What: "says nothing and refreshes to the receipt; the lookup finds it", Expect: expectListed, Lists: 1, make: as[metaRefresh]},
	{Name: "redirect_loop", What: "lists, then redirects in circles; the lookup finds it", Expect: expectListed, Lists: 1, make: as[redirectLoop]},
	{Name: "moved_307", What: "307 to another path of the same host; must not be sent again", Expect: expectUnlisted, make: as[moved307]},
	{Name: "moved_away_307", What: "307 to another host; must not be sent again", Expect: expectUnlisted, make: as[movedAway]},
	{Name: "words_before", What: "the form page already says thank you for submitting", Expect: expectListed, Lists: 1, make: as[wordsBefore]},
	{Name: "words_before_fails", What: "the same, and every post fails on a page that says it too", Expect: expectUnlisted, make: as[wordsBeforeFails]},
	{Name: "huge_page", What: "10 MB form page, form at the start", Expect: expectListed, Lists: 1, make: as[hugePage]},
	{Name: "endless_page", What: "form page that never ends and shows no form", Expect: expectFailed, make: as[endlessPage]},

	// troubles.go: what goes wrong
	{Name: "slow", What: "lists, and takes two seconds to say so", Expect: expectListed, Lists: 1, make: as[slow]},
	{Name: "error_once", What: "500 without listing, the first time", Expect: expectListed, Lists: 1, make: as[errorOnce]},
	{Name: "error_for_ever", What: "500 without listing, each time, and no lookup", Expect: expectUncertain, make: as[errorForEver]},
	{Name: "error_after_listing", What: "lists, then answers 500; the lookup finds it", Expect: expectListed, Lists: 1, make: as[errorAfterListing]},
	{Name: "throttled_once", What: "429 with Retry-After, the first time", Expect: expectListed, Lists: 1, make: as[throttledOnce]},
	{Name: "unavailable_once", What: "503 with Retry-After, the first time", Expect: expectListed, Lists: 1, make: as[unavailableOnce]},
	{Name: "cut_with_lookup", What: "lists, then cuts the connection; the lookup finds it a little later", Expect: expectListed, Lists: 1, make: as[cutWithLookup]},
	{Name: "cut_without_lookup", What: "lists, then cuts the connection; nobody can tell", Expect: expectUncertain, Lists: 1, make: as[cutWithoutLookup]},
	{Name: "cut_before_body", What: "cuts before reading the body, the first time; absence is proof", Expect: expectListed, Lists: 1, make: as[cutBeforeBody]},
	{Name: "half_answer", What: "lists, then cuts in the middle of the answer", Expect: expectListed, Lists: 1, make: as[halfAnswer]},
	{Name: "late_answer", What: "lists and answers after the client gave up; the lookup finds it", Expect: expectListed, Lists: 1, make: as[lateAnswer]},
	{Name: "paced", What: "500 the first time, and two seconds between two turns", Expect: expectListed, Lists: 1, make: as[paced]},
	{Name: "unreachable", What: "nobody listens on its port", Expect: expectFailed, Closed: true, make: as[plain]},

	// people.go: what needs a person
	{Name: "captcha", What: "captcha on the form page that the catalog does not know of", Expect: expectAction, Need: directory.NeedCaptcha, make: as[captcha]},
	{Name: "captcha_declared", What: "captcha that the catalog knows of", Expect: expectAction, Need: directory.NeedCaptcha, make: as[captchaDeclared]},
	{Name: "challenge", What: "403 with a browser check in place of the form page", Expect: expectAction, Need: directory.NeedCaptcha, make: as[challenge]},
	{Name: "login_wall", What: "redirects to a login page", Expect: expectAction, Need: directory.NeedLogin, make: as[loginWall]},
	{Name: "login_declared", What: "login that the catalog knows of", Expect: expectAction, Need: directory.NeedLogin, make: as[loginDeclared]},
	{Name: "payment", What: "asks for money after the post", Expect: expectAction, Need: directory.NeedPayment, Lists: 1, make: as[payment]},
	{Name: "paid_declared", What: "costs money, and the catalog knows", Expect: expectAction, Need: directory.NeedPayment, make: as[paidDeclared]},
	{Name: "email_confirmation", What: "sends an e-mail to be confirmed", Expect: expectAction, Need: directory.NeedEmailVerification, Lists: 1, make: as[emailConfirmation]},
	{Name: "terms_forbid", What: "its terms forbid software", Expect: []directory.SubmissionState{directory.NeedsAction, directory.Skipped},
		Need: directory.NeedManual, make: as[automationForbidden]},

	// refusals.go: when it says no, or later
	{Name: "duplicates", What: "answers the second post of a business with already listed", Expect: expectListed, Lists: 1, make: as[duplicates]},
	{Name: "rejects", What: "takes lighthouses only", Expect: expectRejected, make: as[rejects]},
	{Name: "validation_error", What: "422 that names a field", Expect: expectFailed, make: as[validationError]},
	{Name: "form_gone", What: "the form page is a 404", Expect: expectFailed, make: as[formGone]},
	{Name: "robots", What: "robots.txt does not allow the form", Expect: []directory.SubmissionState{directory.FailedState, directory.Skipped, directory.NeedsAction}, make: as[robotsForbid]},
	{Name: "moderated", What: "listed after a moderator looked", Expect: expectListed, Lists: 1, make: as[moderated]},
	{Name: "moderated_cut", What: "takes in for moderation, then cuts; absence proves nothing",
		Expect: append([]directory.SubmissionState{directory.Uncertain}, expectListed...), Lists: 1, make: as[moderatedCut]},
}

// show is the order of the directories by authority. The first 50 are a starter
// order: something of everything, and most of it goes well. The last ones are
// what replaces those that fail.
var show = []string{
	"plain", "csrf", "selects", "slow", "three_steps", "labels", "throttled_once", "inferred", "captcha", "cut_with_lookup",
	"found_302", "upload_optional", "error_once", "moderated", "json", "form_gone", "honeypot", "latin1", "late_answer", "login_wall",
	"many_forms", "duplicates", "cut_without_lookup", "see_other_303", "unavailable_once", "windows1251", "validation_error", "huge_page", "error_after_listing", "email_confirmation",
	"form_moved", "half_answer", "created_201", "robots", "words_before", "redirect_loop", "base_href", "payment", "cut_before_body", "accept_charset",
	"rejects", "moved_307", "paced", "meta_refresh", "unreachable", "upload_required", "error_for_ever", "words_before_fails", "endless_page", "captcha_declared",
	"plain", "csrf", "inferred", "three_steps", "labels", "selects", "moderated_cut", "moved_away_307", "challenge", "login_declared",
	"paid_declared", "terms_forbid", "plain", "found_302",
}

// cast assigns behaviours to n directories, by authority.
func cast(n int, only []string) []*Behaviour {
	names := show
	if len(only) > 0 {
		names = only
	}
	out := make([]*Behaviour, n)
	for i := range out {
		b, _ := FindBehaviour(names[i%len(names)])
		out[i] = b
	}
	return out
}

// FindBehaviour returns the behaviour of that name.
func FindBehaviour(name string) (*Behaviour, bool) {
	i := slices.IndexFunc(Behaviours, func(b Behaviour) bool { return b.Name == name })
	if i < 0 {
		return nil, false
	}
	return &Behaviours[i], true
}

func behaviourNames() []string {
	names := make([]string, len(Behaviours))
	for i, b := range Behaviours {
		names[i] = b.Name
	}
	slices.Sort(names)
	return names
}
