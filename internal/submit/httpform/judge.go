package httpform

import (
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/formfield"
)

// judge decides what the answer to the last step means. later says that a step
// was sent before it.
func (v *visit) judge(before, answer *view, later bool) error {
	if end := v.byRules(before, answer, later); end != nil {
		return end
	}
	if end := v.accepted(before, answer); end != nil {
		return end
	}
	return v.unmatched(before, answer)
}

// next is the page of the next step: the answer to the last one, if it has the form.
func (v *visit) next(before, answer *view, step directory.Step, later bool) (*view, error) {
	if end := v.byRules(before, answer, later); end != nil {
		return nil, end
	}
	if answer.page.Status < 300 && answer.page.Broken == nil {
		if f, err := answer.pick(step); err == nil {
			if f.signature() == v.last {
				return nil, doubt("the directory shows the same form again: %s", answer.complaint(before)).on(answer)
			}
			return answer, nil
		}
	}
	if end := v.accepted(before, answer); end != nil {
		return nil, end // the directory was content with fewer steps
	}
	if answer.page.Status >= 300 || answer.page.Broken != nil {
		return nil, v.unmatched(before, answer)
	}
	_, err := answer.pick(step)
	return nil, v.late(err)
}

// byRules applies what says no, or that a person is needed.
func (v *visit) byRules(before, answer *view, later bool) error {
	if pause, refused := v.refused(answer); refused {
		end := open(directory.ClassRefused, "the post was answered with %d", answer.page.Status)
		switch {
		case !answer.direct():
			end = strayed(answer) // the post itself was taken; only the page after it was refused
		case later:
			end = end.afterSending()
		}
		end.RetryAfter = pause
		return end.on(answer).sick()
	}
	d := v.request.Directory
	for _, rule := range d.Action {
		if e := v.proof(rule.Rule, before, answer); e != nil {
			end := needs(rule.Need, "%s: %s", reasons[rule.Need], e.Excerpt).on(answer)
			end.Outcome.Evidence = e
			return end
		}
	}
	for _, rule := range d.Rejected {
		if e := v.proof(rule, before, answer); e != nil {
			reason := rule.Reason
			if reason == "" {
				reason = e.Excerpt
			}
			return ends(directory.Outcome{State: directory.Rejected, Reason: reason, Evidence: e}).on(answer)
		}
	}
	return nil
}

// proof is the evidence of a rule that matched the answer. On a page of a server
// that broke down, and for good news on a page that says no, only a rule that names
// the status counts.
func (v *visit) proof(rule directory.Rule, before, answer *view) *directory.Evidence {
	if answer.page.Status >= 500 && rule.Status == 0 {
		return nil
	}
	_, e := v.reader.first([]directory.Rule{rule}, answer, before)
	return e
}

// accepted applies the success rules.
func (v *visit) accepted(before, answer *view) error {
	d := v.request.Directory
	for _, rule := range d.Success {
		if answer.page.Status >= 400 && rule.Status == 0 {
			continue
		}
		if e := v.proof(rule, before, answer); e != nil {
			return ends(directory.Outcome{State: directory.Submitted, Evidence: e, ListingURL: listingURL(d.Listing, answer)}).on(answer)
		}
	}
	return nil
}

// unmatched decides on an answer that no rule knows. It is never a success.
func (v *visit) unmatched(before, answer *view) error {
	status, said := answer.page.Status, answer.complaint(before)
	if said != "" {
		said = ": " + said
	}
	if what := answer.challenge(); what != "" && status >= 400 {
		return needs(directory.NeedCaptcha, "%s", what).on(answer)
	}
	switch {
	case !answer.direct() && status >= 300:
		end := strayed(answer).on(answer)
		end.HostOK = status < 500
		return end
	case status == 307 || status == 308:
		return permanent("the directory asks to send the form again elsewhere (%d), and a form is sent once", status).on(answer)
	case status >= 500:
		return doubt("the post was answered with %d%s", status, said).on(answer).sick()
	case status == 401:
		return needs(directory.NeedLogin, "the directory wants a login (401)").on(answer)
	case status == 408 || status == 425:
		return doubt("the post was answered with %d%s", status, said).on(answer)
	case status >= 400:
		return permanent("the post was answered with %d%s", status, said).on(answer)
	case answer.page.Broken != nil:
		return doubt("the answer to the post ended early: %v", answer.page.Broken).on(answer).sick()
	}
	if end := newWall(before, answer); end != nil {
		return end
	}
	return doubt("the answer to the post matched no rule%s", said).on(answer)
}

// strayed is the verdict on a post that was answered with a redirect to a page
// that does not work. That page's status says nothing of the post.
func strayed(answer *view) *verdict {
	return doubt("the post was answered with %d, and the page it points to with %d", answer.page.Hops[0].Status, answer.page.Status)
}

// newWall finds what stands in the answer and did not before: a login, a payment,
// a captcha.
func newWall(before, answer *view) error {
	appeared := func(p formfield.Purpose) bool { return answer.formFor(p) != nil && before.formFor(p) == nil }
	switch {
	case appeared(formfield.ForLogin) && !answer.hasListingForm():
		return needs(directory.NeedLogin, "the directory answered with a login").on(answer)
	case appeared(formfield.ForPayment):
		return needs(directory.NeedPayment, "the directory answered with a payment form").on(answer)
	case answer.captcha() != "" && before.captcha() == "":
		return needs(directory.NeedCaptcha, "the directory answered with a captcha: %s", answer.captcha()).on(answer)
	}
	return nil
}
