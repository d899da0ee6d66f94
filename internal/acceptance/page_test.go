package acceptance

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// pageStack is an installation with a sandbox of directories, an API process, and no
// worker yet.
func pageStack(t *testing.T, slow float64, settings ...string) (s *stack, p *process, url string) {
	t.Helper()
	s = newStack(t, "sqlite")
	s.set("RATE_LIMIT_TIMEOUT", unhurried.String()) // who signs in must be counted
	for i := 0; i < len(settings); i += 2 {
		s.set(settings[i], settings[i+1])
	}
	s.useSandbox(newSandbox(t, sandbox.Config{Scale: slow}))
	p, url = s.api()
	return s, p, url
}

// keyFor makes a key to the API.
func (s *stack) keyFor(role string, more ...string) (text, id string) {
	s.t.Helper()
	text = strings.TrimSpace(string(s.run(append([]string{"keys", "create", "--role", role, "--name", "ann the " + role}, more...)...)))
	return text, strings.Split(strings.TrimPrefix(text, "dbk_live_"), "_")[0]
}

// figure is the number of directories that an order's page says are done.
func (b *browser) figure() int {
	b.t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(b.text(".count strong")))
	if err != nil {
		return -1
	}
	return n
}

// Staff signs in, sees every part, and watches an order until it is through, in one
// visit: the page is never loaded again.
func TestStaffSeesEveryPartAndAnOrderLive(t *testing.T) {
	t.Parallel()
	s, _, url := pageStack(t, 2, "SUBMIT_CONCURRENCY", "1")
	first := s.submit(1, "starter")
	text, id := s.keyFor("staff")
	b := newBrowser(t)

	b.open(url)
	b.sees("h1", "Sign in")
	b.accessible("sign in")
	b.click(".aside a")
	b.sees(".verdict")
	b.sees("tbody", "Database", "Workers")
	b.click("#who a")
	b.types("#key", "dbk_live_nonsense")
	b.sees("#key-trouble", "This key does not work")
	b.types("#key", text)
	b.sees("#sign-out", "Sign out")
	eval[int](b, "window.visit = 1")
	for _, name := range []string{"Health", "Orders", "Queue", "Workers", "Stale jobs", "Dead letters"} {
		b.sees("#nav", name)
	}

	b.follow("Workers")
	b.sees(".empty", "No worker runs")
	b.follow("Queue")
	b.sees("tbody", "order", "pending", "Starter", "$149.00")
	b.accessible("queue")
	b.follow("Orders")
	b.click("tbody a")
	b.sees("h1", "Order")
	b.sees(".count", "0 of 50 directories done")

	worker := s.start("work")
	before := b.figure()
	b.await("the order to move", func() bool { return b.figure() > before })
	before = b.figure()
	b.await("the order to move further", func() bool { return b.figure() > before })
	b.accessible("order under way")
	b.await("the order to end", func() bool { return strings.Contains(b.text(".facts"), "completed") })
	b.sees("#say", "completed")
	b.sees("tbody", "submitted")
	b.click(".history summary")
	b.sees(".story", "order.created", "job.claimed", "job.completed")
	b.accessible("order completed")
	if j := s.job(first); j.State != job.Completed {
		t.Errorf("the order is %s", j.State)
	}

	b.follow("Workers")
	b.sees("tbody", "running", "order")
	b.accessible("workers")

	// A worker that is killed leaves its job behind: here no monitor takes it back.
	second := s.submit(2, "starter")
	s.awaitRunning(second, worker)
	worker.kill()
	b.follow("Stale jobs")
	b.sees("tbody", "order", second.String()[:8])
	b.accessible("stale jobs")

	b.follow("Dead letters")
	b.sees(".body")
	b.accessible("dead letters")

	b.follow("Health")
	b.sees(".verdict", "Look at: ", "Workers")
	b.sees("[data-figure=jobs_stale]", "1")
	b.sees("[data-figure=value_at_risk_cents]", "$149.00")
	b.sees("tbody", "Database", "up", "Stale job monitor")
	b.accessible("health")

	if got := eval[int](b, "window.visit ?? 0"); got != 1 {
		t.Error("the page was loaded again")
	}
	b.quiet(401, 503)

	// Whoever loses his key is told so where he stands, and goes on from there.
	b.follow("Workers")
	s.run("keys", "revoke", id, "--reason", "ann left")
	b.sees(".notice", "Your session is over")
	again, _ := s.keyFor("admin")
	b.types("#key", again)
	b.sees("h1", "Workers")
	b.click("#sign-out")
	b.sees("h1", "Sign in")
	b.quiet(401)
}

func TestACustomerSeesItsOrdersAndNothingElse(t *testing.T) {
	t.Parallel()
	s, _, url := pageStack(t, 0.3)
	mine := s.submit(1, "starter")
	theirs := s.submit(2, "starter")
	text, _ := s.keyFor("customer", "--customer", "owner1@harbour-bakery-1.com")
	b := newBrowser(t)
	b.size(390, 844)
	b.signIn(url, text)
	b.sees("h1", "Orders")
	b.sees("tbody", mine.String()[:8])
	if got := b.text("#nav"); strings.Contains(got, "Workers") || strings.Contains(got, "Dead letters") || !strings.Contains(got, "Orders") {
		t.Errorf("the navigation has %q", got)
	}
	if got := eval[int](b, "document.querySelectorAll('tbody tr').length"); got != 1 {
		t.Errorf("sees %d orders", got)
	}
	b.open(url + "/#/workers")
	b.sees("h1", "Not for your role")
	b.open(url + "/#/orders/" + theirs.String())
	b.sees(".problem", "There is no such order")
	b.open(url + "/#/nowhere")
	b.sees("h1", "There is no such page")
	b.open(url + "/#/orders/" + mine.String())
	b.sees(".count", "0 of 50")
	if b.text(".history") != "" {
		t.Error("a customer is offered the history of staff")
	}
	b.quiet(401, 404)
}

// A dead letter shows at the moment it comes, because an event says so, and goes when it
// is decided about. The page's own clock is stopped for that: it may not ask by itself.
func TestDeadLettersShowWhenTheyCome(t *testing.T) {
	t.Parallel()
	s, _, url := pageStack(t, 0.3)
	text, _ := s.keyFor("staff")
	b := newBrowser(t)
	b.signIn(url, text)
	b.follow("Dead letters")
	b.sees(".empty", "No dead letter waits")
	eval[int](b, "((set) => { window.setTimeout = (f, ms) => ms > 5000 ? 0 : set(f, ms); return 1 })(window.setTimeout)")
	b.follow("Workers")
	b.follow("Dead letters") // and asks once more, with that clock
	b.sees(".empty", "No dead letter waits")

	died := s.bury(1)[0]
	b.sees("tbody", died.String()[:8], "open", "crash", "directorybolt dlq show "+died.String())
	b.accessible("a dead letter")
	s.run("dlq", "redrive", died.String(), "--reason", "it is mended")
	b.sees(".empty", "No dead letter waits")
	b.quiet(401)
}

// What the server refuses is told in words, with what to do, and passes by itself.
func TestTroublesAreToldInWords(t *testing.T) {
	t.Run("too many requests", func(t *testing.T) {
		t.Parallel()
		s, _, url := pageStack(t, 0.3, "RATE_LIMITS", "staff=40/15s")
		text, _ := s.keyFor("staff")
		b := newBrowser(t)
		b.signIn(url, text)
		b.follow("Workers")
		// Another program with the same key uses up what there is.
		b.await("the limit", func() bool {
			return eval[int](b, "fetch('/api/workers').then((r) => r.status)") == 429
		})
		b.follow("Queue")
		b.sees(".problem", "Too many requests", "goes on by itself")
		b.accessible("too many requests")
		b.sees(".empty", "No job is in this state")
		if got := b.text(".problem"); got != "" {
			t.Errorf("it passed, and still says %q", got)
		}
		b.quiet(401, 429)
	})
	t.Run("our fault", func(t *testing.T) {
		t.Parallel()
		s, _, url := pageStack(t, 0.3)
		text, _ := s.keyFor("staff")
		b := newBrowser(t)
		b.signIn(url, text)
		b.follow("Workers")
		b.sees(".empty", "No worker runs")
		s.alter("ALTER TABLE workers RENAME TO workers_away")
		b.sees(".problem", "It went wrong on our side", "Request")
		b.accessible("our fault")
		s.alter("ALTER TABLE workers_away RENAME TO workers")
		b.await("the trouble to pass", func() bool { return b.text(".problem") == "" })
		b.quiet(401, 500, 503)
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s, p, url := pageStack(t, 0.3)
		text, _ := s.keyFor("staff")
		b := newBrowser(t)
		b.signIn(url, text)
		b.follow("Workers")
		b.sees(".empty", "No worker runs")
		p.kill()
		b.sees(".problem", "No answer from the server")
	})
}

// Text that others chose is text, whatever it looks like.
func TestTextOfOthersStaysText(t *testing.T) {
	t.Parallel()
	s, _, url := pageStack(t, 0.3)
	id := s.submit(1, "starter")
	text, _ := s.keyFor("staff")
	const evil = `<img src=x onerror="window.hit=1"><script>window.hit=1</script>`
	s.alter(`UPDATE jobs SET package = '` + evil + `' WHERE id = '` + id.String() + `'`)
	b := newBrowser(t)
	b.signIn(url, text)
	b.follow("Queue")
	b.sees("tbody", "<img src=x")
	b.follow("Orders")
	b.click("tbody a")
	b.sees(".facts", "<script>")
	if eval[bool](b, "'hit' in window || document.querySelector('main img, main script') !== null") {
		t.Error("text became markup")
	}
	b.quiet(401)

	// The policy would have held, too.
	blocked := eval[string](b, `(() => { try { document.body.innerHTML = '<b>x</b>'; return 'parsed' } catch (e) { return e.name } })()`)
	if blocked != "TypeError" {
		t.Errorf("markup was %s", blocked)
	}
	eval[int](b, `(() => { const s = document.createElement('link'); s.rel = 'stylesheet'; s.href = 'https://example.org/x.css'; document.head.append(s); return 1 })()`)
	b.await("the browser to complain", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return strings.Contains(fmt.Sprint(b.faults), "Content Security Policy")
	})
}

// measure is a figure of the first element of a selector, in CSS pixels.
func (b *browser) measure(selector, what string) float64 {
	b.t.Helper()
	return eval[float64](b, "document.querySelector("+quote(selector)+")."+what)
}

// style is what an element looks like.
func (b *browser) style(selector, property string) string {
	b.t.Helper()
	return eval[string](b, "getComputedStyle(document.querySelector("+quote(selector)+"))."+property)
}

// Long causes have room, the command to type is not cut, and text that runs the other
// way turns nothing around but itself.
func TestCausesHaveRoomAndKeepToThemselves(t *testing.T) {
	t.Parallel()
	s, _, url := pageStack(t, 0.3)
	text, _ := s.keyFor("staff")
	long, turned := s.bury(1)[0], s.bury(1)[0]
	s.alter("UPDATE dead_letters SET cause = '" + strings.Repeat("the form names no field ", 13)[:300] + "' WHERE job_id = '" + long.String() + "'")
	s.alter("UPDATE dead_letters SET cause = 'sent by \u202eevil' WHERE job_id = '" + turned.String() + "'")
	b := newBrowser(t)
	b.signIn(url, text)
	b.follow("Dead letters")
	b.sees("tbody", "directorybolt dlq show "+turned.String(), "directorybolt dlq show "+long.String())
	if got := b.measure(".scroll", "scrollWidth - document.querySelector('.scroll').clientWidth"); got > 0 {
		t.Errorf("%v pixels of the table are out of sight", got)
	}
	if got := b.measure("tr:has(.cause):last-child", "getBoundingClientRect().height"); got > 250 {
		t.Errorf("a cause of 300 characters makes a row %v pixels high", got)
	}
	if got := b.measure("td.wide", "clientWidth"); got < 280 {
		t.Errorf("causes have %v pixels", got)
	}
	// The badge behind the text stays behind it.
	if got := b.measure("td.wide .cause + .badge", "getBoundingClientRect().left - document.querySelector('td.wide .cause').getBoundingClientRect().right"); got < 0 {
		t.Errorf("the badge begins %v pixels before the cause ends", -got)
	}
	if b.text("td.wide .badge") != "crash" {
		t.Errorf("the badge reads %q", b.text("td.wide .badge"))
	}
	b.quiet(401)
}

// A bar is as long as the order: what it falls short stays empty, and each state has a
// colour of its own.
func TestTheBarIsAsLongAsTheOrder(t *testing.T) {
	t.Parallel()
	s, _, url := pageStack(t, 0.3)
	s.submit(1, "starter")
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := job.Worker{ID: job.NewID(), Host: "here", PID: 1, Version: "test", Kinds: []string{job.KindOrder}, Capacity: 1}
	must(s.store().Register(ctx, w, time.Hour))
	jobs, err := s.store().Claim(ctx, job.ClaimRequest{Worker: w.ID, Limit: 1, Kinds: w.Kinds})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("claimed %d orders, error %v", len(jobs), err)
	}
	var choices []directory.Choice
	for i := range 10 {
		choices = append(choices, directory.Choice{Directory: fmt.Sprintf("directory-%d", i), Rank: i + 1})
	}
	subs, err := s.store().Plan(ctx, jobs[0].Lease(), directory.Plan{Identity: "who", Choices: choices, Shortfall: 40})
	must(err)
	for i, sub := range subs {
		o := directory.Outcome{State: directory.Skipped, Reason: "robots.txt"}
		if i < 4 {
			o = directory.Outcome{State: directory.NeedsAction, Need: directory.NeedCaptcha, Reason: "captcha"}
		}
		must(s.store().Settle(ctx, jobs[0].Lease(), sub.ID, o))
	}
	text, _ := s.keyFor("staff")
	b := newBrowser(t)
	b.signIn(url, text)
	b.follow("Orders")
	b.sees("tbody", "10 of 50", "40 short")
	b.click("tbody a")
	b.sees(".count", "10 of 50 directories done")
	b.sees(".legend", "4 needs action", "6 skipped", "40 short")
	if got := b.measure(".part.needs_action", "offsetWidth / document.querySelector('.bar').offsetWidth"); got < 0.07 || got > 0.09 {
		t.Errorf("4 of 50 take %.0f %% of the bar", 100*got)
	}
	if got := b.measure(".part.skipped", "offsetWidth / document.querySelector('.bar').offsetWidth"); got < 0.11 || got > 0.13 {
		t.Errorf("6 of 50 take %.0f %% of the bar", 100*got)
	}
	if b.style(".part.needs_action", "backgroundColor") == b.style(".part.skipped", "backgroundColor") {
		t.Error("what waits for a person has the colour of what was skipped")
	}
	b.accessible("an order that falls short")
	b.quiet(401)
}

// Workers that drills kill look like no deaths; what was known before an outage
// is marked as old where it has a border, and nowhere else.
func TestWorkersOfCanariesAreFoldedAwayAndOldAnswersAreMarked(t *testing.T) {
	t.Parallel()
	s, p, url := pageStack(t, 0.3)
	for _, kind := range []string{job.KindOrder, job.KindCanary, job.KindCanary} {
		w := job.Worker{ID: job.NewID(), Host: "the host of " + kind, PID: 1, Version: "test", Kinds: []string{kind}, Capacity: 1}
		if err := s.store().Register(t.Context(), w, time.Hour); err != nil {
			t.Fatal(err)
		}
		if kind != job.KindCanary {
			continue
		}
		if err := s.store().Retire(t.Context(), w.ID, job.RetiredLockLost, job.By{}); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := s.keyFor("staff")
	b := newBrowser(t)
	b.signIn(url, text)
	b.follow("Workers")
	b.sees(".total", "1 worker")
	b.sees("tbody", "the host of order", "running")
	b.sees("summary", "2 workers of canaries")
	if eval[bool](b, "document.querySelector('details').open || document.querySelector('.badge.bad') !== null") {
		t.Error("workers of canaries look like deaths")
	}
	b.click("summary")
	b.sees("details tbody", "the host of canary", "retired: lock lost")
	b.accessible("workers of canaries")
	p.kill()
	b.sees(".problem", "No answer from the server")
	b.sees(".old .total", "1 worker")
	b.shot("nobody there")
	if got := b.style(".old > .total", "borderTopStyle"); got != "none" {
		t.Errorf("a line of text has a border: %s", got)
	}
	if got := b.style(".old > .scroll", "borderTopStyle"); got != "dashed" {
		t.Errorf("what is old is marked: %s", got)
	}
}

// alter changes the SQLite file beside the processes.
func (s *stack) alter(statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dataDir, "directorybolt.db")+"?_pragma=busy_timeout(30000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(s.t.Context(), statement); err != nil {
		s.t.Fatal(err)
	}
}
