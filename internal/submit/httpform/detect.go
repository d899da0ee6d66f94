package httpform

import (
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"github.com/directorybolt/directorybolt/internal/formfield"
	"golang.org/x/net/html"
)

// widgets are the elements that captchas hang on.
const widgets = `.g-recaptcha, .h-captcha, .cf-turnstile, .frc-captcha, .mtcaptcha, .geetest_captcha, .altcha, altcha-widget, [data-callback][data-sitekey], [data-hcaptcha-widget-id],
	iframe[src*="recaptcha/"], iframe[src*="hcaptcha.com"], iframe[src*="challenges.cloudflare.com"], iframe[src*="funcaptcha"], iframe[src*="arkoselabs"],
	img[src*="captcha" i], img[id*="captcha" i], img[class*="captcha" i], img[alt*="captcha" i], div[id*="captcha" i], div[class*="captcha" i]`

// scripts that bring a captcha which the page itself does not show.
const widgetScripts = `script[src*="recaptcha/api.js"], script[src*="recaptcha/enterprise.js"], script[src*="recaptcha.net/"], script[src*="hcaptcha.com/"], script[src*="challenges.cloudflare.com/turnstile"],
	script[src*="friendly-challenge"], script[src*="friendlycaptcha"], script[src*="funcaptcha"], script[src*="arkoselabs"], script[src*="mtcaptcha"], script[src*="geetest"]`

// captcha names the captcha of a form: a widget in it, or a control that asks for
// one. A script alone counts when no other form of the page has the widget.
func (f *form) captcha() string {
	for _, c := range f.controls {
		if formfield.Infer(formfield.Form{Controls: []formfield.Control{c.Control}})[0].Reject == formfield.Captcha && !c.isButton {
			return "the field " + c.Says()
		}
	}
	all := f.view.doc.Find(widgets)
	for _, n := range all.Nodes {
		if contains(f.node, n) || inside(n, "form") == nil {
			return describe(n)
		}
	}
	if all.Length() == 0 {
		if s := f.view.doc.Find(widgetScripts); s.Length() > 0 {
			return describe(s.Get(0))
		}
	}
	return ""
}

// captcha names a captcha anywhere on the page.
func (v *view) captcha() string {
	if v.doc == nil {
		return ""
	}
	if s := v.doc.Find(widgets + ", " + widgetScripts); s.Length() > 0 {
		return describe(s.Get(0))
	}
	return ""
}

func describe(n *html.Node) string {
	for _, name := range []string{"src", "class", "id"} {
		if value := attr(n, name); value != "" {
			return "the " + n.Data + " element of " + shorten(value, 80)
		}
	}
	return "the element " + n.Data
}

// challengeMarks stand in the pages that gatekeepers send in place of the one
// that was asked for.
var challengeMarks = regexp.MustCompile(`(?i)cf-chl-|cf_chl_opt|challenge-platform/[^"' ]*orchestrate|<title>\s*(just a moment|attention required! \| cloudflare|ddos-guard|access to this page has been denied)|_incapsula_resource|px-captcha|captcha-delivery\.com|geo\.captcha|aws-waf-token|awswaf\.com|sucuri_cloudproxy|checking your browser before|verify(ing)? (that )?you are (a )?human`)

// challenge names the gatekeeper that answered in place of the site, "" if none did.
func (v *view) challenge() string {
	if strings.EqualFold(v.page.Header.Get("Cf-Mitigated"), "challenge") {
		return "a challenge of the site's gatekeeper"
	}
	switch v.page.Status {
	case 200, 202, 401, 403, 405, 429, 503:
	default:
		return ""
	}
	body := v.page.Body[:min(len(v.page.Body), 64<<10)]
	mark := challengeMarks.Find(body)
	if mark == nil || v.page.Status == 200 && v.hasListingForm() {
		return ""
	}
	return "a challenge of the site's gatekeeper (" + shorten(squeeze(string(mark)), 60) + ")"
}

// direct reports whether the page is the answer to the request itself, and not to
// a redirect from there.
func (v *view) direct() bool { return len(v.page.Hops) == 0 }

func (v *view) hasListingForm() bool {
	for _, f := range v.forms() {
		if formfield.PurposeOf(f.model) == formfield.ForListing {
			return true
		}
	}
	return false
}

// formFor returns a form of the page with that purpose, nil if there is none.
func (v *view) formFor(p formfield.Purpose) *form {
	for _, f := range v.forms() {
		if formfield.PurposeOf(f.model) == p {
			return f
		}
	}
	return nil
}

// complaintMark is in the class or id of elements that say what is wrong with what
// was sent.
var complaintMark = regexp.MustCompile(`(?i)(^|[\s_-])(errors?|errorlist|error-?message|faults?|invalid|danger|alert|not-valid|validation|has-error|problem)([\s_-]|$)`)

// maxComplaint bounds a message in characters; what is longer is no message but a page.
const maxComplaint = 200

// maxMarked is how many such elements are read.
const maxMarked = 30

// complaint is the first message about something wrong that the page shows, and
// that the page before the post did not. On a page whose status says no already,
// whatever it shows is that message.
func (v *view) complaint(before *view) string {
	if v.doc == nil {
		return ""
	}
	var said string
	marked := 0
	v.doc.Find("[class], [id], [role=alert]").EachWithBreak(func(_ int, s *goquery.Selection) bool {
		n := s.Get(0)
		if attr(n, "role") != "alert" && !complaintMark.MatchString(attr(n, "class")) && !complaintMark.MatchString(attr(n, "id")) {
			return true
		}
		if marked++; marked > maxMarked {
			return false
		}
		text := v.textOf(n)
		if text == "" || strings.Contains(before.text(), text) || len(text) > 3*maxComplaint {
			return true
		}
		said = shorten(text, maxComplaint)
		return false
	})
	if said == "" && v.page.Status >= 400 {
		said = v.mainText()
	}
	return said
}

// mainText is the beginning of what the page is about.
func (v *view) mainText() string {
	if s := v.doc.Find("main, [role=main], article, #content, body").First(); s.Length() > 0 {
		return shorten(v.textOf(s.Get(0)), maxComplaint)
	}
	return ""
}
