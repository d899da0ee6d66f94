package submit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/directorybolt/directorybolt/internal/backoff"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// TestPanicOfAMethodEndsOneSubmission meets a page that our own code cannot stand.
func TestPanicOfAMethodEndsOneSubmission(t *testing.T) {
	d := newDesk(t, append(entries(3), entry("before", 100), entry("after", 99), entry("lookup", 98))...)
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		switch r.Directory.Slug {
		case "before":
			panic("odd page")
		case "after", "lookup":
			if _, err := r.Intend(ctx); err != nil {
				return submit.Result{}, err
			}
			panic("odd answer")
		}
		return d.accept(ctx, r)
	}
	d.lookup = func(dir *directory.Directory) submit.Finding {
		if dir.Slug == "lookup" {
			panic("odd lookup")
		}
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	order := d.place(6, "")
	if err := d.perform(); err != nil {
		t.Fatalf("the order ended with %v", err)
	}
	subs := d.submissionsOf(order)
	for slug, want := range map[string]directory.SubmissionState{
		"before": directory.FailedState, "after": directory.Submitted, "lookup": directory.Uncertain, "dir-000": directory.Submitted,
	} {
		if got := subs[slug].State; got != want {
			t.Errorf("%s is %s (%s), want %s", slug, got, subs[slug].Reason, want)
		}
	}
}

// TestLookupWithoutAnswerEnds asks a lookup that never says anything, with delays
// that are snoozed: no count in memory survives that.
func TestLookupWithoutAnswerEnds(t *testing.T) {
	d := newDesk(t, entry("silent", 50))
	d.config.Backoff = backoff.Policy{Jitter: func() float64 { return 0.9 }}
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		_, err := r.Intend(ctx)
		return open(directory.ClassInDoubt), err
	}
	asked := 0
	d.lookup = func(*directory.Directory) submit.Finding {
		asked++
		return submit.Finding{Presence: submit.Unknown, Reason: "no rule matched", HostOK: true}
	}
	order := d.place(1, "")
	if err := d.perform(); err != nil {
		t.Fatalf("the order ended with %v", err)
	}
	s := d.submissionsOf(order)["silent"]
	if s.State != directory.Uncertain || !strings.Contains(s.Reason, "no rule matched") {
		t.Errorf("%s (%s), want it uncertain, with what the lookup said last", s.State, s.Reason)
	}
	if asked < 3 || asked > 20 {
		t.Errorf("the lookup was asked %d times", asked)
	}
}

// TestDoubtIsAskedAboutHoweverLongNobodyWorked leaves an intent behind and comes
// back a day later: found is found.
func TestDoubtIsAskedAboutHoweverLongNobodyWorked(t *testing.T) {
	d := newDesk(t, entry("late", 50))
	order := d.place(1, "")
	ctx, kill := context.WithCancel(t.Context())
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		_, err := r.Intend(ctx)
		d.post("late")
		kill()
		return submit.Result{}, errors.Join(err, context.Canceled)
	}
	a := d.claim(job.KindOrder)
	if err := d.engine().Order().Handle(ctx, a); err == nil {
		t.Fatal("the attempt did not die")
	}
	if _, err := d.Release(t.Context(), "test", a.Job.Lease()); err != nil {
		t.Fatal(err)
	}
	d.offset.Add(int64(24 * time.Hour))
	d.lookup = func(dir *directory.Directory) submit.Finding {
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	if s := d.submissionsOf(order)["late"]; s.State != directory.Submitted || d.posted("late") != 1 {
		t.Errorf("%s (%s) after %d posts, want it submitted by one", s.State, s.Reason, d.posted("late"))
	}
}

// TestSecondOrderGivesWayWhereAPersonIsNeeded runs two orders of a business over
// directories that wait for a person: such a place is held too.
func TestSecondOrderGivesWayWhereAPersonIsNeeded(t *testing.T) {
	d := newDesk(t, append(entries(4, func(d *directory.Directory) { d.HasCaptcha = true }), entry("found-out", 100), entry("spare", 1))...)
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		if r.Directory.Slug == "found-out" {
			return submit.Result{HostOK: true, Outcome: directory.Outcome{State: directory.NeedsAction, Need: directory.NeedCaptcha, Reason: "captcha"}}, nil
		}
		return d.accept(ctx, r)
	}
	first, second := d.place(5, "first"), d.place(5, "second")
	a, b := d.claim(job.KindOrder), d.claim(job.KindOrder)
	drained := make(chan struct{})
	close(drained)
	planOnly := b
	planOnly.Drain = drained
	if err := d.engine().Order().Handle(t.Context(), planOnly); !errors.Is(err, job.ErrDrained) {
		t.Fatalf("planning ended with %v", err)
	}
	for _, attempt := range []job.Attempt{a, b} {
		if err := d.engine().Order().Handle(t.Context(), attempt); err != nil {
			t.Fatalf("an order ended with %v", err)
		}
	}
	if states := d.balanced(first); states[directory.NeedsAction] != 5 {
		t.Errorf("first order: %v, want 5 for a person", states)
	}
	if states := d.balanced(second); states[directory.Skipped] != 5 || states[directory.Submitted] != 1 {
		t.Errorf("second order: %v, want 5 skipped and the spare one submitted", states)
	}
}

// TestTwoOrdersAtOnceShareTheCatalog runs two orders of a business at the same time.
func TestTwoOrdersAtOnceShareTheCatalog(t *testing.T) {
	d := newDesk(t, entries(30)...)
	orders := []job.ID{d.place(20, "first"), d.place(20, "second")}
	var both sync.WaitGroup
	for range orders {
		a := d.claim(job.KindOrder)
		both.Go(func() {
			if err := d.engine().Order().Handle(t.Context(), a); err != nil {
				t.Errorf("an order ended with %v", err)
			}
		})
	}
	both.Wait()
	submitted := 0
	for _, id := range orders {
		for _, s := range d.submissionsOf(id) {
			if s.State == directory.Submitted {
				submitted++
			} else if s.State != directory.Skipped {
				t.Errorf("%s is %s", s.Directory, s.State)
			}
		}
	}
	if submitted != 30 {
		t.Errorf("%d of 30 directories have the business", submitted)
	}
	for slug := range d.posts {
		if d.posts[slug] != 1 {
			t.Errorf("%s was posted to %d times", slug, d.posts[slug])
		}
	}
}

// TestOrderSurvivesAStoreThatIsAwayForAMoment lets calls of every kind fail now and
// then, before they did anything and after.
func TestOrderSurvivesAStoreThatIsAwayForAMoment(t *testing.T) {
	for name, f := range map[string]fault{"nothing happened": fails, "the answer was lost": loses} {
		t.Run(name, func(t *testing.T) {
			gone := func(d *directory.Directory) { d.Slug = "gone" + strings.TrimPrefix(d.Slug, "dir") }
			d := newDesk(t, append(entries(6), entries(3, gone)...)...)
			d.config.Schedule = []time.Duration{time.Hour}
			d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
				if strings.HasPrefix(r.Directory.Slug, "gone") {
					return submit.Result{HostOK: true, Outcome: directory.Outcome{State: directory.FailedState, Class: directory.ClassPermanent, Reason: "gone"}}, nil
				}
				return d.accept(ctx, r)
			}
			order := d.place(8, "")
			a := d.claim(job.KindOrder)
			d.outage = func(_ string, n int) fault {
				if n%3 == 1 {
					return f
				}
				return works
			}
			if err := d.engine().Order().Handle(t.Context(), a); err != nil {
				t.Fatalf("the attempt ended with %v", err)
			}
			d.outage = nil
			if states := d.balanced(order); states[directory.Submitted] != 6 || states[directory.FailedState] != 3 {
				t.Errorf("states %v, want 6 submitted and 3 failed", states)
			}
			for _, call := range []string{"Now", "HeldDirectories", "Submissions", "Plan", "Reserve", "Intend", "Settle", "Report", "Enqueue"} {
				if d.calls[call] == 0 {
					t.Errorf("%s was never called", call)
				}
			}
		})
	}
}

// TestDeadHostEndsInTime leaves a post in doubt at a host that is dead for everybody,
// and a second directory of it that nothing was sent to.
func TestDeadHostEndsInTime(t *testing.T) {
	at := func(d *directory.Directory) { d.Form.Start = "https://dead.example/add/" + d.Slug }
	d := newDesk(t, entry("doubt", 90, at), entry("planned", 80, at))
	order := d.place(2, "")
	d.dieAfterTheIntent()
	d.config.Pacer = broken{}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	subs := d.submissionsOf(order)
	for slug, want := range map[string]directory.SubmissionState{"doubt": directory.Uncertain, "planned": directory.FailedState} {
		if s := subs[slug]; s.State != want || !strings.Contains(s.Reason, "does not answer") {
			t.Errorf("%s is %s (%s), want %s because the host does not answer", slug, s.State, s.Reason, want)
		}
	}
}

// dieAfterTheIntent leaves the first directory of the order in doubt: the process dies
// when it has said that it will post, and another may claim.
func (d *desk) dieAfterTheIntent() {
	d.t.Helper()
	d.config.Pacer = freely{}
	d.config.Concurrency = 1
	died := errors.New("the process died")
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		_, err := r.Intend(ctx)
		return submit.Result{}, errors.Join(err, died)
	}
	a := d.claim(job.KindOrder)
	if err := d.engine().Order().Handle(d.t.Context(), a); !errors.Is(err, died) {
		d.t.Fatal(err)
	}
	if _, err := d.Release(d.t.Context(), "test", a.Job.Lease()); err != nil {
		d.t.Fatal(err)
	}
}

// TestADoubtIsAskedAboutWhateverTheBreakerSays leaves a post in doubt at a host whose
// breaker others keep open: before a person is asked the directory is, once.
func TestADoubtIsAskedAboutWhateverTheBreakerSays(t *testing.T) {
	d := newDesk(t, entry("doubt", 50))
	order := d.place(1, "")
	d.dieAfterTheIntent()
	d.config.Pacer = broken{}
	asked := 0
	d.lookup = func(dir *directory.Directory) submit.Finding {
		asked++
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	if s := d.submissionsOf(order)["doubt"]; s.State != directory.Submitted || asked != 1 {
		t.Errorf("it is %s (%s), asked %d times; want it found by one question", s.State, s.Reason, asked)
	}
}

// broken is a pacer whose breakers are all open.
type broken struct{ freely }

func (broken) Reserve(context.Context, string, directory.Pacing) (submit.Turn, error) {
	return submit.Turn{Wait: 20 * time.Millisecond, Why: "breaker"}, nil
}

// TestStoreThatTakesAllButOneCallIsGivenUp meets a store that answers, except for
// what the order needs: the attempt ends, and says so in a line or two.
func TestStoreThatTakesAllButOneCallIsGivenUp(t *testing.T) {
	b := bakery(t) // outside of the bubble, in which it is the year 2000
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		c, err := directory.NewCatalog(entry("one", 50))
		if err != nil {
			t.Fatal(err)
		}
		s := planless{}
		e, err := submit.New(submit.Config{
			Ledger: s, Pacer: freely{}, Jobs: s, Evidence: evidence.NewDir(t.TempDir()), Catalog: c,
			Log: slog.New(slog.NewTextHandler(&said, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		spec, err := submit.OrderSpec(job.NewID(), b, directory.Package{Name: "starter", Quota: 1, Priority: 1}, submit.OrderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		a := job.Attempt{Job: job.Job{Payload: spec.Payload, Quota: 1}, Left: func() time.Duration { return time.Second }, Progress: func() {}}
		if err := e.Order().Handle(t.Context(), a); !errors.Is(err, errAway) {
			t.Errorf("the attempt ended with %v, want %v", err, errAway)
		}
		if took := time.Since(begun); took < 30*time.Second || took > 2*time.Minute {
			t.Errorf("given up after %v, want about a minute", took)
		}
		if lines := strings.Count(said.String(), "\n"); lines < 1 || lines > 2 {
			t.Errorf("%d lines:\n%s", lines, said.String())
		}
	})
}

// planless is a ledger that takes no plan.
type planless struct {
	submit.Ledger
	submit.Jobs
}

func (planless) Now(context.Context) (time.Time, error) { return time.Now(), nil }
func (planless) Submissions(context.Context, job.ID) ([]directory.Submission, error) {
	return nil, nil
}
func (planless) HeldDirectories(context.Context, string) ([]string, error) { return nil, nil }
func (planless) Plan(context.Context, job.Lease, directory.Plan) ([]directory.Submission, error) {
	return nil, errAway
}

// TestEffectNeverOutlivesTheLease freezes the process right after it read how much
// of the lease was left.
func TestEffectNeverOutlivesTheLease(t *testing.T) {
	d := newDesk(t, entry("slow", 50, func(d *directory.Directory) { d.Pacing.Timeout = directory.Duration(time.Minute) }))
	order := d.place(1, "")
	a := d.claim(job.KindOrder)
	lease := left(10 * time.Second)
	a.Left = func() time.Duration {
		l := lease()
		time.Sleep(200 * time.Millisecond)
		return l
	}
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		deadline, err := r.Intend(ctx)
		if err == nil {
			if has, may := lease(), deadline(); may > has {
				t.Errorf("the effect may go on for %v, the lease for %v", may, has)
			}
		}
		return open(directory.ClassInDoubt), err
	}
	d.lookup = func(dir *directory.Directory) submit.Finding {
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	if err := d.engine().Order().Handle(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	d.balancedStates(order, directory.Submitted)
}

func (d *desk) balancedStates(order job.ID, want directory.SubmissionState) {
	d.t.Helper()
	for slug, s := range d.submissionsOf(order) {
		if s.State != want {
			d.t.Errorf("%s is %s (%s), want %s", slug, s.State, s.Reason, want)
		}
	}
}

// TestNothingIsBegunWithoutTime holds that a lease about to end costs a host no
// visit and no turn.
func TestNothingIsBegunWithoutTime(t *testing.T) {
	d := newDesk(t, entry("patient", 50, func(d *directory.Directory) { d.Pacing.Timeout = directory.Duration(time.Minute) }))
	d.place(1, "")
	a := d.claim(job.KindOrder)
	short := true
	reads := 0
	a.Left = func() time.Duration {
		if reads++; reads > 3 {
			short = false // a beat
		}
		if short {
			return 100 * time.Millisecond
		}
		return 10 * time.Second
	}
	visits := 0
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		visits++
		return d.accept(ctx, r)
	}
	if err := d.engine().Order().Handle(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if visits != 1 || d.calls["Reserve"] != 1 {
		t.Errorf("%d visits and %d turns, want one each", visits, d.calls["Reserve"])
	}
}

// TestWaitingForATurnIsProgress refuses an order its turn again and again, each time
// for a moment only.
func TestWaitingForATurnIsProgress(t *testing.T) {
	d := newDesk(t, entry("busy", 50))
	d.place(1, "")
	d.config.Pacer = &crowded{refusals: 5}
	a := d.claim(job.KindOrder)
	steps := 0
	a.Progress = func() { steps++ }
	if err := d.engine().Order().Handle(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if steps != 6 {
		t.Errorf("%d steps of progress, want one for each time the turn was asked for", steps)
	}
}

// crowded is a pacer with others before us.
type crowded struct {
	freely
	refusals int
}

func (c *crowded) Reserve(context.Context, string, directory.Pacing) (submit.Turn, error) {
	c.refusals--
	return submit.Turn{OK: c.refusals < 0, Wait: time.Millisecond, Why: "pace"}, nil
}

// TestDrainBeginsNoPost drains while a form is being read: it is not sent.
func TestDrainBeginsNoPost(t *testing.T) {
	d := newDesk(t, entries(3)...)
	order := d.place(3, "")
	a := d.claim(job.KindOrder)
	drain := make(chan struct{})
	a.Drain = drain
	var once sync.Once
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		once.Do(func() { close(drain) })
		<-drain
		return d.accept(ctx, r)
	}
	if err := d.engine().Order().Handle(t.Context(), a); !errors.Is(err, job.ErrDrained) {
		t.Fatalf("the attempt ended with %v, want %v", err, job.ErrDrained)
	}
	for slug, s := range d.submissionsOf(order) {
		if s.State != directory.Planned || s.Tries != 0 || d.posted(slug) != 0 {
			t.Errorf("%s is %s after %d tries, want it planned and untouched", slug, s.State, s.Tries)
		}
	}
}

// TestDrainLetsPostsEnd drains while a form is being sent: its outcome counts.
func TestDrainLetsPostsEnd(t *testing.T) {
	d := newDesk(t, entries(3)...)
	d.config.Concurrency = 1
	order := d.place(3, "")
	a := d.claim(job.KindOrder)
	drain := make(chan struct{})
	a.Drain = drain
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		res, err := d.accept(ctx, r)
		close(drain)
		return res, err
	}
	if err := d.engine().Order().Handle(t.Context(), a); !errors.Is(err, job.ErrDrained) {
		t.Fatalf("the attempt ended with %v, want %v", err, job.ErrDrained)
	}
	if states := d.balanced(order); states[directory.Submitted] != 1 || states[directory.Planned] != 2 {
		t.Errorf("states %v, want 1 submitted and 2 planned", states)
	}
}

// TestOutcomeIsRecordedWhenTheAttemptIsToldToEnd ends the context at the moment at
// which the answer is there.
func TestOutcomeIsRecordedWhenTheAttemptIsToldToEnd(t *testing.T) {
	d := newDesk(t, entry("answered", 50))
	order := d.place(1, "")
	ctx, end := context.WithCancel(t.Context())
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		res, err := d.accept(ctx, r)
		res.Page = &submit.Page{URL: r.Directory.URL, Status: 200, MediaType: "text/html", Body: []byte("thank you")}
		end()
		return res, err
	}
	_ = d.engine().Order().Handle(ctx, d.claim(job.KindOrder))
	s := d.submissionsOf(order)["answered"]
	if s.State != directory.Submitted || s.Evidence == nil || s.Evidence.SHA256 == "" {
		t.Errorf("%s with evidence %+v, want it submitted, with the page kept", s.State, s.Evidence)
	}
}

// TestTriesAreCountedOnce mixes tries that sent nothing after their intent with
// looks that came to nothing before it.
func TestTriesAreCountedOnce(t *testing.T) {
	t.Run("the last has an intent", func(t *testing.T) { triesAreCountedOnce(t, 1) })
	t.Run("the last is a look", func(t *testing.T) { triesAreCountedOnce(t, 0) })
}

func triesAreCountedOnce(t *testing.T, intended int) {
	d := newDesk(t, entry("weak", 50))
	order := d.place(1, "")
	tried := 0
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		if tried++; tried%2 == intended {
			if _, err := r.Intend(ctx); err != nil {
				return submit.Result{}, err
			}
		}
		return open(directory.ClassNotSent), nil
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	s := d.submissionsOf(order)["weak"]
	if s.State != directory.FailedState || tried != 5 || s.Tries != 5 || !strings.Contains(s.Reason, "after 5 tries") {
		t.Errorf("%s (%s) after %d tries, its row says %d; want it given up after 5", s.State, s.Reason, tried, s.Tries)
	}
}

// TestDirectoryThatIsSwitchedOffIsNotVisited changes the catalog between two attempts.
func TestDirectoryThatIsSwitchedOffIsNotVisited(t *testing.T) {
	d := newDesk(t, entries(4)...)
	order := d.place(3, "")
	a := d.claim(job.KindOrder)
	drained := make(chan struct{})
	close(drained)
	a.Drain = drained
	if err := d.engine().Order().Handle(t.Context(), a); !errors.Is(err, job.ErrDrained) {
		t.Fatal(err)
	}
	if _, err := d.Release(t.Context(), "drain", a.Job.Lease()); err != nil {
		t.Fatal(err)
	}
	later := entries(4)
	off := false
	later[0].Active = &off
	d.list(append(later[:1], later[2:]...)...) // dir-000 is off, dir-001 has left
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	if states := d.balanced(order); states[directory.Skipped] != 2 || states[directory.Submitted] != 2 {
		t.Errorf("states %v, want 2 skipped, and 2 submitted of which one is a replacement", states)
	}
}

// TestDirectoryThatLeavesWhileSubmittingIsForAPerson leaves an intent behind whose
// directory is gone from the catalog, with its effect perhaps still under way.
func TestDirectoryThatLeavesWhileSubmittingIsForAPerson(t *testing.T) {
	d := newDesk(t, entries(2)...)
	order := d.place(1, "")
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		_, err := r.Intend(ctx)
		return submit.Result{}, errors.Join(err, errors.New("the process died"))
	}
	a := d.claim(job.KindOrder)
	if err := d.engine().Order().Handle(t.Context(), a); err == nil {
		t.Fatal("the attempt did not die")
	}
	if _, err := d.Release(t.Context(), "test", a.Job.Lease()); err != nil {
		t.Fatal(err)
	}
	d.list(entries(2)[1:]...)
	d.submit = d.accept
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	d.balancedStates(order, directory.Uncertain)
}

// TestAbsenceCountsOnlyWhenAskedLateEnough lets a lookup take so long that the
// settle time ends while the directory thinks.
func TestAbsenceCountsOnlyWhenAskedLateEnough(t *testing.T) {
	d := newDesk(t, entry("slow-index", 50, func(d *directory.Directory) { d.Lookup.Settle = directory.Duration(400 * time.Millisecond) }))
	order := d.place(1, "")
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		if _, err := r.Intend(ctx); err != nil {
			return submit.Result{}, err
		}
		d.post(r.Directory.Slug)
		return open(directory.ClassInDoubt), nil
	}
	asked := 0
	d.lookup = func(dir *directory.Directory) submit.Finding {
		if asked++; asked == 1 {
			time.Sleep(900 * time.Millisecond) // it looked before, and answers after the settle time
			return submit.Finding{Presence: submit.Absent, HostOK: true}
		}
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	d.balancedStates(order, directory.Submitted)
	if n := d.posted("slow-index"); n != 1 {
		t.Errorf("posted %d times", n)
	}
}

// TestAbsenceIsJudgedByTheStoresClock turns the store's clock back while an order
// runs: what the worker believes about it is not what decides.
func TestAbsenceIsJudgedByTheStoresClock(t *testing.T) {
	d := newDesk(t, entry("turned", 50))
	d.config.Pacer = freely{}
	d.place(1, "")
	asked := 0
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		if d.posted("turned") == 0 {
			d.offset.Add(int64(-time.Minute)) // another machine answers for the store now
		}
		if _, err := r.Intend(ctx); err != nil {
			return submit.Result{}, err
		}
		d.post(r.Directory.Slug)
		return open(directory.ClassInDoubt), nil
	}
	begun := time.Time{}
	d.lookup = func(dir *directory.Directory) submit.Finding {
		if asked++; asked == 1 {
			begun = time.Now()
			return submit.Finding{Presence: submit.Absent, HostOK: true}
		}
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	if n := d.posted("turned"); n != 1 || begun.IsZero() {
		t.Errorf("posted %d times, want once: the effect's deadline had not passed", n)
	}
}

// TestOurOwnPostSettlesOnOurOwnClock turns the store's clock far ahead between a post
// and the question what became of it: by that clock the listing has had ages to show.
func TestOurOwnPostSettlesOnOurOwnClock(t *testing.T) {
	d := newDesk(t, entry("ahead", 50, func(d *directory.Directory) { d.Lookup.Settle = directory.Duration(400 * time.Millisecond) }))
	d.config.Pacer = freely{}
	d.place(1, "")
	var shows time.Time
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		if _, err := r.Intend(ctx); err != nil {
			return submit.Result{}, err
		}
		d.post(r.Directory.Slug)
		shows = time.Now().Add(200 * time.Millisecond)
		d.offset.Add(int64(time.Minute)) // a step of the clock, or another machine answers for the store
		return open(directory.ClassInDoubt), nil
	}
	d.lookup = func(dir *directory.Directory) submit.Finding {
		if time.Now().Before(shows) {
			return submit.Finding{Presence: submit.Absent, HostOK: true}
		}
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	if n := d.posted("ahead"); n != 1 {
		t.Errorf("posted %d times, want once: the listing had no time to show", n)
	}
}

// TestOneLostAnswerAfterALongOutageIsAskedForAgain lets an attempt die after its post, and
// the next one come a day later: all the time for the lookup is over, and nobody asked.
func TestOneLostAnswerAfterALongOutageIsAskedForAgain(t *testing.T) {
	d := newDesk(t, entry("late", 50))
	d.config.Pacer = freely{}
	order := d.place(1, "")
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		if _, err := r.Intend(ctx); err != nil {
			return submit.Result{}, err
		}
		d.post(r.Directory.Slug)
		return submit.Result{}, errors.New("the process dies here")
	}
	first := d.claim(job.KindOrder)
	if err := d.engine().Order().Handle(t.Context(), first); err == nil {
		t.Fatal("the attempt that dies succeeded")
	}
	for range 2 { // a second one dies before it asks, so that the claim is not the first after the intent
		if err := d.Snooze(t.Context(), first.Job.Lease(), 0, "as if recovered"); err != nil {
			t.Fatal(err)
		}
		d.offset.Add(int64(24 * time.Hour))
		first = d.claim(job.KindOrder)
	}
	if err := d.Snooze(t.Context(), first.Job.Lease(), 0, "as if recovered"); err != nil {
		t.Fatal(err)
	}
	asked := 0
	d.lookup = func(dir *directory.Directory) submit.Finding {
		if asked++; asked == 1 {
			return submit.Finding{Presence: submit.Unknown, Reason: "no answer in time"}
		}
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	d.balancedStates(order, directory.Submitted)
}

// TestALookupThatNeverAnswersAfterALongOutageEnds asks a few times and no more.
func TestALookupThatNeverAnswersAfterALongOutageEnds(t *testing.T) {
	d := newDesk(t, entry("mute", 50))
	d.config.Pacer = freely{}
	order := d.place(1, "")
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		if _, err := r.Intend(ctx); err != nil {
			return submit.Result{}, err
		}
		d.post(r.Directory.Slug)
		d.offset.Add(int64(24 * time.Hour))
		return open(directory.ClassInDoubt), nil
	}
	asked := 0
	d.lookup = func(*directory.Directory) submit.Finding {
		asked++
		return submit.Finding{Presence: submit.Unknown, Reason: "no answer in time"}
	}
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	if s := d.submissionsOf(order)["mute"]; s.State != directory.Uncertain || asked < 2 || asked > 20 {
		t.Errorf("the submission is %s after %d questions", s.State, asked)
	}
}

// freely is a pacer that lets everybody go.
type freely struct{}

func (freely) Reserve(context.Context, string, directory.Pacing) (submit.Turn, error) {
	return submit.Turn{OK: true}, nil
}
func (freely) Report(context.Context, string, bool, time.Duration) error { return nil }

func TestOrderLargerThanTheCatalogSaysSo(t *testing.T) {
	for _, n := range []int{0, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			off := false
			d := newDesk(t, append(entries(n), entry("off", 100, func(d *directory.Directory) { d.Active = &off }))...)
			order := d.place(5, "")
			if err := d.perform(); err != nil {
				t.Fatal(err)
			}
			if states := d.balanced(order); states[directory.Submitted] != n {
				t.Errorf("states %v, want %d submitted", states, n)
			}
			j, err := d.Job(t.Context(), order)
			if err != nil || j.Shortfall != 5-n {
				t.Errorf("shortfall %d, error %v, want %d", j.Shortfall, err, 5-n)
			}
		})
	}
}

// TestOrderOfFiveHundredIsQuick performs the largest package, a fifth of which fails.
func TestOrderOfFiveHundredIsQuick(t *testing.T) {
	d := newDesk(t, entries(700)...)
	var mu sync.Mutex
	n := 0
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		mu.Lock()
		n++
		bad := n%5 == 0
		mu.Unlock()
		if bad {
			return submit.Result{HostOK: true, Outcome: directory.Outcome{State: directory.FailedState, Class: directory.ClassPermanent, Reason: "gone"}}, nil
		}
		return d.accept(ctx, r)
	}
	order := d.place(500, "")
	begun := time.Now()
	if err := d.perform(); err != nil {
		t.Fatal(err)
	}
	if states := d.balanced(order); states[directory.Submitted] != 500 {
		t.Errorf("states %v, want 500 submitted", states)
	}
	t.Logf("500 directories in %v", time.Since(begun))
}

// recheck finishes an order and leaves its recheck due.
func (d *desk) recheckDue() {
	d.t.Helper()
	a := d.claim(job.KindOrder)
	if err := d.engine().Order().Handle(d.t.Context(), a); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.Complete(d.t.Context(), a.Job.Lease()); err != nil {
		d.t.Fatal(err)
	}
	d.offset.Add(int64(time.Hour))
}

func TestRecheckSurvivesOutagesAndPanics(t *testing.T) {
	for name, f := range map[string]fault{"nothing happened": fails, "the answer was lost": loses} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, append(entries(3), entry("odd", 100))...)
			d.config.Schedule = []time.Duration{time.Hour}
			order := d.place(4, "")
			d.recheckDue()
			d.lookup = func(dir *directory.Directory) submit.Finding {
				if dir.Slug == "odd" {
					panic("odd lookup")
				}
				return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir)}
			}
			d.calls = map[string]int{}
			d.outage = func(_ string, n int) fault {
				if n == 1 {
					return f
				}
				return works
			}
			if err := d.engine().Recheck().Handle(t.Context(), d.claim(job.KindRecheck)); err != nil {
				t.Fatalf("the recheck ended with %v", err)
			}
			d.outage = nil
			for slug, s := range d.submissionsOf(order) {
				if want := slug != "odd"; (s.State == directory.Live) != want {
					t.Errorf("%s is %s", slug, s.State)
				}
			}
		})
	}
}

// TestAPageThatIsRemovedBeforeItsOutcomeIsCommittedIsKeptAgain lets somebody clear away
// what no outcome refers to between each page and its outcome.
func TestAPageThatIsRemovedBeforeItsOutcomeIsCommittedIsKeptAgain(t *testing.T) {
	d := newDesk(t, entry("answers", 50), entry("found", 40))
	d.config.Schedule = []time.Duration{time.Hour}
	kept := &kept{Dir: evidence.NewDir(t.TempDir())}
	d.config.Evidence = kept
	d.outage = func(name string, _ int) fault {
		if name == "Settle" || name == "Observe" {
			n, err := kept.Clear(t.Context(), kept.all(), d.Store)
			if err != nil || n != 1 {
				t.Errorf("%s: %d pages removed, error %v, want the one that is not referred to yet", name, n, err)
			}
		}
		return works
	}
	page := func(of string) *submit.Page {
		return &submit.Page{URL: "https://dir.example/", Status: 200, MediaType: "text/html", Body: []byte(of)}
	}
	d.config.Concurrency = 1
	d.submit = func(ctx context.Context, r submit.Request) (submit.Result, error) {
		res, err := d.accept(ctx, r)
		res.Page = page("the answer of " + r.Directory.Slug)
		if r.Directory.Slug == "found" {
			return open(directory.ClassInDoubt), err
		}
		return res, err
	}
	during := "order"
	d.lookup = func(dir *directory.Directory) submit.Finding {
		return submit.Finding{Presence: submit.Found, HostOK: true, Evidence: proof(dir), Page: page(dir.Slug + ", found by the " + during)}
	}
	order := d.place(2, "")
	a := d.claim(job.KindOrder)
	if err := d.engine().Order().Handle(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Complete(t.Context(), a.Job.Lease()); err != nil {
		t.Fatal(err)
	}
	stands := func(when string) {
		t.Helper()
		for slug, s := range d.submissionsOf(order) {
			f, err := kept.Open(t.Context(), s.Evidence.SHA256)
			if err != nil {
				t.Errorf("%s: %s is %s, and its page is gone: %v", when, slug, s.State, err)
				continue
			}
			_ = f.Close()
		}
	}
	stands("after the order")
	during = "recheck"
	d.offset.Add(int64(time.Hour))
	if err := d.engine().Recheck().Handle(t.Context(), d.claim(job.KindRecheck)); err != nil {
		t.Fatal(err)
	}
	stands("after the recheck")
	if n := len(kept.all()); n != 4 {
		t.Errorf("%d pages were kept, want 4", n)
	}
}

// kept is a directory of evidence that knows what was put there.
type kept struct {
	*evidence.Dir
	mu    sync.Mutex
	names []string
}

func (k *kept) Put(ctx context.Context, mediaType string, data []byte) (string, int64, error) {
	name, size, err := k.Dir.Put(ctx, mediaType, data)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.names = append(k.names, name)
	return name, size, err
}

func (k *kept) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.names)
}

func TestRecheckOfAPrunedOrderIsCancelled(t *testing.T) {
	d := newDesk(t, entries(1)...)
	d.config.Schedule = []time.Duration{time.Hour}
	d.place(1, "")
	d.recheckDue()
	a := d.claim(job.KindRecheck)
	d.offset.Add(int64(1000 * time.Hour))
	if p, err := d.Prune(t.Context(), job.Retention{Finished: time.Hour}); err != nil || p.Jobs != 1 {
		t.Fatalf("pruned %+v, error %v", p, err)
	}
	if err := d.engine().Recheck().Handle(t.Context(), a); !job.IsCancel(err) {
		t.Errorf("the recheck ended with %v, want it cancelled", err)
	}
}

func TestRecheckOfAnotherVersionSaysWhich(t *testing.T) {
	d := newDesk(t, entries(1)...)
	for payload, want := range map[string]string{`{"v":-1}`: "version -1", `{}`: "version 0", `[]`: "unmarshal"} {
		a := job.Attempt{Job: job.Job{Payload: []byte(payload)}}
		err := d.engine().Recheck().Handle(t.Context(), a)
		if !job.IsPermanent(err) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "%!") {
			t.Errorf("payload %s: %v, want a permanent error that says %q", payload, err, want)
		}
	}
}

// A rolling deploy has workers of two releases: the older leave what the newer wrote.
func TestPayloadOfANewerReleaseWaits(t *testing.T) {
	d := newDesk(t, entries(1)...)
	a := job.Attempt{Job: job.Job{Payload: []byte(`{"v":7}`)}}
	for kind, h := range map[string]job.Handler{"order": d.engine().Order(), "recheck": d.engine().Recheck()} {
		var snooze *job.SnoozeError
		if err := h.Handle(t.Context(), a); !errors.As(err, &snooze) || !strings.Contains(snooze.Reason, "version 7") {
			t.Errorf("%s: %v, want a snooze that names version 7", kind, err)
		}
	}
}

func TestRecheckIsACanaryWhereTheOrderIs(t *testing.T) {
	d := newDesk(t, entry("bird", 50, func(d *directory.Directory) {
		d.Method, d.Form, d.Success = directory.MethodCanary, nil, nil
	}))
	d.config.Schedule = []time.Duration{time.Hour}
	d.config.Methods[directory.MethodCanary] = played{d}
	b := bakery(t)
	customer, err := d.EnsureCustomer(t.Context(), submit.Customer{Email: b.Email, Name: b.Name, Canary: true})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := submit.OrderSpec(customer, b, directory.Package{Name: "starter", Quota: 1, Priority: 1}, submit.OrderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spec.Canary, spec.ValueCents = true, 0
	if _, err := d.Store.Enqueue(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	d.recheckDue()
	if j := d.claim(job.KindRecheck).Job; !j.Canary || j.ValueCents != 0 {
		t.Errorf("recheck of a canary: canary %t, value %d", j.Canary, j.ValueCents)
	}
}
