package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/google/uuid"
)

const identity = "ann|bakery.example|10115|DE"

// budget is the time an effect is given; well inside the suite's lease.
const budget = 30 * time.Second

var ledgerPromises = []promise{
	{name: "ACustomerIsOneEmailInAnyCase", holds: customerIsOneEmail},
	{name: "ANewCustomerHasAnEmailAddress", holds: newCustomerHasAnAddress},
	{name: "PlanWritesOnce", holds: planWritesOnce},
	{name: "TwoPlannersWriteOnePlan", holds: planOnceForTwo},
	{name: "IntendCommitsTheIntent", holds: intendCommits},
	{name: "TheEffectDeadlineIsNeverPastTheLease", holds: intendKeepsToTheLease},
	{name: "AStaleLeaseIsRefused", holds: ledgerRefusesStaleLease},
	{name: "ADirectoryGetsABusinessOnceAcrossOrders", holds: directoryIsTaken},
	{name: "OfEightIntentsOfTwoOrdersOneWins", holds: intendOnceForMany},
	{name: "SettleFollowsTheArrowsAndNoOther", holds: settleFollowsArrows},
	{name: "ObserveFollowsItsArrowsAndNoOther", holds: observeFollowsArrows},
	{name: "AnOutcomeIsStoredToldAndCountsAsProgress", holds: settleStoresTheOutcome},
	{name: "AnEarlierClaimsIntentIsSettledAfterItsDeadline", holds: settleWaitsForTheDeadline},
	{name: "AReplacementKeepsTheQuota", holds: replacementKeepsQuota},
	{name: "AnOutcomeWithoutWhatItNeedsIsRefused", holds: settleNeedsProof},
	{name: "SettleOrRecoverOneOfThemWins", holds: settleRacesRecover},
}

// planned enqueues an order, claims it and plans it over the directories named.
func (b *bed) planned(identity string, slugs ...string) (job.Job, []directory.Submission) {
	b.Helper()
	s := order()
	s.Quota = len(slugs)
	j := b.running(s)
	return j, b.plan(j.Lease(), directory.Plan{Choices: choices(slugs...), Identity: identity})
}

func (b *bed) plan(l job.Lease, p directory.Plan) []directory.Submission {
	b.Helper()
	subs, err := b.Store.Plan(b.ctx, l, p)
	b.must(err)
	return subs
}

func choices(slugs ...string) []directory.Choice {
	c := make([]directory.Choice, len(slugs))
	for i, slug := range slugs {
		c[i] = directory.Choice{Directory: slug, Rank: i + 1}
	}
	return c
}

func (b *bed) submissions(order job.ID) []directory.Submission {
	b.Helper()
	subs, err := b.Store.Submissions(b.ctx, order)
	b.must(err)
	return subs
}

// submission reads one submission of an order.
func (b *bed) submission(s directory.Submission) directory.Submission {
	b.Helper()
	subs := b.submissions(s.OrderID)
	i := slices.IndexFunc(subs, func(o directory.Submission) bool { return o.ID == s.ID })
	if i < 0 {
		b.Fatalf("submission to %s is gone", s.Directory)
	}
	return subs[i]
}

func (b *bed) intend(l job.Lease, s directory.Submission) directory.Submission {
	b.Helper()
	got, err := b.Store.Intend(b.ctx, l, s.ID, budget)
	b.must(err)
	return got
}

func (b *bed) settle(l job.Lease, s directory.Submission, o directory.Outcome) {
	b.Helper()
	b.must(b.Store.Settle(b.ctx, l, s.ID, o))
}

// intact reports a submission that act changes in any field.
func (b *bed) intact(s directory.Submission, act func()) {
	b.Helper()
	before := b.submissions(s.OrderID)
	act()
	b.equal("submissions of the order", b.submissions(s.OrderID), before)
}

// outcome is a well-formed one for a state.
func outcome(s directory.SubmissionState) directory.Outcome {
	o := directory.Outcome{State: s, Reason: "because"}
	switch s {
	case directory.Submitted, directory.Live:
		o.Evidence, o.ListingURL = someEvidence(), "https://dir.example/listing/7"
	case directory.NeedsAction:
		o.Need = directory.NeedCaptcha
	case directory.FailedState:
		o.Class = directory.ClassPermanent
	case directory.Uncertain:
		o.Class = directory.ClassInDoubt
	case directory.Planned:
		o.Class = directory.ClassNotSent
	}
	return o
}

func someEvidence() *directory.Evidence {
	return &directory.Evidence{
		Rule: `text "Thank you"`, URL: "https://dir.example/done", Status: 200, Excerpt: "Thank you, Ann’s Bakery",
		SHA256: "ab12", MediaType: "text/html", Size: 4096, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func customerIsOneEmail(b *bed) {
	id, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: "Ann@Example.org", Name: "Ann"})
	b.must(err)
	again, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: "ann@example.ORG", Name: "Ann B."})
	b.must(err)
	b.equal("the same e-mail in other case", again, id)
	other, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: "bob@example.org", Name: "Bob", Canary: true})
	b.must(err)
	if other == id || other == uuid.Nil {
		b.Errorf("another e-mail is customer %s, the first is %s", other, id)
	}

	var mu sync.Mutex
	ids := map[uuid.UUID]bool{}
	b.atOnce(8, func(i int, s Store) {
		email := []string{"eve@example.org", "EVE@example.org"}[i/2%2]
		id, err := s.EnsureCustomer(b.ctx, submit.Customer{Email: email, Name: "Eve"})
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("caller %d: %v", i, err)
		}
		ids[id] = true
	})
	b.equal("customers made by eight callers", len(ids), 1)
	b.equal("customers", b.numberOf("customers", "1 = 1"), int64(3))
}

func newCustomerHasAnAddress(b *bed) {
	for _, email := range []string{"", " ", "notmail", "not a mail\n", "ann@", "Ann <ann@example.org>", strings.Repeat("a", 400), strings.Repeat("a", 388) + "@example.org", job.NewID().String()} {
		id, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: email, Name: "Ann"})
		var invalid *job.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "email" || id != uuid.Nil {
			b.Errorf("customer %q: id %s, error %v, want the e-mail refused", email, id, err)
		}
	}
	b.equal("customers", b.numberOf("customers", "1 = 1"), int64(0))

	before, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: "ann@example.org", Name: "Ann"})
	b.must(err)
	b.change("UPDATE customers SET email = 'notmail' WHERE id = '%s'", before) // as an earlier release took it
	id, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: " Notmail"})
	b.must(err)
	b.equal("the customer of an earlier release", id, before)
	found, err := b.Store.CustomerByEmail(b.ctx, " NOTMAIL ")
	b.must(err)
	b.equal("the same, looked up", found.ID, before)
}

func planWritesOnce(b *bed) {
	s := order()
	s.Quota, s.Canary = 5, true
	j := b.running(s)
	b.equal("submissions before the plan", len(b.submissions(j.ID)), 0)
	from := b.now()
	plan := directory.Plan{Choices: choices("alpha", "beta", "gamma"), Shortfall: 2, Identity: identity}
	got := b.plan(j.Lease(), plan)
	b.equal("what Plan answers is what is stored", got, b.submissions(j.ID))
	for i, sub := range got {
		b.within("created", sub.CreatedAt, from, b.now())
		b.within("updated", sub.UpdatedAt, from, b.now())
		sub.CreatedAt, sub.UpdatedAt, sub.DueAt = time.Time{}, time.Time{}, time.Time{}
		b.equal("submission", sub, directory.Submission{
			ID: sub.ID, OrderID: j.ID, CustomerID: s.CustomerID, Directory: plan.Choices[i].Directory, Rank: i + 1,
			Identity: identity, State: directory.Planned, Canary: true,
		})
	}
	b.equal("shortfall of the order", b.job(j.ID).Shortfall, 2)
	b.equal("shortfall events", len(b.eventsOf(j.ID, job.EventShortfall)), 1)

	again := b.plan(j.Lease(), directory.Plan{Choices: choices("delta"), Shortfall: 4, Identity: "other"})
	b.equal("a second plan answers the first", again, got)
	b.equal("shortfall after the second plan", b.job(j.ID).Shortfall, 2)
	b.equal("shortfall events after the second plan", len(b.eventsOf(j.ID, job.EventShortfall)), 1)
	b.equal("the order still runs", b.job(j.ID).State, job.InProgress)

	full, subs := b.planned("full", "alpha", "beta")
	b.equal("shortfall events of a full plan", len(b.eventsOf(full.ID, job.EventShortfall)), 0)
	b.equal("submissions of a full plan", len(subs), 2)

	none := b.running(order())
	for range 2 {
		b.equal("submissions of an empty plan", len(b.plan(none.Lease(), directory.Plan{Shortfall: 50, Identity: "none"})), 0)
	}
	b.equal("shortfall of an empty plan", b.job(none.ID).Shortfall, 50)
	b.equal("shortfall events of an empty plan, written twice", len(b.eventsOf(none.ID, job.EventShortfall)), 1)
}

func planOnceForTwo(b *bed) {
	s := order()
	s.Quota = 4
	j := b.running(s)
	var mu sync.Mutex
	answers := map[int][]directory.Submission{}
	b.atOnce(4, func(i int, st Store) {
		subs, err := st.Plan(b.ctx, j.Lease(), directory.Plan{Choices: choices("a", "b", "c"), Shortfall: 1, Identity: identity})
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("planner %d: %v", i, err)
		}
		answers[i] = subs
	})
	for _, got := range answers {
		b.equal("the plan", got, b.submissions(j.ID))
	}
	b.equal("submissions", len(b.submissions(j.ID)), 3)
	b.equal("shortfall events", len(b.eventsOf(j.ID, job.EventShortfall)), 1)
}

func intendCommits(b *bed) {
	j, subs := b.planned(identity, "alpha", "beta")
	b.equal("directories held before", b.held(identity), []string{})
	from := b.now()
	got := b.intend(j.Lease(), subs[0])
	to := b.now()
	b.equal("what Intend answers is what is stored", got, b.submission(subs[0]))
	b.equal("state, tries, fence", []any{got.State, got.Tries, got.Fence}, []any{directory.Submitting, 1, j.Fence})
	b.within("intent", got.IntentAt, from, to)
	b.within("effect deadline", got.EffectDeadline, from.Add(budget), to.Add(budget))
	b.equal("the other submission", b.submission(subs[1]), subs[1])
	b.equal("directories held", b.held(identity), []string{"alpha"})
	b.equal("directories held for another business", b.held("other"), []string{})

	e := b.lastEvent(j.ID, job.EventSubmissionIntent)
	b.equal("event", []any{e.Directory, e.From, e.To, e.Fence, e.WorkerID, e.Actor},
		[]any{"alpha", "planned", "submitting", j.Fence, j.WorkerID, job.ActorWorker(j.WorkerID)})

	b.intact(got, func() {
		b.fails("a second intent", errorOf(b.Store.Intend(b.ctx, j.Lease(), got.ID, budget)), job.ErrState)
		b.fails("intent of no submission", errorOf(b.Store.Intend(b.ctx, j.Lease(), uuid.New(), budget)), job.ErrNotFound)
	})
	b.settle(j.Lease(), got, outcome(directory.Planned))
	b.equal("tries of the second intent", b.intend(j.Lease(), got).Tries, 2)

	other, foreign := b.planned("bob", "alpha")
	b.intact(foreign[0], func() {
		if _, err := b.Store.Intend(b.ctx, j.Lease(), foreign[0].ID, budget); err == nil {
			b.Error("the lease of one order served to send a submission of another")
		}
		if err := b.Store.Settle(b.ctx, j.Lease(), foreign[0].ID, outcome(directory.Skipped)); err == nil {
			b.Error("the lease of one order served to settle a submission of another")
		}
	})
	b.complete(other.Lease())
}

func (b *bed) held(identity string) []string {
	b.Helper()
	slugs, err := b.Store.HeldDirectories(b.ctx, identity)
	b.must(err)
	slices.Sort(slugs)
	return append([]string{}, slugs...)
}

func intendKeepsToTheLease(b *bed) {
	j, subs := b.planned(identity, "alpha", "beta", "gamma")
	got, err := b.Store.Intend(b.ctx, j.Lease(), subs[0].ID, 10*lease)
	b.must(err)
	b.equal("effect deadline of a long effect", got.EffectDeadline, b.workerNow(j.WorkerID).LeaseUntil)

	b.Advance(lease + time.Second)
	b.intact(subs[1], func() {
		if _, err := b.Store.Intend(b.ctx, j.Lease(), subs[1].ID, budget); err == nil {
			b.Error("an intent was granted after the lease was over")
		}
	})
}

func ledgerRefusesStaleLease(b *bed) {
	j, subs := b.planned(identity, "alpha", "beta")
	b.intend(j.Lease(), subs[0])
	b.crash(j)
	next := b.claimOne(b.worker())
	for what, act := range map[string]func(l job.Lease) error{
		"plan":    func(l job.Lease) error { return errorOf(b.Store.Plan(b.ctx, l, directory.Plan{Identity: identity})) },
		"intend":  func(l job.Lease) error { return errorOf(b.Store.Intend(b.ctx, l, subs[1].ID, budget)) },
		"settle":  func(l job.Lease) error { return b.Store.Settle(b.ctx, l, subs[0].ID, outcome(directory.Submitted)) },
		"observe": func(l job.Lease) error { return b.Store.Observe(b.ctx, l, subs[0].ID, outcome(directory.Live)) },
	} {
		b.sub(what, func(b *bed) {
			fenced := len(b.eventsOf(j.ID, job.EventWriteFenced))
			b.intact(subs[0], func() {
				b.unchanged(j.ID, func() { b.fails(what, act(j.Lease()), job.ErrLeaseLost) })
			})
			// An outcome that comes too late is what a person will ask about.
			if what == "settle" || what == "observe" {
				b.equal("refused writes recorded", len(b.eventsOf(j.ID, job.EventWriteFenced))-fenced, 1)
				b.equal("fence of the refused write", b.lastEvent(j.ID, job.EventWriteFenced).Fence, j.Fence)
			}
		})
	}
	b.complete(next.Lease())
	b.fails("intent for a completed order", errorOf(b.Store.Intend(b.ctx, next.Lease(), subs[1].ID, budget)), job.ErrLeaseLost)

	unplanned := b.running(order())
	b.crash(unplanned)
	b.fails("plan under a stale lease", errorOf(b.Store.Plan(b.ctx, unplanned.Lease(), directory.Plan{Choices: choices("a"), Shortfall: 3, Identity: "x"})), job.ErrLeaseLost)
	b.equal("submissions of it", len(b.submissions(unplanned.ID)), 0)
	b.equal("shortfall of it", b.job(unplanned.ID).Shortfall, 0)
}

func directoryIsTaken(b *bed) {
	for _, state := range directory.SubmissionStates {
		b.sub("while another order's submission is "+string(state), func(b *bed) {
			who := "business of " + string(state)
			first, theirs := b.planned(who, "alpha")
			b.bring(first.Lease(), theirs[0], state)
			mine, ours := b.planned(who, "alpha")

			if !state.Holds() {
				b.equal("directories held", b.held(who), []string{})
				b.equal("state", b.intend(mine.Lease(), ours[0]).State, directory.Submitting)
				return
			}
			b.equal("directories held", b.held(who), []string{"alpha"})
			b.intact(ours[0], func() {
				b.fails("intent", errorOf(b.Store.Intend(b.ctx, mine.Lease(), ours[0].ID, budget)), directory.ErrTaken)
				b.fails("needs_action", b.Store.Settle(b.ctx, mine.Lease(), ours[0].ID, outcome(directory.NeedsAction)), directory.ErrTaken)
			})
			// The order goes on without it.
			b.settle(mine.Lease(), ours[0], directory.Outcome{State: directory.Skipped, Class: directory.ClassAlreadyListed, Reason: "already listed"})
		})
	}
}

// bring leads a planned submission to a state, by the shortest way.
func (b *bed) bring(l job.Lease, s directory.Submission, to directory.SubmissionState) directory.Submission {
	b.Helper()
	switch to {
	case directory.Planned:
	case directory.Submitting:
		b.intend(l, s)
	case directory.Skipped:
		b.settle(l, s, outcome(to))
	case directory.Live:
		b.bring(l, s, directory.Submitted)
		b.must(b.Store.Observe(b.ctx, l, s.ID, outcome(to)))
	default:
		b.intend(l, s)
		b.settle(l, s, outcome(to))
	}
	got := b.submission(s)
	b.equal("state it was brought to", got.State, to)
	return got
}

func intendOnceForMany(b *bed) {
	for round := range 5 {
		who := fmt.Sprintf("business %d", round)
		one, a := b.planned(who, "alpha")
		two, c := b.planned(who, "alpha")
		var mu sync.Mutex
		won := 0
		b.atOnce(8, func(i int, s Store) {
			j, sub := one, a[0]
			if i/2%2 == 0 {
				j, sub = two, c[0]
			}
			_, err := s.Intend(b.ctx, j.Lease(), sub.ID, budget)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, directory.ErrTaken) && !errors.Is(err, job.ErrState):
				b.Errorf("intent %d: %v", i, err)
			}
		})
		b.equal("intents that won", won, 1)
		b.equal("tries of both orders", b.submission(a[0]).Tries+b.submission(c[0]).Tries, 1)
		b.equal("directories held", b.held(who), []string{"alpha"})
	}
}

// pairs plans one submission for each pair of states and brings it to the first.
func (b *bed) pairs(who string) (j job.Job, subs map[[2]directory.SubmissionState]directory.Submission) {
	b.Helper()
	var slugs []string
	for _, from := range directory.SubmissionStates {
		for _, to := range directory.SubmissionStates {
			slugs = append(slugs, string(from)+"-to-"+string(to))
		}
	}
	j, planned := b.planned(who, slugs...)
	subs = map[[2]directory.SubmissionState]directory.Submission{}
	for i, from := range directory.SubmissionStates {
		for k, to := range directory.SubmissionStates {
			subs[[2]directory.SubmissionState{from, to}] = b.bring(j.Lease(), planned[i*len(directory.SubmissionStates)+k], from)
		}
	}
	return j, subs
}

// follows tries act on every pair and reports where it does not do what allowed says.
func (b *bed) follows(who string, allowed func(from, to directory.SubmissionState) bool, act func(l job.Lease, s directory.Submission, o directory.Outcome) error) {
	b.Helper()
	j, subs := b.pairs(who)
	for pair, sub := range subs {
		from, to := pair[0], pair[1]
		err := act(j.Lease(), sub, outcome(to))
		got := b.submission(sub)
		if allowed(from, to) {
			if err != nil || got.State != to {
				b.Errorf("%s to %s: state %s, error %v, want it allowed", from, to, got.State, err)
			}
			continue
		}
		b.fails(fmt.Sprintf("%s to %s", from, to), err, job.ErrState)
		b.equal(fmt.Sprintf("submission after the refused %s to %s", from, to), got, sub)
	}
}

func settleFollowsArrows(b *bed) {
	allowed := func(from, to directory.SubmissionState) bool {
		switch from {
		case directory.Planned: // submitting is Intend's; planned again is a postponement
			return to != directory.Submitting && (to == directory.Planned || slices.Contains(directory.SubmissionArrows[from], to))
		case directory.Submitting:
			return slices.Contains(directory.SubmissionArrows[from], to)
		}
		return false
	}
	b.follows(identity, allowed, func(l job.Lease, s directory.Submission, o directory.Outcome) error {
		return b.Store.Settle(b.ctx, l, s.ID, o)
	})
	j := b.running(order())
	b.fails("settle of no submission", b.Store.Settle(b.ctx, j.Lease(), uuid.New(), outcome(directory.Skipped)), job.ErrNotFound)
}

func observeFollowsArrows(b *bed) {
	b.enqueueOne(job.Spec{Kind: job.KindRecheck})
	lease := leaseOf(b.claimOne(b.worker()))
	allowed := func(from, to directory.SubmissionState) bool {
		later := from == directory.Submitted || from == directory.Uncertain
		return later && slices.Contains(directory.SubmissionArrows[from], to)
	}
	b.follows(identity, allowed, func(_ job.Lease, s directory.Submission, o directory.Outcome) error {
		return b.Store.Observe(b.ctx, lease, s.ID, o)
	})
	b.fails("observation of no submission", b.Store.Observe(b.ctx, lease, uuid.New(), outcome(directory.Live)), job.ErrNotFound)

	j, subs := b.planned("bob", "alpha")
	sub := b.bring(j.Lease(), subs[0], directory.Submitted)
	b.Advance(time.Minute)
	from := b.now()
	b.must(b.Store.Observe(b.ctx, lease, sub.ID, outcome(directory.Live)))
	got := b.submission(sub)
	b.within("live", got.LiveAt, from, b.now())
	b.equal("listing", got.ListingURL, "https://dir.example/listing/7")
	b.fails("an observation under a lease that is over", func() error {
		b.complete(lease)
		return b.Store.Observe(b.ctx, lease, sub.ID, outcome(directory.Rejected))
	}(), job.ErrLeaseLost)
}

func settleStoresTheOutcome(b *bed) {
	j, subs := b.planned(identity, "alpha", "beta", "gamma", "delta")
	l := j.Lease()
	b.intend(l, subs[0])
	b.Advance(time.Minute)
	from := b.now()
	b.settle(l, subs[0], outcome(directory.Submitted))
	got := b.submission(subs[0])
	b.equal("evidence", got.Evidence, someEvidence())
	b.equal("listing, reason", []string{got.ListingURL, got.Reason}, []string{"https://dir.example/listing/7", "because"})
	b.within("updated", got.UpdatedAt, from, b.now())
	b.within("progress of the job", b.job(j.ID).ProgressAt, from, b.now())
	e := b.lastEvent(j.ID, job.EventSubmissionOutcome)
	b.equal("event", []any{e.Directory, e.From, e.To, e.Fence, e.WorkerID, e.Actor},
		[]any{"alpha", "submitting", "submitted", j.Fence, j.WorkerID, job.ActorWorker(j.WorkerID)})

	b.intend(l, subs[1])
	b.settle(l, subs[1], outcome(directory.Uncertain))
	got = b.submission(subs[1])
	b.equal("state, class, reason", []any{got.State, got.Class, got.Reason}, []any{directory.Uncertain, directory.ClassInDoubt, "because"})
	told := slices.DeleteFunc(b.history(j.ID), func(e job.Event) bool { return e.Directory != "beta" || e.To != "uncertain" })
	if len(told) == 0 {
		b.Error("history does not tell that beta is uncertain")
	}

	b.settle(l, subs[2], outcome(directory.NeedsAction))
	b.equal("need", b.submission(subs[2]).Need, directory.NeedCaptcha)

	from = b.now()
	b.settle(l, subs[3], directory.Outcome{State: directory.Planned, Class: directory.ClassRefused, Reason: "429", Delay: time.Minute})
	got = b.submission(subs[3])
	b.within("due of a postponed submission", got.DueAt, from.Add(time.Minute), b.now().Add(time.Minute))
	b.equal("state, class, reason", []any{got.State, got.Class, got.Reason}, []any{directory.Planned, directory.ClassRefused, "429"})
	b.equal("tries of a postponed submission", got.Tries, 1)
	b.equal("tries after its intent", b.intend(l, got).Tries, 2)
	b.settle(l, got, outcome(directory.Planned))
	b.equal("tries after an intent that came to nothing", b.submission(got).Tries, 2)
	b.settle(l, got, outcome(directory.FailedState))
	b.equal("tries after a look without an intent that ended it", b.submission(got).Tries, 3)
	var history struct{ Try int }
	b.must(json.Unmarshal(b.lastEvent(j.ID, job.EventSubmissionOutcome).Detail, &history))
	b.equal("tries that the history tells", history.Try, 3)
}

func settleWaitsForTheDeadline(b *bed) {
	j, subs := b.planned(identity, "alpha", "beta")
	b.intend(j.Lease(), subs[0])
	b.crash(j)
	next := b.claimOne(b.worker())
	b.intact(subs[0], func() {
		b.fails("settle while the effect may still happen", b.Store.Settle(b.ctx, next.Lease(), subs[0].ID, outcome(directory.Submitted)), job.ErrState)
		b.fails("planning again while the effect may still happen", b.Store.Settle(b.ctx, next.Lease(), subs[0].ID, outcome(directory.Planned)), job.ErrState)
	})
	b.Advance(budget + time.Second)
	b.settle(next.Lease(), subs[0], outcome(directory.Planned))
	got := b.intend(next.Lease(), subs[0])
	b.equal("tries, fence", []any{got.Tries, got.Fence}, []any{2, next.Fence})
	b.settle(next.Lease(), subs[0], outcome(directory.Submitted))
}

func replacementKeepsQuota(b *bed) {
	s := order()
	s.Quota = 6
	j := b.running(s)
	l := j.Lease()
	subs := b.plan(l, directory.Plan{Choices: choices("a", "b", "c", "d", "e"), Shortfall: 1, Identity: identity})
	balanced := func() {
		b.Helper()
		all := b.submissions(j.ID)
		replaced := 0
		for _, s := range all {
			if s.Replaced {
				replaced++
			}
		}
		b.equal("all submissions − replaced + shortfall", len(all)-replaced+b.job(j.ID).Shortfall, s.Quota)
	}
	balanced()
	replace := func(sub directory.Submission, state directory.SubmissionState, by string, rank int) {
		b.Helper()
		o := outcome(state)
		o.Replacement = &directory.Choice{Directory: by, Rank: rank}
		b.settle(l, sub, o)
		b.equal("replaced", b.submission(sub).Replaced, true)
		all := b.submissions(j.ID)
		last := all[len(all)-1]
		b.equal("replacement", []any{last.Directory, last.Rank, last.State, last.Identity, last.CustomerID, last.Tries},
			[]any{by, rank, directory.Planned, identity, s.CustomerID, 0})
		balanced()
	}
	replace(subs[0], directory.Skipped, "f", 6)
	b.intend(l, subs[1])
	replace(subs[1], directory.FailedState, "g", 7)
	b.settle(l, subs[2], outcome(directory.FailedState))
	b.equal("a failure without replacement is not replaced", b.submission(subs[2]).Replaced, false)
	balanced()

	b.intact(subs[3], func() {
		o := outcome(directory.Skipped)
		o.Replacement = &directory.Choice{Directory: "e", Rank: 8}
		if err := b.Store.Settle(b.ctx, l, subs[3].ID, o); err == nil {
			b.Error("a directory of the order was taken as its own replacement")
		}
		o = outcome(directory.NeedsAction)
		o.Replacement = &directory.Choice{Directory: "h", Rank: 8}
		if err := b.Store.Settle(b.ctx, l, subs[3].ID, o); err == nil {
			b.Error("a submission that waits for a person was replaced")
		}
	})
	balanced()

	// Ranks are the order in which submissions are listed.
	var ranks []int
	for _, s := range b.submissions(j.ID) {
		ranks = append(ranks, s.Rank)
	}
	b.equal("ranks", ranks, []int{1, 2, 3, 4, 5, 6, 7})
}

func settleNeedsProof(b *bed) {
	j, subs := b.planned(identity, "alpha")
	sub := b.intend(j.Lease(), subs[0])
	for what, o := range map[string]directory.Outcome{
		"submitted without evidence": {State: directory.Submitted},
		"needs_action without need":  {State: directory.NeedsAction},
		"no state":                   {},
		"an unknown state":           {State: "lucky"},
	} {
		b.intact(sub, func() {
			if err := b.Store.Settle(b.ctx, j.Lease(), sub.ID, o); err == nil {
				b.Errorf("%s was accepted", what)
			}
		})
	}
	b.settle(j.Lease(), sub, outcome(directory.Submitted))
	b.intact(sub, func() {
		if err := b.Store.Observe(b.ctx, j.Lease(), sub.ID, directory.Outcome{State: directory.Live}); err == nil {
			b.Error("live without evidence was accepted")
		}
	})

	// What a site answers is not always text that a database takes.
	j, subs = b.planned("hostile", "alpha")
	b.intend(j.Lease(), subs[0])
	o := outcome(directory.Submitted)
	o.Reason = "said \x00 \xff"
	o.Evidence.Excerpt = "Thank \x00 you \xff"
	b.settle(j.Lease(), subs[0], o)
	b.equal("state", b.submission(subs[0]).State, directory.Submitted)
}

// settleRacesRecover lets a retired worker settle while recovery takes its job:
// whatever is refused has changed nothing, whatever is accepted is there.
func settleRacesRecover(b *bed) {
	other := b.second()
	for round := range 10 {
		var slugs []string
		for i := range 8 {
			slugs = append(slugs, fmt.Sprintf("dir-%d", i))
		}
		j, subs := b.planned(fmt.Sprintf("business %d", round), slugs...)
		b.must(b.Store.Retire(b.ctx, j.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
		done := make(chan error)
		go func() {
			_, err := other.Recover(b.ctx, 10)
			done <- err
		}()
		accepted := map[string]bool{}
		for _, s := range subs {
			switch err := b.Store.Settle(b.ctx, j.Lease(), s.ID, outcome(directory.Skipped)); {
			case err == nil:
				accepted[s.Directory] = true
			case !errors.Is(err, job.ErrLeaseLost):
				b.Errorf("settle: %v", err)
			}
		}
		b.must(<-done)
		b.recover() // the one above passes over a job that is being settled
		skipped := map[string]bool{}
		for _, s := range b.submissions(j.ID) {
			if s.State == directory.Skipped {
				skipped[s.Directory] = true
			}
		}
		b.equal("submissions settled and accepted", skipped, accepted)
		b.complete(leaseOf(b.claimOne(b.worker())))
	}
}
