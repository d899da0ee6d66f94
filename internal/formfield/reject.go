package formfield

import (
	"regexp"
	"strings"
)

// Reject says why a control is never filled in by a guess; empty: it may be.
type Reject string

const (
	Trap       Reject = "trap"       // must stay empty; only robots fill it
	Password   Reject = "password"   //
	Captcha    Reject = "captcha"    // proves a person
	Search     Reject = "search"     //
	Newsletter Reject = "newsletter" // consent to be written to
	Terms      Reject = "terms"      // consent that only a person can give
	Coupon     Reject = "coupon"     //
	Reciprocal Reject = "reciprocal" // wants a link in return
	Payment    Reject = "payment"    // a card
	Plan       Reject = "plan"       // free or paid
	Invisible  Reject = "invisible"  // no person sees it
)

// rejections are tried in this order on all that is said of a control.
var rejections = []struct {
	why   Reject
	ticks bool // of checkboxes and radio buttons only
	text  *regexp.Regexp
}{
	{Trap, false, regexp.MustCompile(`honey ?pot|anti ?spam|no ?spam|spam (check|trap|protection)|bot (check|trap|field)|\bhp (field|name|email|url|check)\b|leave (this |the )?(field |box |input )?(blank|empty)|(do not|don t|dont|never) (fill|enter|touch|type)|if you (are|re) (a )?human|for (ro)?bots|hidden from humans|frei lassen|nicht ausfullen|laisser vide|dejar en blanco`)},
	{Captcha, false, regexp.MustCompile(`captcha|security (code|question|check)|verification (code|question)|(are you|prove you|not) (a )?(human|robot)|type the (characters|letters|text|code)|(characters|letters) (shown|above|in the image)|(what|how much) is \d+ (plus|minus|times|x) \d+|\d+ (plus|minus) \d+|sicherheitscode|spamschutz|anti robot`)},
	{Payment, false, regexp.MustCompile(`card number|credit card|\bcc (number|num|exp|cvc|csc|name)\b|\bcv[cv]2?\b|security code on card|card (holder|expiry|expiration)|\biban\b|paypal`)},
	{Coupon, false, regexp.MustCompile(`coupon|promo(tion)? ?code|discount code|voucher|gift code|gutschein|code promo`)},
	{Reciprocal, false, regexp.MustCompile(`reciprocal|link ?back|back ?link|return link|recip url`)},
	{Terms, true, regexp.MustCompile(`\b(terms|conditions|tos|agb|agree|accept|acknowledge|certify|confirm|consent|privacy|gdpr|dsgvo|rgpd|datenschutz|nutzungsbedingungen|conditions generales|cgu|acepto|accetto|akzeptiere|policy|authori[sz]ed)\b`)},
	{Newsletter, true, regexp.MustCompile(`newsletter|subscribe|mailing list|updates|special offers|marketing|promotions?|keep me (informed|posted)|notify me|send me|abonner`)},
	{Newsletter, false, regexp.MustCompile(`newsletter|mailing list`)},
	{Plan, true, regexp.MustCompile(`\b(plan|package|pricing|membership|listing type|listing level|subscription|tier|upgrade|featured|premium)\b`)},
}

// planNames are the words of a select for what is to be paid.
var planNames = regexp.MustCompile(`^(select |choose |your |a )*(plan|package|membership|pricing plan|listing (type|plan|package|level)|membership (plan|level|type)|subscription( plan)?|price plan|package id|plan id)$`)

func (c Control) reject() Reject {
	switch {
	case c.Type == "password":
		return Password
	case paysWith(c.Autocomplete):
		return Payment
	}
	said := c.said()
	for _, r := range rejections {
		if (c.Ticks() || !r.ticks) && r.text.MatchString(said) {
			if r.why == Newsletter && c.Ticks() && termsWords.MatchString(said) {
				return Terms
			}
			return r.why
		}
	}
	return c.rejectByLook()
}

var termsWords = regexp.MustCompile(`\b(terms|conditions|privacy)\b`)

func (c Control) rejectByLook() Reject {
	name := strings.Join(words(c.Name), " ")
	switch {
	case c.Hidden:
		return Invisible
	case c.TabIndex < 0 && (c.Autocomplete == "off" || c.Label == ""):
		return Trap // a person cannot tab into it
	case c.Type == "search", name == "search", strings.HasPrefix(name, "search "):
		return Search
	case c.Label == "" && c.Aria == "" && (name == "q" || name == "s" || name == "query"):
		return Search
	case strings.Contains(name, "password") || name == "pwd" || name == "passwd":
		return Password
	case c.Tag == "select" && (planNames.MatchString(name) || planNames.MatchString(strings.Join(words(c.Label), " "))):
		return Plan
	}
	return ""
}

// said is everything that is said of a control, as words with single spaces.
func (c Control) said() string {
	parts := []string{c.Name, c.ID, c.Label, c.Placeholder, c.Title, c.Aria, c.Near, c.Class}
	if c.Ticks() {
		parts = append(parts, c.Group)
	}
	for i, p := range parts {
		p = strings.NewReplacer("+", " plus ", "−", " minus ", " - ", " minus ").Replace(p)
		parts[i] = strings.Join(words(p), " ")
	}
	return strings.Join(parts, " | ")
}

func paysWith(autocomplete string) bool {
	for token := range strings.FieldsSeq(strings.ToLower(autocomplete)) {
		if strings.HasPrefix(token, "cc-") {
			return true
		}
	}
	return false
}

// free names a plan that costs nothing.
var (
	free = regexp.MustCompile(`(?i)\b(free|gratis|kostenlos|gratuit)\b|[$€£]\s?0(?:[.,]00)?(?:[^\d.,]|$)|\b0(?:[.,]00)?\s?(?:[$€£]|usd|eur)`)
	paid = regexp.MustCompile(`(?i)free (trial|month|for \d)|[$€£]\s?[1-9]|[1-9]\d*(?:[.,]\d\d)?\s?(?:[$€£]|usd|eur)|first month`)
)

// Free reports whether a choice among plans says that it costs nothing.
func Free(text string) bool { return free.MatchString(text) && !paid.MatchString(text) }
