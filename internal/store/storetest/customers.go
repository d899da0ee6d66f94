package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/evidence"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
)

var customerPromises = []promise{
	{name: "ACustomerIsFoundByEmailInAnyCase", holds: customerByEmail},
	{name: "NothingPersonalIsLeftOfAnErasedCustomer", holds: nothingPersonalIsLeft},
	{name: "AnonymousFactsStay", holds: factsStay},
	{name: "AnOrderThatIsNotOverKeepsItsCustomer", holds: openOrderKeepsCustomer},
	{name: "ADirectoryGetsAnErasedBusinessOnce", holds: erasedBusinessOnce},
	{name: "AProofThatTwoCustomersShareStays", holds: sharedProofStays},
	{name: "AnErasureNotesTheProofsItLetsGo", holds: erasureNotesProofs},
	{name: "ErasedProofsAreReadOnOnceEach", holds: erasedProofsAreReadOn},
	{name: "AnErasureLetsGoOfEarlierProofsToo", holds: earlierProofsGo},
	{name: "ErasedProofsAreForgottenAfterAYear", holds: erasedProofsAreForgotten},
	{name: "WhatAnErasedCustomerLeftIsNotRedriven", holds: erasedIsNotRedriven},
}

// person is a word in everything personal about the suite's customer.
const person = "Annabel"

// buyer is a customer with orders in which the person stands everywhere.
type buyer struct {
	id           job.ID
	key          string
	done, failed job.ID // orders
	recheck      job.ID
}

func (b *bed) customer(email string) job.ID {
	b.Helper()
	id, err := b.Store.EnsureCustomer(b.ctx, submit.Customer{Email: email, Name: person + " Baker"})
	b.must(err)
	return id
}

func (b *bed) orderOf(customer job.ID) job.Spec {
	s := order()
	s.CustomerID, s.Quota = customer, 2
	s.Payload = []byte(`{"v": 1, "profile": {"name": "` + person + `'s Bakery", "email": "` + person + `@bakery.example"}}`)
	s.IdempotencyKey = person + ":" + job.NewID().String()
	return s
}

func (b *bed) buyer(identity string) buyer {
	b.Helper()
	y := buyer{id: b.customer(person + "@example.com")}
	// What was said of her.
	proof := someEvidence()
	proof.Excerpt, proof.URL = "Thank you, "+person, "https://dir.example/"+person
	j := b.running(b.orderOf(y.id))
	subs := b.plan(j.Lease(), directory.Plan{Choices: choices("alpha", "beta"), Identity: identity})
	b.intend(j.Lease(), subs[0])
	b.settle(j.Lease(), subs[0], directory.Outcome{State: directory.Submitted, Evidence: proof, ListingURL: "https://dir.example/" + person, Reason: person})
	b.settle(j.Lease(), subs[1], directory.Outcome{State: directory.Skipped, Reason: person + " is listed", Class: directory.ClassPermanent})
	b.must(b.Store.Snooze(b.ctx, j.Lease(), 0, person+" asked to wait"))
	j = b.claimOne(b.worker())
	b.complete(j.Lease())
	y.done = j.ID

	quoted := `"` + person + `"`
	y.failed = b.dead(b.orderOf(y.id), quoted+" is not welcome")
	b.redriveLetters(b.letterOf(y.failed).ID)
	j = b.claimOne(b.worker())
	b.fail(j.Lease(), job.Failure{Cause: quoted + " again", Class: job.ClassPermanent, Permanent: true})
	y.recheck = b.enqueueOne(job.Spec{Kind: job.KindRecheck, CustomerID: y.id, Payload: []byte(`{"v": 1, "note": "` + person + `"}`), Delay: time.Hour})

	text, k, err := auth.Mint(person+"'s portal", auth.Customer, y.id, time.Time{}, "")
	b.must(err)
	_, err = b.Store.AddKey(b.ctx, k, auth.HashOf(text), staff)
	b.must(err)
	y.key = k.ID
	_, err = b.Store.AddSession(b.ctx, auth.HashOf("cookie of "+y.key), y.key, time.Hour)
	b.must(err)
	print := idempotency.FingerprintOf("POST", "/api/orders", []byte(person))
	b.begin(y.key, person, print)
	b.must(b.Store.EndRequest(b.ctx, y.key, person, print, &idempotency.Answer{Status: 201, ContentType: "text/plain", Body: []byte(person)}))
	b.must(b.Store.Pause(b.ctx, job.Scope{Customer: y.id}, staff))
	return y
}

func (b *bed) erase(id job.ID) auth.Erasure {
	b.Helper()
	done, err := b.Store.EraseCustomer(b.ctx, id, staff)
	b.must(err)
	return done
}

func customerByEmail(b *bed) {
	id := b.customer("Ann@Example.com")
	c, err := b.Store.CustomerByEmail(b.ctx, "ann@example.COM")
	b.must(err)
	b.equal("customer", c.ID, id)
	_, err = b.Store.CustomerByEmail(b.ctx, "bob@example.com")
	b.fails("somebody else", err, job.ErrNotFound)
}

// personalColumns are all in which a customer or a site may have written. Why staff did
// something, staff wrote: that stays in the journal.
var personalColumns = map[string][]string{
	"customers":        {"email", "name"},
	"jobs":             {"CAST(payload AS text)", "idempotency_key", "cause", "signature"},
	"submissions":      {"identity", "reason", "need", "CAST(evidence AS text)", "listing_url"},
	"events":           {"cause", "CAST(detail AS text)"},
	"dead_letters":     {"cause", "reason", "signature"},
	"outbox":           {"CAST(payload AS text)"},
	"alerts":           {"group_name", "CAST(sample AS text)", "CAST(detail AS text)"},
	"deliveries":       {"CAST(message AS text)", "error"},
	"findings":         {"subject", "cause", "mark"}, // words of ours
	"api_keys":         {"name"},
	"idempotency_keys": {"key"},
}

// personal counts the rows of each table in which the person stands.
func (b *bed) personal() map[string]int64 {
	b.Helper()
	left := map[string]int64{}
	for table, columns := range personalColumns {
		if n := b.numberOf(table, "lower(%s) LIKE '%%%s%%'", "coalesce("+strings.Join(columns, ", '') || coalesce(")+", '')", strings.ToLower(person)); n > 0 {
			left[table] = n
		}
	}
	return left
}

func nothingPersonalIsLeft(b *bed) {
	y := b.buyer(person + "|bakery.example|10115|DE")
	another := letter("another")
	b.tell(another)
	gates := b.gates("slack")
	b.pass(gates)
	b.Advance(settle)
	b.pass(gates)
	before := b.personal()
	for table := range personalColumns {
		if before[table] == 0 && table != "findings" {
			b.Errorf("the suite's customer left nothing in %s", table)
		}
	}
	done := b.erase(y.id)
	b.equal("rows with the person", b.personal(), map[string]int64{})
	for _, a := range b.alerts(alert.Filter{}) {
		if a.Signature == another.Signature {
			b.equal("what was said of another", a.Samples[0].Cause, another.Cause)
		}
	}
	b.equal("pauses left", b.numberOf("pauses", "1 = 1"), int64(0))
	b.equal("removed", []int64{done.Jobs, done.Submissions, done.Letters, done.Keys}, []int64{3, 2, 2, 1})
	b.equal("proofs to remove", done.Evidence, []string{"ab12"})
	_, err := b.Store.Customer(b.ctx, y.id)
	b.fails("the customer", err, job.ErrNotFound)
	_, err = b.Store.SessionKey(b.ctx, auth.HashOf("cookie of "+y.key))
	b.fails("the session", err, job.ErrNotFound)
	k, _, err := b.Store.KeyByID(b.ctx, y.key)
	b.must(err)
	b.equal("the key is revoked", k.RevokedAt.IsZero(), false)
	b.state(y.recheck, job.Cancelled)
	b.equal("open letters", b.depth().Open, int64(0))

	b.equal("erased again", b.erase(y.id).Submissions, int64(0))
	_, err = b.Store.EraseCustomer(b.ctx, job.NewID(), staff)
	b.fails("a customer that never was", err, job.ErrNotFound)
}

func factsStay(b *bed) {
	y := b.buyer(identity)
	type fact struct{ Type, From, To, Actor string }
	facts := func(id job.ID) (all []fact) {
		for _, e := range b.history(id) {
			all = append(all, fact{e.Type, e.From, e.To, e.Actor})
		}
		return all
	}
	before, account, money := facts(y.done), b.account(), b.job(y.done)
	states := b.submissions(y.done)
	b.erase(y.id)
	b.equal("history", facts(y.done), before)
	a := b.account()
	a.At = account.At
	b.equal("account", a, account)
	after := b.job(y.done)
	b.equal("order", []any{after.State, after.ValueCents, after.Package, after.FinishedAt}, []any{money.State, money.ValueCents, money.Package, money.FinishedAt})
	for i, s := range b.submissions(y.done) {
		b.equal("submission", []any{s.Directory, s.State, s.Tries, s.UpdatedAt, s.Evidence != nil},
			[]any{states[i].Directory, states[i].State, states[i].Tries, states[i].UpdatedAt, states[i].Evidence != nil})
	}
	b.equal("unbalanced", b.judgeBooks(y.done, y.failed), map[job.ID]string{})
	b.equal("journalled", b.numberOf("journal", "act = '%s' AND subject = 'customer %s' AND actor = '%s' AND reason = '%s'",
		job.ActEraseCustomer, y.id, staff.Actor, staff.Reason), int64(1))
	b.equal("events of it", b.numberOf("events", "type = 'customer.erased' AND customer_id = '%s'", y.id), int64(1))

	// Somebody of that address may come again, as somebody new.
	again := b.customer(person + "@example.com")
	b.equal("the same customer", again == y.id, false)
}

func openOrderKeepsCustomer(b *bed) {
	id := b.customer(person + "@example.com")
	running := b.running(b.orderOf(id)).ID
	for _, open := range []job.ID{b.enqueueOne(b.orderOf(id)), running} {
		b.unchanged(open, func() {
			_, err := b.Store.EraseCustomer(b.ctx, id, staff)
			b.fails("erase while an order is open", err, job.ErrState)
			if !strings.Contains(fmt.Sprint(err), running.String()) {
				b.Errorf("error %q does not name the order", err)
			}
		})
		b.must(b.Store.Cancel(b.ctx, open, staff))
	}
	_, err := b.Store.Customer(b.ctx, id)
	b.must(err)
	b.erase(id)
}

func erasedBusinessOnce(b *bed) {
	y := b.buyer(identity)
	b.equal("held before", b.held(identity), []string{"alpha"})
	b.erase(y.id)
	b.equal("held after", b.held(identity), []string{"alpha"})
	b.equal("held by another", len(b.held("another|business")), 0)
}

func sharedProofStays(b *bed) {
	other, subs := b.planned("other", "alpha")
	b.bring(other.Lease(), subs[0], directory.Submitted)
	b.complete(other.Lease())
	y := b.buyer(identity)
	b.equal("proofs to remove", len(b.erase(y.id).Evidence), 0)
	b.equal("held", b.heldEvidence("ab12"), []string{"ab12"})
	// Noted all the same: the other may be erased at this moment, and see it held by her.
	b.equal("noted", b.erasedEvidence(), []string{"ab12"})
}

// proven gives a customer an order that is done, with a proof for each name.
func (b *bed) proven(customer job.ID, names ...string) {
	b.Helper()
	s := b.orderOf(customer)
	s.Quota = len(names)
	j := b.running(s)
	for _, sub := range b.plan(j.Lease(), directory.Plan{Choices: choices(names...), Identity: customer.String()}) {
		proof := evidenceOf(sub.Directory)
		b.intend(j.Lease(), sub)
		b.settle(j.Lease(), sub, directory.Outcome{State: directory.Submitted, Evidence: proof})
	}
	b.complete(j.Lease())
}

// evidenceOf has a blob of that name.
func evidenceOf(name string) *directory.Evidence {
	e := someEvidence()
	e.SHA256 = name
	return e
}

// heldEvidence are those of the blobs that an outcome refers to, sorted.
func (b *bed) heldEvidence(names ...string) []string {
	b.Helper()
	held, err := b.Store.HeldEvidence(b.ctx, names)
	b.must(err)
	return slices.Sorted(slices.Values(held))
}

// erasedEvidence lists all that is noted, a row at a time.
func (b *bed) erasedEvidence() (names []string) {
	b.Helper()
	for last := (evidence.Erased{}); ; {
		erased, err := b.Store.ErasedEvidence(b.ctx, last, 1)
		b.must(err)
		if len(erased) == 0 {
			return names
		}
		last, names = erased[0], append(names, erased[0].SHA256)
	}
}

func erasureNotesProofs(b *bed) {
	y := b.buyer(identity)
	b.equal("held before", b.heldEvidence("ab12", "cd34"), []string{"ab12"})
	open := b.customer("other@example.com")
	b.proven(open, "cd34")
	b.enqueueOne(b.orderOf(open))
	b.fails("erase while an order is open", errorOf(b.Store.EraseCustomer(b.ctx, open, staff)), job.ErrState)
	b.equal("noted of an erasure that was refused", len(b.erasedEvidence()), 0)

	from := b.now()
	b.erase(y.id)
	b.equal("noted", b.erasedEvidence(), []string{"ab12"})
	b.equal("held after", b.heldEvidence("ab12", "cd34"), []string{"cd34"})
	b.equal("held of nothing", len(b.heldEvidence()), 0)
	erased, err := b.Store.ErasedEvidence(b.ctx, evidence.Erased{}, 10)
	b.must(err)
	b.within("noted at", erased[0].At, from, b.now())
	b.erase(y.id)
	b.equal("noted when it is erased again", len(b.erasedEvidence()), 1)
}

func earlierProofsGo(b *bed) {
	names := func(n ...string) []string { return n }
	first, second := b.customer("first@example.com"), b.customer("second@example.com")
	b.proven(first, "a1", "shared")
	b.live(first, "a2", "a1", "shared")
	b.proven(second, "b1")
	b.live(second, "b2", "shared")
	b.equal("held", b.heldEvidence("a1", "a2", "b1", "b2", "shared", "none"), names("a1", "a2", "b2", "shared"))
	b.equal("proofs to remove", slices.Sorted(slices.Values(b.erase(first).Evidence)), names("a1", "a2"))
	b.equal("noted", slices.Sorted(slices.Values(b.erasedEvidence())), names("a1", "a2", "shared"))
	b.equal("held after", b.heldEvidence("a1", "a2", "b1", "b2", "shared", "none"), names("b2", "shared"))
	b.equal("proofs to remove", slices.Sorted(slices.Values(b.erase(second).Evidence)), names("b2", "shared"))
	b.equal("held in the end", len(b.heldEvidence("a1", "a2", "b1", "b2", "shared")), 0)
}

// live makes the first submission of a customer's order live, with a new proof that knows
// of earlier ones.
func (b *bed) live(customer job.ID, name string, earlier ...string) {
	b.Helper()
	proof := evidenceOf(name)
	proof.Earlier = earlier
	orders, err := b.Store.OrdersOf(b.ctx, customer)
	b.must(err)
	recheck := b.running(job.Spec{Kind: job.KindRecheck, CustomerID: customer, Payload: []byte(`{"v": 1}`)})
	s := b.submissions(orders.Current.ID)[0]
	b.must(b.Store.Observe(b.ctx, recheck.Lease(), s.ID, directory.Outcome{State: directory.Live, Evidence: proof}))
	b.complete(recheck.Lease())
	b.equal("evidence", b.submission(s).Evidence, proof)
}

func erasedProofsAreReadOn(b *bed) {
	first, second := b.customer("first@example.com"), b.customer("second@example.com")
	b.proven(first, "a1", "a2", "a3", "both")
	b.proven(second, "b1", "b2", "both")
	b.equal("proofs to remove", slices.Sorted(slices.Values(b.erase(first).Evidence)), []string{"a1", "a2", "a3"})
	b.Advance(time.Second)
	between := b.now()
	b.Advance(time.Second)
	b.equal("proofs to remove", slices.Sorted(slices.Values(b.erase(second).Evidence)), []string{"b1", "b2", "both"})
	b.equal("noted", slices.Sorted(slices.Values(b.erasedEvidence())), []string{"a1", "a2", "a3", "b1", "b2", "both", "both"})
	later, err := b.Store.ErasedEvidence(b.ctx, evidence.Erased{At: between}, 10)
	b.must(err)
	b.equal("noted later", len(later), 3)
}

func erasedProofsAreForgotten(b *bed) {
	y := b.customer("first@example.com")
	b.proven(y, "a1", "a2", "a3")
	b.erase(y)
	b.Advance(364 * day)
	b.prune(job.Retention{})
	b.equal("noted for 364 days", len(b.erasedEvidence()), 3)
	b.Advance(2 * day)
	b.prune(job.Retention{Batch: 2})
	b.equal("noted for 366 days", len(b.erasedEvidence()), 0)
}

func erasedIsNotRedriven(b *bed) {
	y := b.buyer(identity)
	b.erase(y.id)
	l := b.letterOf(y.failed)
	b.unchanged(y.failed, func() {
		_, err := b.Store.RedriveLetters(b.ctx, []job.ID{l.ID}, staff)
		b.fails("redrive its letter", err, job.ErrErased)
		b.fails("redrive its job", b.Store.Redrive(b.ctx, y.failed, staff), job.ErrErased)
	})
	b.equal("fate", b.letterOf(y.failed).Fate, job.FatePurged)

	// Others in the same request are moved.
	other := b.letterOf(b.dead(order(), "timeout"))
	b.equal("moved", b.redriveLetters(l.ID, other.ID), []job.ID{other.ID})
}
