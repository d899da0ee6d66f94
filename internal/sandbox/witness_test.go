package sandbox

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// only runs a sandbox of one directory and returns a visitor of it.
func only(t testing.TB, behaviour string, scale float64) (*Sandbox, *visitor) {
	t.Helper()
	b := start(t, Config{Count: 1, Behaviours: []string{behaviour}, Scale: scale})
	return b, newVisitor(t, b.Catalog()[0], business(1))
}

// record is what the one directory received.
func record(b *Sandbox) Record { return b.Witness().Directories[0] }

// filled is the answer to the directory's form, without its hidden fields.
func filled(v *visitor) url.Values {
	values := url.Values{}
	for _, f := range v.d.Form.Steps[0].Fields {
		values.Set(f.Name, v.business[f.Profile])
	}
	return values
}

func TestTokenCountsOnlyWithItsOwnCookie(t *testing.T) {
	b, v := only(t, "csrf", 1)
	token := mustGet(t, v).doc.Find("input[name=csrf_token]").AttrOr("value", "")
	stranger := newVisitor(t, v.d, v.business)
	mustGet(t, stranger)
	for name, c := range map[string]struct {
		v     *visitor
		token string
	}{
		"another session's cookie": {stranger, token},
		"no cookie":                {newVisitor(t, v.d, v.business), token},
		"wrong token":              {v, strings.Repeat("0", len(token))},
	} {
		values := filled(v)
		values.Set("csrf_token", c.token)
		if p := postForm(t, c.v, v.d.Form.Start, values); p.status != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, p.status)
		}
	}
	if r := record(b); len(r.Accepted) != 0 || r.Bodies != 3 {
		t.Errorf("%d listings of %d bodies, want 0 of 3", len(r.Accepted), r.Bodies)
	}
	values := filled(v)
	values.Set("csrf_token", token)
	if p := postForm(t, v, v.d.Form.Start, values); p.status != http.StatusOK || len(record(b).Accepted) != 1 {
		t.Errorf("the right token: %d with %d listings", p.status, len(record(b).Accepted))
	}
}

func TestHoneypotsAreHiddenFromPeople(t *testing.T) {
	_, v := only(t, "honeypot", 1)
	p := mustGet(t, v)
	for _, row := range []string{"[style*=none] [name=url]", ".hp-field [name=email_confirm][tabindex='-1']", "[hidden] [name=fax_number]"} {
		if n := p.doc.Find("div.row" + row).Length(); n != 1 {
			t.Errorf("%d controls match %s, want 1", n, row)
		}
	}
}

func TestFilledHoneypotIsSpam(t *testing.T) {
	for _, trap := range []string{"url", "email_confirm", "fax_number"} {
		b, v := only(t, "honeypot", 1)
		values := filled(v)
		values.Set(trap, "something")
		if p := postForm(t, v, v.d.Form.Start, values); p.status != http.StatusForbidden || len(record(b).Accepted) != 0 {
			t.Errorf("%s filled: %d with %d listings, want 403 with none", trap, p.status, len(record(b).Accepted))
		}
	}
}

func TestOnlyTheLastStepFiles(t *testing.T) {
	b, v := only(t, "three_steps", 1)
	p := mustGet(t, v)
	for i, step := range v.d.Form.Steps {
		if n := len(record(b).Accepted); n != 0 {
			t.Fatalf("%d listings before step %d", n, i+1)
		}
		next, err := v.post(p, step)
		if err != nil {
			t.Fatal(err)
		}
		p = next
	}
	r := record(b)
	if len(r.Accepted) != 1 || r.Bodies != 3 || r.Posts[0].Outcome != OutcomeStep {
		t.Errorf("after three steps: %+v", r)
	}
	state := url.Values{"state": {"e30"}, "state_signature": {"0"}, "email": {"a@example.com"}, "about": {"x"}, "terms": {"yes"}}
	if p := postForm(t, v, v.d.URL+"add/about", state); p.status != http.StatusBadRequest || len(record(b).Accepted) != 1 {
		t.Errorf("a forged state: %d with %d listings", p.status, len(record(b).Accepted))
	}
}

func TestMissingAnswersAreNamed(t *testing.T) {
	b, v := only(t, "selects", 1)
	values := filled(v)
	values.Del("city")
	values.Set("cat_id", "12345")
	values.Set("teaser", strings.Repeat("x", 121))
	p := postForm(t, v, v.d.Form.Start, values)
	var named []string
	for _, fault := range p.doc.Find(".fault").EachIter() {
		named = append(named, fault.AttrOr("data-field", ""))
	}
	if got, want := strings.Join(named, " "), "city cat_id plan teaser terms"; p.status != 422 || got != want {
		t.Errorf("%d naming %q, want 422 naming %q", p.status, got, want)
	}
	if r := record(b); len(r.Accepted) != 0 || !strings.HasPrefix(r.Posts[0].Outcome, "refused: 422 City:") {
		t.Errorf("recorded %+v", r)
	}
}

func TestUploadMustBeAnImage(t *testing.T) {
	for logo, want := range map[string]int{"": 422, "just text": 422, string(png): 200} {
		b, v := only(t, "upload_required", 1)
		v.logo = []byte(logo)
		p, err := v.post(mustGet(t, v), v.d.Form.Steps[0])
		if err != nil {
			t.Fatal(err)
		}
		if p.status != want || len(record(b).Accepted) != map[int]int{200: 1}[want] {
			t.Errorf("logo %q: %d with %d listings, want %d", logo, p.status, len(record(b).Accepted), want)
		}
	}
}

func TestBodyCutShortIsNeitherWholeNorListed(t *testing.T) {
	b, v := only(t, "plain", 1)
	u, err := url.Parse(v.d.Form.Start)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	body := filled(v).Encode()
	fmt.Fprintf(conn, "POST /add HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", u.Host, len(body), body[:len(body)-1])
	if !eventually(func() bool { return len(record(b).Posts) == 1 }) {
		t.Fatal("the post was not counted when it began")
	}
	conn.Close()
	if !eventually(func() bool { return strings.HasPrefix(record(b).Posts[0].Outcome, "refused: 400") }) {
		t.Errorf("recorded %+v", record(b))
	}
	if r := record(b); r.Bodies != 0 || len(r.Accepted) != 0 || r.Posts[0].Complete {
		t.Errorf("recorded %+v", r)
	}
}

func TestPauseIsMeant(t *testing.T) {
	for _, c := range []struct {
		behaviour string
		status    int
	}{{"throttled_once", 429}, {"unavailable_once", 503}} {
		b, v := only(t, c.behaviour, 1)
		for range 2 { // the second comes too early
			p := postForm(t, v, v.d.Form.Start, filled(v))
			if p.status != c.status || p.header.Get("Retry-After") != "2" {
				t.Errorf("%s: %d, Retry-After %q, want %d, 2", c.behaviour, p.status, p.header.Get("Retry-After"), c.status)
			}
		}
		if len(record(b).Accepted) != 0 {
			t.Errorf("%s listed what it refused", c.behaviour)
		}
	}
}

func TestFailuresOfTheFirstTimeAreForEachBusiness(t *testing.T) {
	_, v := only(t, "error_once", 1)
	for i, want := range []int{500, 200} {
		if p := postForm(t, v, v.d.Form.Start, filled(v)); p.status != want {
			t.Errorf("post %d: %d, want %d", i+1, p.status, want)
		}
	}
	v.business = business(2)
	if p := postForm(t, v, v.d.Form.Start, filled(v)); p.status != 500 {
		t.Errorf("another business: %d, want 500", p.status)
	}
}

func TestWhoFollowsA307IsSeen(t *testing.T) {
	for _, behaviour := range []string{"moved_307", "moved_away_307"} {
		b, v := only(t, behaviour, 1)
		p := postForm(t, v, v.d.Form.Start, filled(v))
		if p.status != http.StatusTemporaryRedirect || len(record(b).Accepted) != 0 {
			t.Fatalf("%s: %d with %d listings", behaviour, p.status, len(record(b).Accepted))
		}
		postForm(t, v, mustResolve(t, p.url, p.header.Get("Location")).String(), filled(v))
		if r := record(b); len(r.Accepted) != 1 || r.Bodies != 2 {
			t.Errorf("%s: the second post left %d listings of %d bodies, want 1 of 2", behaviour, len(r.Accepted), r.Bodies)
		}
	}
}

func TestWrongFormsAreRecorded(t *testing.T) {
	b, v := only(t, "many_forms", 1)
	postForm(t, v, v.d.URL+"newsletter", url.Values{"email": {"a@example.com"}})
	postForm(t, v, v.d.URL+"login", url.Values{"user": {"a"}})
	r := record(b)
	if len(r.Accepted) != 0 || r.Bodies != 2 || r.Posts[0].Outcome != "newsletter: the wrong form" {
		t.Errorf("recorded %+v", r)
	}
}

func TestModeratedListingShowsLater(t *testing.T) {
	b, v := only(t, "moderated", 0.2)
	if state, _ := v.submit(); state != directory.Submitted {
		t.Fatalf("submitted as %s", state)
	}
	if found, absent := v.lookup(); found || !absent {
		t.Error("found before moderation is over")
	}
	if !eventually(func() bool { found, _ := v.lookup(); return found }) {
		t.Error("never found")
	}
	if r := record(b); !time.Now().After(r.Accepted[0].LiveAt) || r.Accepted[0].LiveAt.Sub(r.Accepted[0].At) != 600*time.Millisecond {
		t.Errorf("accepted %s, live %s", r.Accepted[0].At, r.Accepted[0].LiveAt)
	}
}

func TestLookupTellsBusinessesApart(t *testing.T) {
	_, v := only(t, "plain", 1)
	v.submit()
	if found, _ := v.lookup(); !found {
		t.Error("not found by host and phone")
	}
	v.business["website"] = "https://WWW.Shop1.Example/about"
	if found, _ := v.lookup(); !found {
		t.Error("not found by another spelling of the host")
	}
	v.business["phone"] = "+15550000000"
	if found, absent := v.lookup(); found || !absent {
		t.Error("a branch with another phone is taken for the same business")
	}
	p, err := v.get(v.d.URL + "search?website=&phone=")
	if err != nil {
		t.Fatal(err)
	}
	if p.status != http.StatusBadRequest || matchAny(v.d.Lookup.Absent, p, nil, nil) {
		t.Errorf("asked for nothing, it says absent (%d)", p.status)
	}
}

func TestCountsAreExactUnderConcurrentPosts(t *testing.T) {
	b := start(t, Config{Count: 2, Behaviours: []string{"plain", "duplicates"}})
	const callers, businesses = 8, 5
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for n := range businesses {
				for _, d := range b.Catalog() {
					newVisitor(t, d, business(n)).submit()
				}
				b.Witness()
			}
		})
	}
	all.Wait()
	w := b.Witness()
	for n := range businesses {
		p := business(n)
		key := Key(p["website"], p["phone"])
		if got := w.Count(w.Directories[0].Slug, key); got != callers {
			t.Errorf("plain lists %s %d times, want %d", key, got, callers)
		}
		if got := w.Count(w.Directories[1].Slug, key); got != 1 {
			t.Errorf("duplicates lists %s %d times, want once", key, got)
		}
	}
	if got, want := w.Directories[1].Bodies, callers*businesses; got != want {
		t.Errorf("%d bodies, want %d", got, want)
	}
}
