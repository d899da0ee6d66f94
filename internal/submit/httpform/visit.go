package httpform

import (
	"context"
	"errors"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
)

// visit is one submission to one directory, from its first page to its end.
type visit struct {
	request submit.Request
	session *webclient.Session
	reader  reader

	deadline submit.Deadline // set by the intent
	last     string          // signature of the form that was sent last
}

// run goes through the steps. Its error is always there: a verdict, or what ended
// the visit before anything was sent.
func (v *visit) run(ctx context.Context) error {
	steps := v.request.Directory.Form.Steps
	if len(steps) == 0 {
		steps = []directory.Step{{}}
	}
	page, err := v.open(ctx)
	for i := 0; err == nil; i++ {
		var answer *view
		if answer, err = v.take(ctx, page, steps[i]); err != nil {
			break
		}
		if i == len(steps)-1 {
			return v.judge(page, answer, i > 0)
		}
		page, err = v.next(page, answer, steps[i+1], i > 0)
	}
	return err
}

// open reads the page with the first form.
func (v *visit) open(ctx context.Context) (*view, error) {
	start := v.request.Directory.Form.Start
	if err := v.mayVisit(ctx, start); err != nil {
		return nil, err
	}
	p, err := v.session.Get(ctx, start, "")
	if err != nil {
		return nil, unreadable(ctx, err)
	}
	page := newView(p)
	return page, v.inspect(page)
}

// mayVisit asks the host's robots.txt.
func (v *visit) mayVisit(ctx context.Context, url string) error {
	allowed, err := v.session.Allowed(ctx, url)
	if err != nil {
		return unreadable(ctx, err)
	}
	if !allowed {
		return ends(directory.Outcome{State: directory.Skipped, Class: directory.ClassRobots, Reason: "robots.txt does not let us visit " + url})
	}
	return nil
}

// unreadable is the end of a visit on a page that could not be read: the end of ctx
// itself, or a verdict by the fault's class.
func unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var end *verdict
	fault, ok := errors.AsType[*webclient.Fault](err)
	switch {
	case ok && fault.Class == directory.ClassBlocked:
		end = ends(directory.Outcome{State: directory.FailedState, Class: directory.ClassBlocked, Reason: err.Error()})
	case ok && fault.Class == directory.ClassPermanent:
		end = permanent("%v", err)
	default:
		end = open(directory.ClassNotSent, "%v", err).sick()
	}
	if r, ok := errors.AsType[*webclient.RobotsError](err); ok {
		end.RetryAfter = r.RetryAfter
	}
	return end
}

// inspect judges the page that should have the first form. Nothing has been sent.
func (v *visit) inspect(page *view) error {
	if end := v.actionByPlace(page); end != nil {
		return end
	}
	if what := page.challenge(); what != "" {
		return needs(directory.NeedCaptcha, "%s", what).on(page)
	}
	status := page.page.Status
	if pause, refused := v.refused(page); refused {
		end := open(directory.ClassRefused, "the form's page was answered with %d", status).on(page).sick()
		end.RetryAfter = pause
		return end
	}
	switch {
	case status >= 500, status == 408, status == 425:
		return open(directory.ClassNotSent, "the form's page was answered with %d", status).on(page).sick()
	case status == 401:
		return needs(directory.NeedLogin, "the form's page wants a login").on(page)
	case status == 404 || status == 410:
		return permanent("the form is gone: its page was answered with %d", status).on(page)
	case status >= 300:
		return permanent("the form's page was answered with %d", status).on(page)
	case page.page.Broken != nil:
		return open(directory.ClassNotSent, "the form's page ended early: %v", page.page.Broken).sick()
	}
	return nil
}

// actionByPlace tries the directory's action rules on a page before the post. Only
// those that name a URL or a status count there: a form may well say in its small
// print what will have to be done later.
func (v *visit) actionByPlace(page *view) error {
	for _, rule := range v.request.Directory.Action {
		if rule.URL == "" && rule.Status == 0 {
			continue
		}
		if excerpt, ok := v.reader.match(rule.Rule, page, nil); ok {
			end := needs(rule.Need, "%s: %s", reasons[rule.Need], excerpt).on(page)
			end.Outcome.Evidence = v.reader.evidence(rule.Rule, page, excerpt)
			return end
		}
	}
	return nil
}

// refused reports whether the host asks to be left alone, without having
// processed anything.
func (v *visit) refused(page *view) (pause time.Duration, refused bool) {
	pause, asked := webclient.RetryAfter(page.page.Header, v.reader.now)
	status := page.page.Status
	return pause, status == 429 || status == 503 && asked
}

// take fills in the form of a step and sends it.
func (v *visit) take(ctx context.Context, page *view, step directory.Step) (*view, error) {
	effect, err := v.prepare(ctx, page, step)
	if err != nil {
		return nil, v.late(err)
	}
	first := v.deadline == nil
	if first {
		if err := v.intend(ctx); err != nil {
			return nil, err
		}
	}
	p, err := v.session.Send(ctx, effect, v.deadline)
	switch {
	case err == nil:
		return newView(p), nil
	case first:
		return nil, unsent(ctx, err)
	}
	return nil, v.late(unsent(ctx, err))
}

// intend commits the intent, once for all steps.
func (v *visit) intend(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	deadline, err := v.request.Intend(ctx)
	if err != nil {
		return err
	}
	v.deadline = deadline
	return nil
}

// prepare fills in the form and says what is to be sent.
func (v *visit) prepare(ctx context.Context, page *view, step directory.Step) (webclient.Effect, error) {
	f, err := page.pick(step)
	if err != nil {
		return webclient.Effect{}, err
	}
	if what := f.captcha(); what != "" {
		return webclient.Effect{}, needs(directory.NeedCaptcha, "the form has a captcha: %s", what).on(page)
	}
	if f.cutOff() {
		return webclient.Effect{}, permanent("the form does not end within the first %d MiB of the page", webclient.MaxBody>>20).on(page)
	}
	d := v.request.Directory
	infer := d.Form.Infer == nil || *d.Form.Infer
	if err := (filler{form: f, directory: d, business: v.request.Business}).fill(step, infer); err != nil {
		return webclient.Effect{}, err
	}
	button, err := f.button(step.Submit)
	if err != nil {
		return webclient.Effect{}, err
	}
	effect, err := f.effect(button)
	if err != nil {
		return webclient.Effect{}, err
	}
	v.last = f.signature()
	return effect, v.mayVisit(ctx, effect.URL)
}

// late is an error as it counts now: once a step has been sent, whatever comes
// after leaves the submission in doubt.
func (v *visit) late(err error) error {
	if v.deadline == nil {
		return err
	}
	if end, ok := errors.AsType[*verdict](err); ok {
		return end.afterSending()
	}
	return doubt("the visit ended after a step of the form was sent: %v", err)
}

// unsent is the verdict on an effect without an answer. Our own end, by ctx or by
// the deadline, is not held against the host.
func unsent(ctx context.Context, err error) *verdict {
	fault, ok := errors.AsType[*webclient.Fault](err)
	if ok && fault.Class == directory.ClassBlocked {
		return ends(directory.Outcome{State: directory.FailedState, Class: directory.ClassBlocked, Reason: err.Error()})
	}
	end := doubt("the form was sent, and no answer came that could be read: %v", err)
	if ok && fault.Class == directory.ClassNotSent {
		end = open(directory.ClassNotSent, "nothing was sent: %v", err)
	}
	_, answered := errors.AsType[*webclient.RedirectError](err)
	end.HostOK = answered || ctx.Err() != nil || errors.Is(err, webclient.ErrDeadline)
	return end
}
