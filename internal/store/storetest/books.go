package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

var bookPromises = []promise{
	{name: "WhatSomebodyChangedByHandIsFoundAndNamed", holds: changedByHand},
	{name: "PaidOrdersAreWalkedOverPageByPage", holds: paidOrdersAreWalked},
	{name: "TheAccountAddsUp", holds: accountAddsUp},
	{name: "WhatIsInDangerIsAtRisk", holds: atRisk},
	{name: "WhatRecoveryAndRedrivesSavedIsProtected", holds: protected},
	{name: "WorkThatGoesOnNeverLooksUnbalanced", hints: true, holds: workBalances},
}

// judge tells what is wrong with the orders.
func (b *bed) judgeBooks(orders ...job.ID) map[job.ID]string {
	b.Helper()
	found, err := b.Store.JudgeOrders(b.ctx, orders...)
	b.must(err)
	wrong := map[job.ID]string{}
	for _, f := range found {
		if f.Kind != job.OrphanUnbalanced || f.Subject != f.OrderID.String() || f.JobID != f.OrderID || f.Count != 1 || f.Since.IsZero() {
			b.Errorf("the finding lacks something: %+v", f)
		}
		wrong[f.OrderID] = f.Cause
	}
	return wrong
}

// change changes one row behind the store's back.
func (b *bed) change(query string, args ...any) {
	b.Helper()
	b.equal("rows changed", b.Number(b.TB, fmt.Sprintf(query, args...)+" RETURNING 1"), int64(1))
}

// finishedOrder is a completed order of so many directories, all submitted.
func (b *bed) finishedOrder(who string, slugs ...string) job.Job {
	b.Helper()
	j, subs := b.planned(who, slugs...)
	for _, s := range subs {
		b.bring(j.Lease(), s, directory.Submitted)
	}
	b.complete(j.Lease())
	return j
}

func changedByHand(b *bed) {
	var ids []job.ID
	want := map[job.ID]string{}
	spoil := func(id job.ID, cause, query string, args ...any) {
		b.Helper()
		ids = append(ids, id)
		b.equal("wrong before", b.judgeBooks(id), map[job.ID]string{})
		b.change(query, args...)
		want[id] = cause
	}
	healthy := b.finishedOrder("healthy", "alpha")
	ids = append(ids, healthy.ID)
	gone := b.finishedOrder("gone", "alpha")
	spoil(gone.ID, "14900 cents were paid, and there is no such order", "DELETE FROM jobs WHERE id = '%s'", gone.ID)
	unpaid := b.running(order())
	spoil(unpaid.ID, "nothing says that it was paid for", "DELETE FROM events WHERE job_id = '%s' AND type = 'order.created'", unpaid.ID)
	cheap := b.running(order())
	spoil(cheap.ID, "14900 cents were paid, and the order says 1", "UPDATE jobs SET value_cents = 1 WHERE id = '%s'", cheap.ID)
	blank := b.running(order())
	spoil(blank.ID, "no cents were paid, and the order says 14900", "UPDATE events SET detail = '{}' WHERE job_id = '%s' AND type = 'order.created'", blank.ID)
	lost := b.finishedOrder("lost", "alpha", "beta")
	spoil(lost.ID, "quota 2, submissions 1, replaced 0, shortfall 0", "DELETE FROM submissions WHERE order_id = '%s' AND directory = 'beta'", lost.ID)
	open := b.finishedOrder("open", "alpha", "beta")
	spoil(open.ID, "completed, and directories not done: 1", "UPDATE submissions SET state = 'planned' WHERE order_id = '%s' AND directory = 'beta'", open.ID)
	unseen := b.dead(order(), "no")
	spoil(unseen, "failed, and no dead letter tells of it", "DELETE FROM dead_letters WHERE job_id = '%s'", unseen)

	b.equal("wrong", b.judgeBooks(append(ids, job.NewID())...), want)
	found, err := b.Store.FindOrphans(b.ctx, job.OrphanUnbalanced, time.Hour, 100)
	b.must(err)
	b.equal("found among what was touched lately", len(found), len(want))
	few, err := b.Store.FindOrphans(b.ctx, job.OrphanUnbalanced, time.Hour, 2)
	b.must(err)
	b.equal("found of a few", len(few), 2)
	var touched []job.ID
	for last := (job.ID{}); ; last = touched[len(touched)-1] {
		ids, err := b.Store.OrdersTouched(b.ctx, time.Hour, last, 2)
		b.must(err)
		if touched = append(touched, ids...); len(ids) < 2 {
			break
		}
	}
	slices.SortFunc(ids, func(a, c job.ID) int { return slices.Compare(a[:], c[:]) })
	b.equal("touched lately, page by page", touched, ids)
	b.Advance(time.Hour)
	touched, err = b.Store.OrdersTouched(b.ctx, time.Hour, job.ID{}, 100)
	b.must(err)
	b.equal("touched since then", len(touched), 0)
	orphans, err := b.Store.UnpaidOrders(b.ctx, 10)
	b.must(err)
	b.equal("unpaid", orphans, []job.ID{unpaid.ID})
}

func paidOrdersAreWalked(b *bed) {
	var want []job.ID
	for range 7 {
		want = append(want, b.enqueueOne(order()))
	}
	b.noops(3)
	canary := order()
	canary.Canary = true
	want = append(want, b.enqueueOne(canary))
	var got []job.ID
	for last := (job.ID{}); ; {
		ids, err := b.Store.OrdersPaid(b.ctx, last, 3)
		b.must(err)
		if len(ids) == 0 {
			break
		}
		got = append(got, ids...)
		last = ids[len(ids)-1]
	}
	slices.SortFunc(want, func(a, c job.ID) int { return slices.Compare(a[:], c[:]) })
	b.equal("orders walked over", got, want)
}

func (b *bed) account() job.Account {
	b.Helper()
	a, err := b.Store.Account(b.ctx)
	b.must(err)
	return a
}

func accountAddsUp(b *bed) {
	empty := b.account()
	b.equal("an empty store balances", empty.Balanced(), true)

	done, subs := b.planned(identity, "alpha", "beta", "gamma")
	b.settle(done.Lease(), subs[0], directory.Outcome{
		State: directory.FailedState, Class: directory.ClassPermanent, Reason: "no", Replacement: &directory.Choice{Directory: "delta", Rank: 4},
	})
	for _, s := range b.submissions(done.ID)[1:] {
		b.bring(done.Lease(), s, directory.Submitted)
	}
	b.complete(done.Lease())
	short := b.running(order())
	b.plan(short.Lease(), directory.Plan{Choices: choices("alpha"), Shortfall: 49, Identity: "short"})
	b.dead(order(), "no")
	cancelled := b.enqueueOne(order())
	b.must(b.Store.Cancel(b.ctx, cancelled, staff))
	b.enqueueOne(order())
	canary := order()
	canary.Canary = true
	b.enqueue(canary, job.Spec{Kind: job.KindCanary, Canary: true, Quota: 1}, job.Spec{Kind: job.KindNoop, ValueCents: 5})

	a := b.account()
	one := job.Sum{Count: 1, ValueCents: 14900}
	b.equal("paid", a.Paid, job.Sum{Count: 5, ValueCents: 5 * 14900})
	b.equal("orders", a.Orders, map[job.State]job.Sum{job.Pending: one, job.InProgress: one, job.Completed: one, job.Failed: one, job.Cancelled: one})
	b.equal("bought", []int64{a.Bought, a.Unplanned, a.Shortfall, a.Replaced}, []int64{53, 150, 49, 1})
	b.equal("submissions", a.Submissions, map[string]int64{"submitted": 3, "failed": 1, "planned": 1})
	b.equal("balanced", a.Balanced(), true)

	b.Advance(91 * day)
	b.prune(job.Retention{})
	a = b.account()
	b.equal("paid, when some are archived", a.Paid.Count, int64(3))
	b.equal("archived", a.Archived, map[job.State]job.Sum{job.Completed: one, job.Cancelled: one})
	b.equal("balanced still", a.Balanced(), true)

	b.lose("jobs", short.ID)
	a = b.account()
	b.equal("balanced when an order is gone", a.Balanced(), false)
	b.equal("paid and accounted for", []int64{a.Paid.Count, a.Accounted().Count}, []int64{3, 2})
}

func atRisk(b *bed) {
	const stall = 10 * time.Minute
	risk := func() job.Risk {
		b.Helper()
		r, err := b.Store.AtRisk(b.ctx, stall)
		b.must(err)
		return r
	}
	b.equal("at risk in an empty store", risk(), job.Risk{})
	sum := func(n int64) job.Sum { return job.Sum{Count: n, ValueCents: n * 14900} }

	canary := order()
	canary.Canary = true
	b.dead(canary, "no")
	given := b.dead(order(), "no")
	_, err := b.Store.ResolveLetters(b.ctx, []job.ID{b.letterOf(given).ID}, job.FatePurged, staff)
	b.must(err)
	b.dead(order(), "no")
	lost := b.running(order())
	b.must(b.Store.Retire(b.ctx, lost.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	b.enqueueOne(order())
	later := order()
	later.Delay = time.Hour
	b.enqueueOne(later)
	b.equal("at risk", risk(), job.Risk{Stuck: sum(1), Failed: sum(1)})
	b.Advance(stall + time.Second)
	b.equal("at risk, when one is late", risk(), job.Risk{Stuck: sum(1), Failed: sum(1), Late: sum(1)})
	b.recover()
	b.Advance(stall + time.Second)
	b.equal("at risk, when both wait", risk(), job.Risk{Failed: sum(1), Late: sum(2)})
}

func protected(b *bed) {
	from := b.now()
	saved := func(from, to time.Time) job.Protection {
		b.Helper()
		p, err := b.Store.Protected(b.ctx, from, to)
		b.must(err)
		return p
	}
	b.finishedOrder("untroubled", "alpha")
	j, _ := b.orphaned(order())
	b.complete(j.Lease())
	dead := b.dead(order(), "no")
	b.redriveLetters(b.letterOf(dead).ID)
	b.complete(leaseOf(b.claimOne(b.worker())))
	waiting, _ := b.orphaned(order())
	canary := order()
	canary.Canary = true
	k, _ := b.orphaned(canary)
	b.complete(k.Lease())
	b.Advance(time.Second)
	one := job.Sum{Count: 1, ValueCents: 14900}
	want := job.Protection{Recovered: one, Redriven: one}
	b.equal("saved", saved(from, b.now()), want)
	b.equal("saved before", saved(from.Add(-time.Hour), from), job.Protection{})
	b.equal("saved after", saved(b.now(), b.now().Add(time.Hour)), job.Protection{})

	// What retention took counts on.
	b.Advance(100 * day)
	b.complete(leaseOf(b.again(waiting)))
	b.Advance(time.Second)
	b.prune(job.Retention{})
	midnight := from.Truncate(day)
	b.equal("saved then, archived", saved(midnight, midnight.Add(2*day)), want)
	b.equal("saved in all", saved(midnight, b.now()).Total(), job.Sum{Count: 3, ValueCents: 3 * 14900})
}

// again claims a job that was lost once, and whose second worker's lease has run out too.
func (b *bed) again(j job.Job) job.Job {
	b.Helper()
	b.expire(j.WorkerID)
	b.recover()
	b.Advance(time.Hour) // its backoff
	return b.claimQuarantined(b.worker())
}

// workBalances lets workers place, plan, settle, end, lose and redrive orders while
// others look at the books the whole time.
func workBalances(b *bed) {
	const crowd, rounds, lookers = 6, 25, 2
	var working atomic.Int64
	working.Store(crowd)
	var looks atomic.Int64
	b.atOnce(crowd+lookers, func(i int, s Store) {
		if i < crowd {
			defer working.Add(-1)
			r := rand.New(rand.NewPCG(7, uint64(i)))
			for n := range rounds {
				if err := b.workOnce(s, r, fmt.Sprintf("business %d of %d", n, i)); err != nil {
					b.Errorf("worker %d: %v", i, err)
					return
				}
			}
			return
		}
		for working.Load() > 0 {
			found, err := s.FindOrphans(b.ctx, job.OrphanUnbalanced, time.Hour, 100)
			if err != nil || len(found) > 0 {
				b.Errorf("found %+v, error %v, while all is well", found, err)
				return
			}
			if a, err := s.Account(b.ctx); err != nil || !a.Balanced() {
				b.Errorf("the account does not balance: %+v, error %v", a, err)
				return
			}
			looks.Add(1)
		}
	})
	if looks.Load() == 0 {
		b.Error("nobody looked meanwhile")
	}
	a := b.account()
	b.equal("paid", a.Paid.Count, int64(crowd*rounds))
}

// workOnce places an order and brings some order to some end.
func (b *bed) workOnce(s Store, r *rand.Rand, who string) error {
	spec := order()
	spec.Quota = 3
	if _, err := s.Enqueue(b.ctx, spec); err != nil {
		return err
	}
	w := job.NewID()
	if err := s.Register(b.ctx, workerRow(w), lease); err != nil {
		return err
	}
	jobs, err := s.Claim(b.ctx, job.ClaimRequest{Worker: w, Limit: 1, Kinds: kinds})
	if err != nil || len(jobs) == 0 {
		return err
	}
	j := jobs[0]
	subs, err := s.Plan(b.ctx, j.Lease(), directory.Plan{Choices: choices("alpha", "beta"), Shortfall: 1, Identity: who})
	if err != nil {
		return err
	}
	for n, sub := range subs {
		if err := settleOnce(b, s, r, j.Lease(), sub, n); err != nil {
			return err
		}
	}
	return endOnce(b, s, r, j)
}

func settleOnce(b *bed, s Store, r *rand.Rand, l job.Lease, sub directory.Submission, n int) error {
	if sub.State != directory.Planned {
		return nil
	}
	o := outcome(directory.Skipped)
	if r.IntN(2) == 0 {
		if sub, err := s.Intend(b.ctx, l, sub.ID, budget); err != nil || sub.State != directory.Submitting {
			return err
		}
		o = outcome(directory.Submitted)
	} else if r.IntN(2) == 0 {
		o.Replacement = &directory.Choice{Directory: fmt.Sprintf("other-%d", r.IntN(1<<30)), Rank: 10 + n}
	}
	return s.Settle(b.ctx, l, sub.ID, o)
}

func endOnce(b *bed, s Store, r *rand.Rand, j job.Job) error {
	switch r.IntN(4) {
	case 0:
		_, err := s.Fail(b.ctx, j.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
		if err != nil {
			return err
		}
		return s.Redrive(b.ctx, j.ID, staff)
	case 1:
		if err := s.Retire(b.ctx, j.WorkerID, job.RetiredLockLost, staff); err != nil {
			return err
		}
		_, err := s.Recover(b.ctx, 10)
		return err
	case 2:
		return s.Cancel(b.ctx, j.ID, staff)
	}
	subs, err := s.Submissions(b.ctx, j.ID)
	if err != nil {
		return err
	}
	for _, sub := range subs { // replacements
		if sub.State == directory.Planned {
			if err := s.Settle(b.ctx, j.Lease(), sub.ID, outcome(directory.Skipped)); err != nil {
				return err
			}
		}
	}
	if slices.ContainsFunc(subs, func(sub directory.Submission) bool { return sub.State == directory.Submitting }) {
		return s.Snooze(b.ctx, j.Lease(), 0, "a look at the directory")
	}
	_, err = s.Complete(b.ctx, j.Lease())
	if errors.Is(err, job.ErrLeaseLost) {
		return nil
	}
	return err
}
