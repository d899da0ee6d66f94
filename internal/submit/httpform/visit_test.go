package httpform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// site is a directory of one's own making that notes what it is asked.
type site struct {
	page   string // answered to GET /add
	answer http.HandlerFunc

	mu   sync.Mutex
	seen []string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/robots.txt":
		http.NotFound(w, r)
	case r.Method == http.MethodGet && r.URL.RequestURI() == "/add":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, s.page)
	default:
		s.answer(w, r)
	}
}

// asked is what the site was asked for, but for robots.txt.
func (s *site) asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, line := range s.seen {
		if !strings.Contains(line, "/robots.txt") {
			out = append(out, line)
		}
	}
	return strings.Join(out, ", ")
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const oneField = `<form method=post action=/save><label>Business name <input name=n required></label><textarea name=extra></textarea></form>`

// submitTo submits acme to the site and returns what came of it.
func submitTo(t *testing.T, s *site, edit ...func(*directory.Directory)) (submit.Result, *intent) {
	t.Helper()
	server := serve(t, s)
	d := &directory.Directory{
		Slug: "test", URL: server.URL, Form: &directory.Form{Start: server.URL + "/add", Steps: []directory.Step{{}}},
		Success: []directory.Rule{{Text: "thank you"}},
	}
	for _, e := range edit {
		e(d)
	}
	in := &intent{}
	r, err := newMethod(t).Submit(t.Context(), submit.Request{Directory: d, Business: acme(t), Intend: in.intend})
	if err != nil {
		t.Fatal(err)
	}
	return r, in
}

func want(t *testing.T, r submit.Result, state directory.SubmissionState, class, need, reason string) {
	t.Helper()
	o := r.Outcome
	if o.State != state || o.Class != class || o.Need != need || !strings.Contains(o.Reason, reason) {
		t.Errorf("outcome = state %q class %q need %q (%s)\nwant state %q class %q need %q (%s)", o.State, o.Class, o.Need, o.Reason, state, class, need, reason)
	}
}

func TestAnswersAreJudgedByRulesThenByStatus(t *testing.T) {
	rules := func(d *directory.Directory) {
		d.Rejected = []directory.Rule{{Text: "already listed", Reason: "duplicate"}, {Text: "not for you"}, {Status: 503, Text: "closed for ever"}}
		d.Action = []directory.ActionRule{{Rule: directory.Rule{Text: "check your inbox"}, Need: directory.NeedEmailVerification}}
	}
	const submitted, rejected, failed, action, open = directory.Submitted, directory.Rejected, directory.FailedState, directory.NeedsAction, directory.SubmissionState("")
	for name, c := range map[string]struct {
		status      int
		body        string
		state       directory.SubmissionState
		class, need string
		reason      string
		hostOK      bool
	}{
		"success":                       {200, "<p>Thank you</p>", submitted, "", "", "", true},
		"no rule":                       {200, "<p>OK</p>", open, directory.ClassInDoubt, "", "matched no rule", true},
		"no rule, with a message":       {200, "<p class='field-error'>Phone is wrong</p>", open, directory.ClassInDoubt, "", "Phone is wrong", true},
		"action before success":         {200, "<p>Thank you. Check your inbox.</p>", action, "", directory.NeedEmailVerification, "e-mail", true},
		"rejected before success":       {200, "<p>Thank you, but you are already listed.</p>", rejected, "", "", "duplicate", true},
		"rejected in its own words":     {200, "<p>Not for you</p>", rejected, "", "", "Not for you", true},
		"rejected with 409":             {409, "<p>Already listed</p>", rejected, "", "", "duplicate", true},
		"no success on a page of error": {400, "<p>Thank you for trying</p>", failed, directory.ClassPermanent, "", "400", true},
		"validation":                    {422, "<ul class=errors><li>Phone: wrong</li></ul>", failed, directory.ClassPermanent, "", "Phone: wrong", true},
		"forbidden":                     {403, "<main>No entry</main>", failed, directory.ClassPermanent, "", "No entry", true},
		"wants a login":                 {401, "", action, "", directory.NeedLogin, "401", true},
		"request timeout":               {408, "", open, directory.ClassInDoubt, "", "408", true},
		"breakdown":                     {500, "<p>Thank you. Already listed.</p>", open, directory.ClassInDoubt, "", "500", false},
		"bad gateway":                   {502, "", open, directory.ClassInDoubt, "", "502", false},
		"503 without a promise":         {503, "", open, directory.ClassInDoubt, "", "503", false},
		"503 that a rule names":         {503, "<p>Closed for ever</p>", rejected, "", "", "Closed for ever", true},
		"throttled":                     {429, "", open, directory.ClassRefused, "", "429", false},
		"gatekeeper":                    {403, "<title>Just a moment...</title>", action, "", directory.NeedCaptcha, "gatekeeper", true},
		"gatekeeper, breaking down":     {503, "<div class=cf-chl-widget></div>", action, "", directory.NeedCaptcha, "gatekeeper", true},
		"login in the answer":           {200, "<form><input name=user><input type=password name=p></form>", action, "", directory.NeedLogin, "login", true},
		"payment in the answer":         {200, "<form><input autocomplete=cc-number></form>", action, "", directory.NeedPayment, "payment", true},
		"captcha in the answer":         {200, oneField + "<div class=g-recaptcha></div>", action, "", directory.NeedCaptcha, "captcha", true},
		"temporary redirect":            {307, "", failed, directory.ClassPermanent, "", "elsewhere", true},
		"redirect to nowhere":           {302, "", open, directory.ClassInDoubt, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{page: oneField, answer: says(c.status, c.body)}
			r, in := submitTo(t, s, rules)
			want(t, r, c.state, c.class, c.need, c.reason)
			if r.HostOK != c.hostOK {
				t.Errorf("HostOK = %t, want %t", r.HostOK, c.hostOK)
			}
			if in.calls.Load() != 1 || s.asked() != "GET /add, POST /save n=Acme+Plumbing&extra=" {
				t.Errorf("%d intents; asked: %s", in.calls.Load(), s.asked())
			}
			if r.Page == nil || r.Page.Status != c.status || string(r.Page.Body) != c.body {
				t.Errorf("page = %+v, want the answer", r.Page)
			}
		})
	}
}

func TestPagesBeforeThePostAreJudgedWithoutAnIntent(t *testing.T) {
	for name, c := range map[string]struct {
		page   http.HandlerFunc
		state  directory.SubmissionState
		class  string
		need   string
		hostOK bool
	}{
		"gone":          {says(404, ""), directory.FailedState, directory.ClassPermanent, "", true},
		"gone for good": {says(410, ""), directory.FailedState, directory.ClassPermanent, "", true},
		"forbidden":     {says(403, "no"), directory.FailedState, directory.ClassPermanent, "", true},
		"login":         {says(401, ""), directory.NeedsAction, "", directory.NeedLogin, true},
		"broken":        {says(500, ""), "", directory.ClassNotSent, "", false},
		"throttled":     {says(429, ""), "", directory.ClassRefused, "", false},
		"challenge":     {says(403, "<title>Attention Required! | Cloudflare</title>"), directory.NeedsAction, "", directory.NeedCaptcha, true},
		"no form":       {says(200, "<p>Nothing here"), directory.FailedState, directory.ClassPermanent, "", true},
		"script only":   {says(200, "<form action='javascript:x()'><input name=business_name><input name=website><textarea></textarea></form>"), directory.FailedState, directory.ClassPermanent, "", true},
		"other host":    {says(200, "<form method=post action='http://127.0.0.2/x'><input name=business_name><input name=website></form>"), directory.FailedState, directory.ClassBlocked, "", true},
		"captcha field": {says(200, "<form><input name=business_name><input name=captcha_code><input name=website></form>"), directory.NeedsAction, "", directory.NeedCaptcha, true},
		"not HTML":      {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "application/pdf") }, directory.FailedState, directory.ClassPermanent, "", true},
		"loop":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, directory.FailedState, directory.ClassPermanent, "", true},
		"cut short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "<form>")
		}, "", directory.ClassNotSent, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{answer: c.page}
			r, in := submitTo(t, s, func(d *directory.Directory) { d.Form.Start += "?x" })
			want(t, r, c.state, c.class, c.need, "")
			if r.HostOK != c.hostOK {
				t.Errorf("HostOK = %t, want %t", r.HostOK, c.hostOK)
			}
			if in.calls.Load() != 0 || strings.Contains(s.asked(), "POST") {
				t.Errorf("%d intents; asked: %s", in.calls.Load(), s.asked())
			}
		})
	}
}

func TestDeclaredObstaclesCostNoRequest(t *testing.T) {
	for need, flag := range map[string]func(*directory.Directory){
		directory.NeedLogin:   func(d *directory.Directory) { d.RequiresLogin = true },
		directory.NeedCaptcha: func(d *directory.Directory) { d.HasCaptcha = true },
		directory.NeedPayment: func(d *directory.Directory) { d.Paid = true },
		directory.NeedManual:  func(d *directory.Directory) { d.Automation = directory.AutomationForbidden },
	} {
		s := &site{page: oneField}
		r, in := submitTo(t, s, flag)
		want(t, r, directory.NeedsAction, "", need, "")
		if in.calls.Load() != 0 || len(s.seen) != 0 {
			t.Errorf("%s: %d intents; asked: %v", need, in.calls.Load(), s.seen)
		}
	}
}

func TestFormByGETIsAnEffect(t *testing.T) {
	s := &site{page: `<form action=/save><input name=business_name><textarea name=extra></textarea></form>`, answer: says(200, "<p>Thank you")}
	r, in := submitTo(t, s)
	want(t, r, directory.Submitted, "", "", "")
	if in.calls.Load() != 1 || s.asked() != "GET /add, GET /save?business_name=Acme+Plumbing&extra=" {
		t.Errorf("%d intents; asked: %s", in.calls.Load(), s.asked())
	}
}

func TestPageAfterARedirectSaysNothingOfThePost(t *testing.T) {
	for status, hostOK := range map[int]bool{429: false, 503: false, 500: false, 404: true, 403: true, 401: true} {
		s := &site{page: oneField}
		s.answer = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/save" {
				http.Redirect(w, r, "/thanks", http.StatusSeeOther)
				return
			}
			w.Header().Set("Retry-After", "7")
			says(status, "")(w, r)
		}
		r, _ := submitTo(t, s)
		want(t, r, "", directory.ClassInDoubt, "", fmt.Sprintf("303, and the page it points to with %d", status))
		if r.HostOK != hostOK {
			t.Errorf("%d: HostOK = %t", status, r.HostOK)
		}
	}
}

func TestGETFormMayBeRedirectedByAnyStatus(t *testing.T) {
	s := &site{page: `<form action=/save><input name=business_name><textarea name=extra></textarea></form>`}
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/save" {
			http.Redirect(w, r, "/thanks", http.StatusTemporaryRedirect)
			return
		}
		says(200, "<p>Thank you")(w, r)
	}
	r, _ := submitTo(t, s)
	want(t, r, directory.Submitted, "", "", "")
}

func steps(n int) func(*directory.Directory) {
	return func(d *directory.Directory) { d.Form.Steps = make([]directory.Step, n) }
}

const secondForm = `<form method=post action=/two><input type=hidden name=state value=42><label>Website <input name=w></label><textarea name=more></textarea></form>`

func TestStepsTakeOneIntentAndEachOthersPages(t *testing.T) {
	s := &site{page: oneField}
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/save" {
			says(200, secondForm)(w, r)
			return
		}
		says(200, "<p>Thank you")(w, r)
	}
	r, in := submitTo(t, s, steps(2))
	want(t, r, directory.Submitted, "", "", "")
	if want := "GET /add, POST /save n=Acme+Plumbing&extra=, POST /two state=42&w=https%3A%2F%2Fwww.acme.example%2F&more="; in.calls.Load() != 1 || s.asked() != want {
		t.Errorf("%d intents; asked: %s, want %s", in.calls.Load(), s.asked(), want)
	}
}

func TestLaterStepsLeaveDoubtUnlessTheSiteSaysNo(t *testing.T) {
	for name, c := range map[string]struct {
		first, second http.HandlerFunc
		state         directory.SubmissionState
		class, need   string
	}{
		"no second form":        {says(200, "<p>Hm"), nil, "", directory.ClassInDoubt, ""},
		"second form ambiguous": {says(200, secondForm+secondForm), nil, "", directory.ClassInDoubt, ""},
		"second form elsewhere": {says(200, strings.ReplaceAll(secondForm, "/two", "http://127.0.0.2/")), nil, "", directory.ClassInDoubt, ""},
		"first form again":      {says(200, "<p class=error>Name is taken</p>"+oneField), nil, "", directory.ClassInDoubt, ""},
		"captcha on the second": {says(200, secondForm+"<div class=g-recaptcha></div>"), nil, directory.NeedsAction, "", directory.NeedCaptcha},
		"asks what nobody has":  {says(200, strings.ReplaceAll(secondForm, "name=more", "name=more required")), nil, directory.NeedsAction, "", directory.NeedMissingField},
		"first one refused":     {says(422, ""), nil, directory.FailedState, directory.ClassPermanent, ""},
		"first one throttled":   {says(429, ""), nil, "", directory.ClassRefused, ""},
		"first one breaks":      {says(500, ""), nil, "", directory.ClassInDoubt, ""},
		"done after the first":  {says(200, "<p>Thank you"), nil, directory.Submitted, "", ""},
		"second throttled":      {says(200, secondForm), says(429, ""), "", directory.ClassInDoubt, ""},
		"second breaks":         {says(200, secondForm), says(500, ""), "", directory.ClassInDoubt, ""},
		"second refused":        {says(200, secondForm), says(422, ""), directory.FailedState, directory.ClassPermanent, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{page: oneField}
			s.answer = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/save" {
					c.first(w, r)
					return
				}
				c.second(w, r)
			}
			r, in := submitTo(t, s, steps(2))
			want(t, r, c.state, c.class, c.need, "")
			if in.calls.Load() != 1 {
				t.Errorf("%d intents, want 1", in.calls.Load())
			}
		})
	}
}

func TestLaterStepThatIsNotSentLeavesDoubt(t *testing.T) {
	s := &site{page: oneField}
	server := serve(t, s)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		_ = server.Listener.Close() // nobody listens any more when the second step is sent
		says(200, secondForm)(w, r)
	}
	d := &directory.Directory{URL: server.URL, Form: &directory.Form{Start: server.URL + "/add"}}
	steps(2)(d)
	r, err := newMethod(t).Submit(t.Context(), submit.Request{Directory: d, Business: acme(t), Intend: new(intent).intend})
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, "", directory.ClassInDoubt, "", "a step of the form was sent before")
}

func TestIntendThatFailsSendsNothing(t *testing.T) {
	s := &site{page: oneField, answer: says(200, "<p>Thank you")}
	server := serve(t, s)
	d := &directory.Directory{URL: server.URL, Form: &directory.Form{Start: server.URL + "/add"}}
	_, err := newMethod(t).Submit(t.Context(), submit.Request{Directory: d, Business: acme(t), Intend: func(context.Context) (submit.Deadline, error) {
		return nil, directory.ErrNoTime
	}})
	if !errors.Is(err, directory.ErrNoTime) {
		t.Errorf("error = %v, want Intend's", err)
	}
	if s.asked() != "GET /add" {
		t.Errorf("asked: %s", s.asked())
	}
}

func TestDeadlineThatIsOverSendsNothing(t *testing.T) {
	s := &site{page: oneField, answer: says(200, "<p>Thank you")}
	server := serve(t, s)
	d := &directory.Directory{URL: server.URL, Form: &directory.Form{Start: server.URL + "/add"}, Success: []directory.Rule{{Text: "thank you"}}}
	r, err := newMethod(t).Submit(t.Context(), submit.Request{Directory: d, Business: acme(t), Intend: func(context.Context) (submit.Deadline, error) {
		return func() time.Duration { return 0 }, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, "", directory.ClassNotSent, "", "deadline")
	if !r.HostOK || s.asked() != "GET /add" {
		t.Errorf("HostOK %t, asked: %s", r.HostOK, s.asked())
	}
}

func TestCancelBeforeTheIntentIsAnErrorAndAfterItDoubt(t *testing.T) {
	why := errors.New("the lease is lost")
	for _, during := range []string{"GET", "POST"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/robots.txt" {
				http.NotFound(w, r)
				return
			}
			if r.Method == during {
				cancel(why)
				<-r.Context().Done()
				return
			}
			says(200, oneField)(w, r)
		}))
		d := &directory.Directory{URL: server.URL, Form: &directory.Form{Start: server.URL + "/add"}}
		in := &intent{}
		r, err := newMethod(t).Submit(ctx, submit.Request{Directory: d, Business: acme(t), Intend: in.intend})
		if during == "GET" {
			if !errors.Is(err, why) || in.calls.Load() != 0 {
				t.Errorf("before the intent: %v, %d intents", err, in.calls.Load())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want(t, r, "", directory.ClassInDoubt, "", why.Error())
		if !r.HostOK {
			t.Error("our own end counts against the host")
		}
	}
}

func TestFormThatTheSizeLimitCutsIsNotSent(t *testing.T) {
	s := &site{page: strings.Replace(oneField, "</form>", "<p>"+strings.Repeat("x ", 2<<20)+"</form>", 1)}
	r, in := submitTo(t, s)
	want(t, r, directory.FailedState, directory.ClassPermanent, "", "does not end")
	if in.calls.Load() != 0 {
		t.Error("it was intended")
	}
}

func TestRobotsOfTheActionCount(t *testing.T) {
	s := &site{page: oneField, answer: says(200, "<p>Thank you")}
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			_, _ = io.WriteString(w, "User-agent: DirectoryBolt\nDisallow: /save")
			return
		}
		s.ServeHTTP(w, r)
	}))
	in := &intent{}
	d := &directory.Directory{URL: server.URL, Form: &directory.Form{Start: server.URL + "/add"}}
	r, err := newMethod(t).Submit(t.Context(), submit.Request{Directory: d, Business: acme(t), Intend: in.intend})
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, directory.Skipped, directory.ClassRobots, "", "/save")
	if in.calls.Load() != 0 {
		t.Error("it was intended")
	}
}

func TestLookupSaysWhatItKnows(t *testing.T) {
	lookup := &directory.Lookup{
		Found: []directory.Rule{{Selector: "a.listing"}}, Absent: []directory.Rule{{Text: "nothing found"}, {Status: 404}},
		Listing: &directory.Extract{Selector: "a.listing"},
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   submit.Presence
		hostOK bool
		reason string
	}{
		"found":            {says(200, "<a class=listing href=/l/1>Acme</a>"), submit.Found, true, ""},
		"absent":           {says(200, "<p>Nothing found"), submit.Absent, true, ""},
		"absent by status": {says(404, ""), submit.Absent, true, ""},
		"neither":          {says(200, "<p>Hello"), submit.Unknown, true, "matched no rule"},
		"both":             {says(200, "<a class=listing href=/l/1>Other</a><p>Nothing found"), submit.Unknown, true, "both"},
		"broken":           {says(500, "<p>Nothing found"), submit.Unknown, false, "500"},
		"throttled":        {says(429, "<p>Nothing found"), submit.Unknown, false, "429"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "<p>Nothing found")
		}, submit.Unknown, true, "whole"},
		"endless": {says(200, "<p>Nothing found"+strings.Repeat("x", 3<<20)), submit.Unknown, true, "whole"},
	} {
		s := &site{answer: c.answer}
		server := serve(t, s)
		lookup.URL = server.URL + "/find?q={name}&p={phone}"
		f := newMethod(t).Lookup(t.Context(), &directory.Directory{URL: server.URL, Lookup: lookup}, acme(t))
		if f.Presence != c.want || f.HostOK != c.hostOK || !strings.Contains(f.Reason, c.reason) {
			t.Errorf("%s: %s (%s), host %t", name, f.Presence, f.Reason, f.HostOK)
		}
		if (f.Presence == submit.Unknown) != (f.Reason != "") || (f.Presence == submit.Unknown) != (f.Evidence == nil) {
			t.Errorf("%s: %s with reason %q and evidence %v", name, f.Presence, f.Reason, f.Evidence)
		}
		if got := s.asked(); got != "GET /find?q=Acme+Plumbing&p=%2B15125550123" {
			t.Errorf("%s: asked %s", name, got)
		}
		if f.Presence == submit.Found && f.ListingURL != server.URL+"/l/1" {
			t.Errorf("%s: listing at %q", name, f.ListingURL)
		}
	}
}

func TestLookupWithoutAQuestionIsUnknown(t *testing.T) {
	m := newMethod(t)
	if f := m.Lookup(t.Context(), &directory.Directory{}, acme(t)); f.Presence != submit.Unknown || f.Reason == "" {
		t.Errorf("no lookup: %+v", f)
	}
	b := acme(t)
	b.Phone = ""
	d := &directory.Directory{URL: "https://directory.example", Lookup: &directory.Lookup{URL: "https://directory.example/?p={phone}"}}
	if f := m.Lookup(t.Context(), d, b); f.Presence != submit.Unknown || f.Reason == "" {
		t.Errorf("no phone: %+v", f)
	}
	if f := m.Lookup(t.Context(), &directory.Directory{URL: "http://10.0.0.1", Lookup: &directory.Lookup{URL: "http://10.0.0.1/"}}, b); f.Presence != submit.Unknown || !strings.Contains(f.Reason, "blocked") {
		t.Errorf("private address: %+v", f)
	}
}

func TestMethodIsSafeForConcurrentUse(t *testing.T) {
	s := &site{page: oneField, answer: says(200, "<p>Thank you")}
	server := serve(t, s)
	m := newMethod(t)
	d := &directory.Directory{URL: server.URL, Form: &directory.Form{Start: server.URL + "/add"}, Success: []directory.Rule{{Text: "thank you"}}}
	b := acme(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			in := &intent{}
			r, err := m.Submit(t.Context(), submit.Request{Directory: d, Business: b, Intend: in.intend})
			if err != nil || r.Outcome.State != directory.Submitted {
				t.Error(fmt.Sprint(i), r.Outcome, err)
			}
		})
	}
	wg.Wait()
}
