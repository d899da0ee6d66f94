package httpform

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/submit/webclient"
)

func answer(t testing.TB, status int, contentType, body string) *view {
	t.Helper()
	v := pageOf(t, contentType, body)
	v.page.Status = status
	return v
}

func TestRulesMatchWhatThePageShows(t *testing.T) {
	html := func(body string) *view { return answer(t, 200, "text/html; charset=utf-8", body) }
	json := func(body string) *view { return answer(t, 200, "application/json", body) }
	blank := html("")
	for name, c := range map[string]struct {
		rule   directory.Rule
		after  *view
		before *view
		want   bool
	}{
		"text":                            {directory.Rule{Text: "thank you"}, html("<p>Thank  <b>YOU</b>!</p>"), blank, true},
		"text over elements":              {directory.Rule{Text: "thank you"}, html("<p>thank</p><p>you</p>"), blank, true},
		"text within a word":              {directory.Rule{Text: "thanks"}, html("<p>Thank<i>s</i></p>"), blank, true},
		"text not there":                  {directory.Rule{Text: "thank you"}, html("<p>sorry</p>"), blank, false},
		"text before the post":            {directory.Rule{Text: "thank you"}, html("<p>thank you</p>"), html("<footer>Thank you</footer>"), false},
		"text with profile":               {directory.Rule{Text: "{name} was added"}, html("<p>ACME PLUMBING was added</p>"), blank, true},
		"text with unknown placeholder":   {directory.Rule{Text: "{nonsense}"}, html("<p>{nonsense}</p>"), blank, false},
		"text with nothing for it":        {directory.Rule{Text: "{social.x}"}, html("<p>anything</p>"), blank, false},
		"text in a script":                {directory.Rule{Text: "thank you"}, html("<script>say('thank you')</script><noscript>thank you</noscript><template>thank you</template>"), blank, false},
		"text hidden":                     {directory.Rule{Text: "thank you"}, html("<p hidden>thank you</p><p style='display: none'>thank you</p><dialog>thank you</dialog>"), blank, false},
		"text hidden by stylesheet":       {directory.Rule{Text: "thank you"}, html("<style>.done,#x{display:none}</style><p class=done>thank you</p>"), blank, false},
		"text in the title":               {directory.Rule{Text: "thank you"}, html("<title>Thank you</title>"), blank, false},
		"text in a comment":               {directory.Rule{Text: "thank you"}, html("<!-- thank you -->"), blank, false},
		"our own words in the form":       {directory.Rule{Text: "{name}"}, html("<form><input value='Acme Plumbing'><textarea>Acme Plumbing</textarea><select><option>Acme Plumbing</select></form>"), blank, false},
		"text of plain text":              {directory.Rule{Text: "thank you"}, answer(t, 200, "text/plain", "THANK\nYOU"), blank, true},
		"text with odd spaces":            {directory.Rule{Text: "thank you"}, html("<p>thank&nbsp;you&#8203;</p>"), blank, true},
		"text with letters that grow":     {directory.Rule{Text: "thank you"}, html("<p>İİİİ thank you</p>"), blank, true},
		"selector":                        {directory.Rule{Selector: ".done"}, html("<p class=done>x</p>"), blank, true},
		"selector before the post":        {directory.Rule{Selector: ".done"}, html("<p class=done>x</p>"), html("<i class=done></i>"), false},
		"selector that is none":           {directory.Rule{Selector: "[["}, html("<p>x</p>"), blank, false},
		"selector on JSON":                {directory.Rule{Selector: "p"}, json(`"<p>"`), blank, false},
		"url":                             {directory.Rule{URL: "/add?step=1"}, html(""), blank, true},
		"url is no part of the host":      {directory.Rule{URL: "directory.example"}, html(""), blank, false},
		"url counts even before":          {directory.Rule{URL: "/add"}, html(""), html(""), true},
		"status":                          {directory.Rule{Status: 201}, answer(t, 201, "text/plain", ""), blank, true},
		"status of another kind":          {directory.Rule{Status: 201}, html(""), blank, false},
		"JSON":                            {directory.Rule{JSON: "data.id"}, json(`{"data":{"id":7}}`), blank, true},
		"JSON equals":                     {directory.Rule{JSON: "status", Equals: "ok"}, json(`{"status":"ok"}`), blank, true},
		"JSON equals a number":            {directory.Rule{JSON: "n", Equals: "12345678901234567890"}, json(`{"n":12345678901234567890}`), blank, true},
		"JSON equals something else":      {directory.Rule{JSON: "status", Equals: "ok"}, json(`{"status":"error"}`), blank, false},
		"JSON in a list":                  {directory.Rule{JSON: "items.1.ok"}, json(`{"items":[{},{"ok":true}]}`), blank, true},
		"JSON beyond a list":              {directory.Rule{JSON: "items.2"}, json(`{"items":[1]}`), blank, false},
		"JSON null":                       {directory.Rule{JSON: "id"}, json(`{"id":null}`), blank, false},
		"JSON false":                      {directory.Rule{JSON: "ok"}, json(`{"ok":false}`), blank, false},
		"JSON zero is something":          {directory.Rule{JSON: "n"}, json(`{"n":0}`), blank, true},
		"JSON that is none":               {directory.Rule{JSON: "id"}, json(`{"id":`), blank, false},
		"JSON before the post":            {directory.Rule{JSON: "id"}, json(`{"id":1}`), json(`{"id":2}`), false},
		"all must match":                  {directory.Rule{Text: "thank you", Status: 201}, html("<p>thank you</p>"), blank, false},
		"all match":                       {directory.Rule{Text: "thank you", Selector: "p", URL: "/add", Status: 200}, html("<p>thank you</p>"), blank, true},
		"one of all stood before":         {directory.Rule{Text: "thank you", URL: "/add"}, html("<p>thank you</p>"), html("<p>thank you</p>"), false},
		"nothing matches nothing":         {directory.Rule{}, html("<p>x</p>"), blank, false},
		"blanks match nothing":            {directory.Rule{Text: " \n"}, html("<p>x</p>"), blank, false},
		"reason alone matches nothing":    {directory.Rule{Reason: "duplicate", Equals: "x"}, html("<p>x</p>"), blank, false},
		"without a page before the post":  {directory.Rule{Text: "thank you"}, html("<p>thank you</p>"), nil, true},
		"no page that can be parsed":      {directory.Rule{Text: "div"}, html(strings.Repeat("<div>", 2000)), blank, false},
		"text in a page without its type": {directory.Rule{Text: "thank you"}, answer(t, 200, "", "<html><p>thank you"), blank, true},
	} {
		r := reader{business: acme(t), now: time.Now()}
		excerpt, got := r.match(c.rule, c.after, c.before)
		if got != c.want {
			t.Errorf("%s: match = %t, want %t", name, got, c.want)
		}
		if got && (excerpt == "" || len(excerpt) > maxExcerpt) {
			t.Errorf("%s: excerpt %q", name, excerpt)
		}
	}
}

func TestExcerptShowsTheMatchAndFits(t *testing.T) {
	long := strings.Repeat("ä lorem ipsum ", 500)
	v := answer(t, 200, "text/html; charset=utf-8", "<p>"+long+"Danke\x00 schön, Acme Plumbing "+long+"</p>")
	r := reader{business: acme(t), now: time.Now()}
	excerpt, ok := r.match(directory.Rule{Text: "danke schön, {name}"}, v, nil)
	if !ok || !strings.Contains(excerpt, "Danke schön, Acme Plumbing") || len(excerpt) > maxExcerpt || !utf8.ValidString(excerpt) {
		t.Errorf("excerpt = %q (%d bytes), %t", excerpt, len(excerpt), ok)
	}
	if strings.ContainsFunc(excerpt, func(r rune) bool { return r < ' ' }) {
		t.Errorf("excerpt %q has control characters", excerpt)
	}
}

func TestListingURLIsAbsoluteAndOfTheWeb(t *testing.T) {
	page := `<base href="/v2/"><a class=rel href="l/1">x</a><a class=bad href="javascript:x">x</a><a class=far href="https://u:p@cdn.example/l/2">x</a><a class=none>x</a>`
	v := answer(t, 200, "text/html", page)
	v.page.Header.Set("Location", "/l/3")
	first, _ := url.Parse("https://directory.example/post/")
	v.page.Hops = []webclient.Hop{{URL: first, Header: http.Header{"X-Listing": {"l/5"}}}}
	j := answer(t, 200, "application/json", `{"data":{"url":"/l/4","n":4}}`)
	for _, c := range []struct {
		x    *directory.Extract
		v    *view
		want string
	}{
		{nil, v, ""},
		{&directory.Extract{Selector: ".rel"}, v, "https://directory.example/v2/l/1"},
		{&directory.Extract{Selector: ".far"}, v, "https://cdn.example/l/2"},
		{&directory.Extract{Selector: ".bad"}, v, ""},
		{&directory.Extract{Selector: ".none"}, v, ""},
		{&directory.Extract{Selector: ".missing"}, v, ""},
		{&directory.Extract{Header: "location"}, v, "https://directory.example/l/3"},
		{&directory.Extract{Header: "X-Listing"}, v, "https://directory.example/post/l/5"},
		{&directory.Extract{Header: "X-None"}, v, ""},
		{&directory.Extract{JSON: "data.url"}, j, "https://directory.example/l/4"},
		{&directory.Extract{JSON: "data.n"}, j, ""},
		{&directory.Extract{Final: true}, v, "https://directory.example/add?step=1#form"},
	} {
		if got := listingURL(c.x, c.v); got != c.want {
			t.Errorf("listingURL(%+v) = %q, want %q", c.x, got, c.want)
		}
	}
}

func FuzzRules(f *testing.F) {
	f.Add("<p>Thank you, Acme Plumbing</p>", "you, {name}", "p", "a.0", "text/html")
	f.Add(`{"a":["x"]}`, "x", ":not(", "a.0", "application/json")
	f.Fuzz(func(t *testing.T, body, text, selector, path, contentType string) {
		v := answer(t, 200, contentType, body)
		r := reader{business: &directory.Business{Name: "Acme Plumbing"}, now: time.Now()}
		for _, rule := range []directory.Rule{{Text: text}, {Selector: selector}, {JSON: path}, {Text: text, Selector: selector}} {
			i, e := r.first([]directory.Rule{rule}, v, nil)
			if (i == 0) != (e != nil) {
				t.Errorf("%+v: rule %d with evidence %v", rule, i, e)
			}
			if e != nil && (len(e.Excerpt) > maxExcerpt || !utf8.ValidString(e.Excerpt)) {
				t.Errorf("%+v: excerpt %q", rule, e.Excerpt)
			}
			if _, ok := r.match(rule, v, v); ok {
				t.Errorf("%+v matched though it held before", rule)
			}
		}
		if u := listingURL(&directory.Extract{Selector: selector}, v); u != "" && !strings.HasPrefix(u, "http") {
			t.Errorf("listing at %q", u)
		}
	})
}
