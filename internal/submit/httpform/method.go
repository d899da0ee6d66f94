package httpform

import (
	"context"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
)

// Method submits by plain HTML forms. It keeps nothing between calls.
type Method struct {
	client *webclient.Client
}

var _ submit.Method = (*Method)(nil)

// New builds the method on a client, which stays the caller's to close.
func New(client *webclient.Client) *Method { return &Method{client: client} }

// Submit implements [submit.Method]. An error is the end of ctx, or Intend's, and
// nothing was sent then; everything else is a result.
func (m *Method) Submit(ctx context.Context, r submit.Request) (submit.Result, error) {
	if need := r.Directory.Need(); need != "" {
		return needs(need, "%s", reasons[need]).Result, nil
	}
	if r.Directory.Form == nil {
		return permanent("the catalog entry of %s describes no form", r.Directory.Slug).Result, nil
	}
	v := &visit{
		request: r,
		session: m.session(r.Directory),
		reader:  reader{business: r.Business, now: time.Now()},
	}
	err := v.run(ctx)
	if end, ok := errors.AsType[*verdict](err); ok {
		return end.Result, nil
	}
	return submit.Result{}, err
}

// reasons say what each kind of action is about.
var reasons = map[string]string{
	directory.NeedManual:            "the directory's terms do not let software submit, or a person has to do it",
	directory.NeedLogin:             "the directory wants a login",
	directory.NeedCaptcha:           "the directory has a captcha",
	directory.NeedPayment:           "the directory costs money",
	directory.NeedEmailVerification: "the directory wants an e-mail confirmed",
	directory.NeedPhoneVerification: "the directory wants a phone number confirmed",
	directory.NeedMissingField:      "the directory wants something that the profile does not have",
	directory.NeedTerms:             "the directory wants its terms accepted",
	directory.NeedCategoryChoice:    "the directory wants a category chosen",
}

// session visits the hosts that the catalog entry names.
func (m *Method) session(d *directory.Directory) *webclient.Session {
	urls := []string{d.URL}
	if d.Form != nil {
		urls = append(urls, d.Form.Start)
	}
	if d.Lookup != nil {
		urls = append(urls, d.Lookup.URL)
	}
	return m.client.Visit(webclient.NewHosts(urls...), d.Pacing.Timeout.D())
}
