package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/directorybolt/directorybolt/internal/directory"
)

// visitor is a careful person with a plain HTTP client: the tests' own idea of
// how a directory should be approached, independent of the submitter. It knows
// the site only by its catalog entry.
type visitor struct {
	t        testing.TB
	d        directory.Directory
	business map[string]string
	logo     []byte
	client   *http.Client
}

// business makes a profile that no other call of the test makes.
func business(n int) map[string]string {
	return map[string]string{
		"name":        fmt.Sprintf("Café Müller & Söhne %d", n),
		"website":     fmt.Sprintf("https://shop%d.example/", n),
		"phone":       fmt.Sprintf("+1555010%04d", n),
		"email":       "owner@example.com",
		"street":      "12 Main Street",
		"city":        "Springfield",
		"postal_code": "62701",
		"category":    "restaurant",
		"description": "Coffee and cake since 1932.",
	}
}

var png = []byte("\x89PNG\r\n\x1a\n0000")

func newVisitor(t testing.TB, d directory.Directory, b map[string]string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, d: d, business: b, logo: png, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: d.Pacing.Timeout.D(),
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.Method == http.MethodPost {
				return http.ErrUseLastResponse
			}
			if len(via) >= 5 {
				return errors.New("redirected too often")
			}
			return nil
		},
	}}
}

// page is an answer as the rules see it.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte
	doc    *goquery.Document
}

// most is how much of a page the visitor reads.
const most = 12 << 20

func (v *visitor) do(r *http.Request) (*page, error) {
	res, err := v.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return nil, err
	}
	if len(body) == most {
		return nil, errTooBig
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return &page{url: res.Request.URL, status: res.StatusCode, header: res.Header, body: body, doc: doc}, nil
}

var errTooBig = errors.New("the page is too big")

func (v *visitor) get(address string) (*page, error) {
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return v.do(r)
}

// submit approaches the directory until nothing is open, and answers the state
// that a submission would rest in.
func (v *visitor) submit() (state directory.SubmissionState, need string) {
	switch {
	case v.d.Automation == directory.AutomationForbidden:
		return directory.NeedsAction, directory.NeedManual
	case v.d.HasCaptcha:
		return directory.NeedsAction, directory.NeedCaptcha
	case v.d.RequiresLogin:
		return directory.NeedsAction, directory.NeedLogin
	case v.d.Paid:
		return directory.NeedsAction, directory.NeedPayment
	}
	for range 3 {
		if state, need = v.try(); state != directory.Planned {
			return state, need
		}
	}
	return directory.FailedState, ""
}

// try approaches once; planned means that another try is due.
func (v *visitor) try() (directory.SubmissionState, string) {
	robots, err := v.get(v.d.URL + "robots.txt")
	if err != nil {
		return directory.Planned, ""
	}
	if strings.Contains(string(robots.body), "Disallow: /add") {
		return directory.FailedState, ""
	}
	form, err := v.get(v.d.Form.Start)
	switch {
	case errors.Is(err, errTooBig):
		return directory.FailedState, ""
	case err != nil:
		return directory.Planned, ""
	}
	if need := v.need(form, nil); need != "" {
		return directory.NeedsAction, need
	}
	if form.status >= 400 {
		return directory.FailedState, ""
	}
	return v.fillAndPost(form)
}

func (v *visitor) fillAndPost(form *page) (directory.SubmissionState, string) {
	for i, step := range v.d.Form.Steps {
		before := form
		answer, err := v.post(form, step)
		last := i == len(v.d.Form.Steps)-1
		switch {
		case err != nil && last:
			return v.lookAgain()
		case err != nil:
			v.t.Errorf("step %d of %s: %v", i+1, v.d.Slug, err)
			return directory.FailedState, ""
		}
		if last {
			return v.judge(answer, before)
		}
		form = answer
	}
	panic("no steps")
}

// judge reads the answer to the post that files.
func (v *visitor) judge(p, before *page) (directory.SubmissionState, string) {
	if after := p.header.Get("Retry-After"); after != "" && (p.status == 429 || p.status == 503) {
		seconds, err := strconv.Atoi(after)
		if err != nil {
			v.t.Errorf("Retry-After %q of %s: %v", after, v.d.Slug, err)
		}
		pause(time.Duration(seconds) * time.Second)
		return directory.Planned, ""
	}
	if matchAny(v.d.Rejected, p, before, v.business) {
		return directory.Rejected, ""
	}
	if need := v.need(p, before); need != "" {
		return directory.NeedsAction, need
	}
	if matchAny(v.d.Success, p, before, v.business) {
		if v.d.Listing != nil && v.listing(p) == "" {
			v.t.Errorf("%s: no listing's link in the answer", v.d.Slug)
		}
		return directory.Submitted, ""
	}
	if p.status >= 300 && p.status < 500 {
		return directory.FailedState, ""
	}
	return v.lookAgain()
}

func (v *visitor) listing(p *page) string {
	switch e := v.d.Listing; {
	case e.Selector != "":
		return p.doc.Find(e.Selector).AttrOr("href", "")
	case e.Header != "":
		return p.header.Get(e.Header)
	case e.JSON != "":
		return jsonAt(p.body, e.JSON)
	default:
		return p.url.String()
	}
}

func (v *visitor) need(p, before *page) string {
	if p.doc.Find(".g-recaptcha").Length() > 0 {
		return directory.NeedCaptcha
	}
	for _, a := range v.d.Action {
		if match(a.Rule, p, before, v.business) {
			return a.Need
		}
	}
	return ""
}

// lookAgain asks the lookup until absence would be proof.
func (v *visitor) lookAgain() (directory.SubmissionState, string) {
	if v.d.Lookup == nil {
		return directory.Uncertain, ""
	}
	believe := time.Now().Add(v.d.Lookup.Settle.D())
	for {
		last := time.Now().After(believe)
		found, absent := v.lookup()
		switch {
		case found:
			return directory.Submitted, ""
		case !last:
			pause(20 * time.Millisecond)
		case absent && v.d.Lookup.AbsenceIsProof:
			return directory.Planned, ""
		default:
			return directory.Uncertain, ""
		}
	}
}

func (v *visitor) lookup() (found, absent bool) {
	address := strings.NewReplacer(
		"{website_host}", url.QueryEscape(websiteHost(v.business["website"])),
		"{phone}", url.QueryEscape(v.business["phone"])).Replace(v.d.Lookup.URL)
	p, err := v.get(address)
	if err != nil {
		v.t.Errorf("look up in %s: %v", v.d.Slug, err)
		return false, false
	}
	return matchAny(v.d.Lookup.Found, p, nil, v.business), matchAny(v.d.Lookup.Absent, p, nil, v.business)
}

// post fills a form in and sends it.
func (v *visitor) post(p *page, step directory.Step) (*page, error) {
	selector := step.Form
	if selector == "" {
		selector = "form#listing"
	}
	form := p.doc.Find(selector)
	if form.Length() != 1 {
		return nil, fmt.Errorf("%d forms match %s", form.Length(), selector)
	}
	values := url.Values{}
	form.Find("input[type=hidden]").Each(func(_ int, s *goquery.Selection) { values.Set(s.AttrOr("name", ""), s.AttrOr("value", "")) })
	for _, f := range step.Fields {
		values.Set(controlName(form, f), v.content(form, f))
	}
	if len(step.Fields) == 0 {
		v.infer(form, values)
	}
	return v.send(p, form, values)
}

func controlName(form *goquery.Selection, f directory.Field) string {
	if f.Name != "" {
		return f.Name
	}
	name := ""
	form.Find("label").Each(func(_ int, label *goquery.Selection) {
		if strings.HasPrefix(strings.TrimSpace(label.Text()), f.Label) {
			name = label.AttrOr("for", label.Find("input, textarea").AttrOr("name", ""))
		}
	})
	return name
}

// content is what goes into a field.
func (v *visitor) content(form *goquery.Selection, f directory.Field) string {
	text := v.business[f.Profile]
	switch {
	case f.File != "":
		return string(v.logo)
	case f.Value == "true":
		return form.Find("[name="+f.Name+"]").AttrOr("value", "")
	case f.Value != "":
		return f.Value
	case f.Profile == "category":
		return v.d.Categories[text]
	case f.Max > 0 && len(text) > f.Max:
		return text[:f.Max]
	}
	return text
}

// infer goes by autocomplete tokens and by names.
func (v *visitor) infer(form *goquery.Selection, values url.Values) {
	byToken := map[string]string{"organization": "name", "url": "website", "tel": "phone", "email": "email",
		"street-address": "street", "address-level2": "city", "postal-code": "postal_code"}
	form.Find("input[autocomplete], textarea").Each(func(_ int, s *goquery.Selection) {
		key, ok := byToken[s.AttrOr("autocomplete", "")]
		if !ok {
			key = s.AttrOr("name", "")
		}
		values.Set(s.AttrOr("name", ""), v.business[key])
	})
}

func (v *visitor) send(p *page, form *goquery.Selection, values url.Values) (*page, error) {
	base := p.url
	if href, ok := p.doc.Find("base").Attr("href"); ok {
		base = mustResolve(v.t, base, href)
	}
	kind, body := v.encode(p, form, values)
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, mustResolve(v.t, base, form.AttrOr("action", "")).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	return v.do(r)
}

func (v *visitor) encode(p *page, form *goquery.Selection, values url.Values) (kind string, body []byte) {
	if form.AttrOr("enctype", "") != "multipart/form-data" {
		return "application/x-www-form-urlencoded", []byte(encoded(values, charsetOf(p, form)).Encode())
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name := range values {
		var part io.Writer
		var err error
		if form.Find("[name="+name+"]").AttrOr("type", "") == "file" {
			part, err = w.CreateFormFile(name, "logo.png")
		} else {
			part, err = w.CreateFormField(name)
		}
		if err != nil {
			v.t.Fatal(err)
		}
		if _, err := part.Write([]byte(values.Get(name))); err != nil {
			v.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		v.t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

func mustResolve(t testing.TB, base *url.URL, ref string) *url.URL {
	u, err := base.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func matchAny(rules []directory.Rule, p, before *page, b map[string]string) bool {
	for _, r := range rules {
		if match(r, p, before, b) {
			return true
		}
	}
	return false
}

// match holds a rule against a page, as the documented format says it.
func match(r directory.Rule, p, before *page, b map[string]string) bool {
	fresh := func(holds func(*page) bool) bool { return holds(p) && (before == nil || !holds(before)) }
	switch {
	case r.URL != "" && !strings.Contains(p.url.RequestURI(), r.URL):
		return false
	case r.Status != 0 && p.status != r.Status:
		return false
	case r.Selector != "" && !fresh(func(p *page) bool { return p.doc.Find(r.Selector).Length() > 0 }):
		return false
	case r.JSON != "" && !fresh(func(p *page) bool { return jsonAt(p.body, r.JSON) == r.Equals }):
		return false
	case r.Text != "" && !fresh(func(p *page) bool {
		text := strings.ToLower(strings.ReplaceAll(r.Text, "{name}", b["name"]))
		return strings.Contains(strings.ToLower(p.doc.Text()), text)
	}):
		return false
	}
	return true
}

var word = regexp.MustCompile(`[^.]+`)

func jsonAt(body []byte, path string) string {
	var at any
	if json.Unmarshal(body, &at) != nil {
		return ""
	}
	for _, key := range word.FindAllString(path, -1) {
		members, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		at = members[key]
	}
	text, _ := at.(string)
	return text
}

// pause lets real time pass: the sandbox is about real sockets and real delays.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// eventually reports whether holds became true in five seconds.
func eventually(holds func() bool) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); pause(10 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return holds()
}

// refusedConnection reports whether nobody listens at the address.
func refusedConnection(ctx context.Context, hostport string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostport)
	if err == nil {
		conn.Close()
	}
	return err != nil
}
