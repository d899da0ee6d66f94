package storetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

var orphanPromises = []promise{
	{name: "ALookThatIsNotWellFormedIsRefused", holds: lookIsChecked},
	{name: "AnUnknownOwnerIsRetiredAndItsJobsAreTaken", holds: unknownOwnerIsRetired},
	{name: "WorkThatIdleWorkersLeaveIsFound", holds: unclaimedByIdle},
	{name: "WorkThatNobodyCouldTakeIsFound", holds: unclaimedByNobody},
	{name: "WorkThatWaitsForAReasonIsNoOrphan", holds: claimedInTurn},
	{name: "MessagesThatNobodySendsAreFound", hints: true, holds: unsentIsFound},
	{name: "AHintWithoutItsJobIsDropped", hints: true, holds: hintWithoutJob},
	{name: "ALostHintIsWrittenAgain", hints: true, holds: lostHintIsWrittenAgain},
	{name: "WithoutAQueueNoHintIsMissed", holds: noHintIsMissed},
	{name: "AnIntentThatNobodyAsksAboutBecomesUncertain", holds: undecidedBecomesUncertain},
	{name: "AnIntentThatSomebodyAsksAboutIsLeftAlone", holds: decidedIsLeftAlone},
	{name: "SumsThatDoNotAddUpAreFound", holds: unbalancedIsFound},
}

// late is the patience of the suite.
const late = time.Minute

func (b *bed) find(kind string) []job.Finding {
	b.Helper()
	found, err := b.Store.FindOrphans(b.ctx, kind, late, 100)
	b.must(err)
	return found
}

// findOne looks for the one orphan of a kind there must be.
func (b *bed) findOne(kind string) job.Finding {
	b.Helper()
	found := b.find(kind)
	if len(found) != 1 {
		b.Fatalf("found %+v, want one of kind %s", found, kind)
	}
	if f := found[0]; f.Kind != kind || f.Subject == "" || f.Since.IsZero() || f.Count < 1 || strings.Contains(f.Text(), "%!") {
		b.Errorf("the finding lacks something: %+v: %s", f, f.Text())
	}
	return found[0]
}

func (b *bed) findNone(what, kind string) {
	b.Helper()
	if found := b.find(kind); len(found) > 0 {
		b.Errorf("%s: %+v", what, found)
	}
}

func (b *bed) mend(f job.Finding) int {
	b.Helper()
	n, err := b.Store.MendOrphans(b.ctx, f.Kind, late, []job.Finding{f})
	b.must(err)
	return n
}

// lose deletes a row behind the store's back.
func (b *bed) lose(table string, id job.ID) {
	b.Helper()
	b.equal("rows lost", b.Number(b.TB, "DELETE FROM "+table+" WHERE id = '"+id.String()+"' RETURNING 1"), int64(1))
}

func lookIsChecked(b *bed) {
	for _, c := range []struct {
		kind  string
		after time.Duration
		limit int
	}{{"", 0, 1}, {"lost", 0, 1}, {job.OrphanUnsent, -1, 1}, {job.OrphanUnsent, 0, 0}} {
		_, err := b.Store.FindOrphans(b.ctx, c.kind, c.after, c.limit)
		if invalid := (*job.InvalidError)(nil); !errors.As(err, &invalid) {
			b.Errorf("kind %q, after %s, limit %d: error %v, want an InvalidError", c.kind, c.after, c.limit, err)
		}
	}
	for _, kind := range job.OrphanKinds {
		b.findNone("found in an empty store, "+kind, kind)
		n, err := b.Store.MendOrphans(b.ctx, kind, late, nil)
		b.must(err)
		b.equal("mended of nothing", n, 0)
	}
}

func unknownOwnerIsRetired(b *bed) {
	j, known := b.running(order()), b.running(order())
	b.enqueueOne(job.Spec{Kind: job.KindCanary, Quota: 1, ValueCents: 5000, Canary: true})
	b.equal("claimed", len(b.claim(j.WorkerID, 1)), 1)
	b.findNone("found while the worker is known", job.OrphanOwner)
	b.lose("workers", j.WorkerID)

	f := b.findOne(job.OrphanOwner)
	b.equal("found", []any{f.Subject, f.Cause, f.Count, f.ValueCents, f.JobID, f.WorkerID, f.Since},
		[]any{j.WorkerID.String(), job.NoOwner, int64(2), int64(14900), j.ID, j.WorkerID, j.ClaimedAt})
	b.equal("recovered before it is mended", len(b.recover()), 0)
	b.equal("mended", b.mend(f), 1)
	b.equal("mended a second time", b.mend(f), 0)
	b.findNone("found when it is mended", job.OrphanOwner)

	_, err := b.Store.Beat(b.ctx, j.WorkerID, lease, nil)
	b.fails("beat of a worker that lives after all", err, job.ErrRetired)
	_, err = b.Store.Claim(b.ctx, job.ClaimRequest{Worker: j.WorkerID, Limit: 1, Kinds: kinds})
	b.fails("its claim", err, job.ErrRetired)
	b.equal("told", b.numberOf("events", "type = 'worker.retired' AND cause = 'no_owner'"), int64(1))

	moved := b.recover()
	b.equal("jobs recovered", len(moved), 2)
	for _, r := range moved {
		b.equal("recovered", []any{r.Cause, r.State, r.Crashes, r.WorkerID}, []any{job.NoOwner, job.Pending, 1, j.WorkerID})
	}
	b.equal("cause told", b.lastEvent(j.ID, job.EventJobRecovered).Cause, job.NoOwner)
	b.equal("a known worker's job", b.job(known.ID), known)
	lost, err := b.Store.Complete(b.ctx, j.Lease())
	b.must(err)
	b.equal("completions refused", lost, []job.Lease{j.Lease()})

	w := b.worker()
	gone := job.Finding{Kind: job.OrphanOwner, Subject: w.String(), WorkerID: w}
	b.equal("mended of a worker that is known", b.mend(gone), 0)
	gone.WorkerID = job.NewID()
	gone.Subject = gone.WorkerID.String()
	b.equal("mended of a worker without jobs", b.mend(gone), 0)
}

func unclaimedByIdle(b *bed) {
	urgent, plain := order(), order()
	urgent.Priority, plain.CustomerID = 1, urgent.CustomerID
	w := b.worker()
	first := b.enqueueOne(plain)
	b.Advance(late / 2)
	b.findNone("found before it is late", job.OrphanUnclaimed)
	b.Advance(late/2 + time.Second)
	b.beat(w)
	f := b.findOne(job.OrphanUnclaimed)
	b.equal("found", []any{f.Subject, f.Cause, f.Count, f.ValueCents, f.JobID, f.Mark, f.Since},
		[]any{job.KindOrder, job.UnclaimedIdle, int64(1), int64(14900), first, first.String(), b.job(first).DueAt})
	b.equal("mended", b.mend(f), 0)

	next := b.enqueueOne(urgent)
	b.Advance(late + time.Second)
	b.beat(w)
	g := b.findOne(job.OrphanUnclaimed)
	b.equal("with a second job", []any{g.Count, g.JobID, g.Since}, []any{int64(2), first, f.Since})
	b.equal("the one that a claim would take first", g.Mark, next.String())
	b.claimOne(w)
	b.equal("after a claim another is first", b.findOne(job.OrphanUnclaimed).Mark, first.String())
}

func (b *bed) beat(worker job.ID) {
	b.Helper()
	_, err := b.Store.Beat(b.ctx, worker, lease, nil)
	b.must(err)
}

func unclaimedByNobody(b *bed) {
	b.enqueue(order(), job.Spec{Kind: "poem"})
	w := b.worker()
	b.Advance(lease + late) // and its lease is over
	causes := func() map[string]string {
		b.Helper()
		m := map[string]string{}
		for _, f := range b.find(job.OrphanUnclaimed) {
			m[f.Subject] = f.Cause
		}
		return m
	}
	b.equal("without a live worker", causes(), map[string]string{job.KindOrder: job.UnclaimedNoWorker, "poem": job.UnclaimedNoWorker})
	b.must(b.Store.Retire(b.ctx, w, job.RetiredStopped, job.By{Actor: job.ActorWorker(w)}))
	b.complete(leaseOf(b.claimOne(b.worker())))
	b.equal("without a handler", causes(), map[string]string{"poem": job.UnclaimedNoHandler})
}

func claimedInTurn(b *bed) {
	w := job.NewID()
	row := workerRow(w)
	row.Capacity = 2
	b.must(b.Store.Register(b.ctx, row, lease))
	b.noops(5)
	b.equal("claimed", len(b.claim(w, 2)), 2)
	b.Advance(late + time.Second)
	b.findNone("found while every slot is taken", job.OrphanUnclaimed)
	idle := b.worker()
	b.findOne(job.OrphanUnclaimed)
	b.must(b.Store.Pause(b.ctx, job.Scope{Kind: job.KindNoop}, staff))
	b.findNone("found while paused", job.OrphanUnclaimed)
	b.must(b.Store.Resume(b.ctx, job.Scope{Kind: job.KindNoop}, staff))
	b.equal("claimed", len(b.claim(idle, 3)), 3)
	b.findNone("found when all is claimed", job.OrphanUnclaimed)

	// A quarantined job waits for a worker that runs nothing.
	s := order()
	j, _ := b.orphaned(s)
	b.equal("quarantined", b.crash(j).Quarantined, true)
	b.Advance(time.Hour)
	alone := b.worker()
	b.equal("found with a worker that runs nothing", b.findOne(job.OrphanUnclaimed).Mark, j.ID.String())
	b.noops(1)
	b.equal("claimed", len(b.claim(alone, 1)), 1)
	b.findNone("found while nobody is alone", job.OrphanUnclaimed)
}

func unsentIsFound(b *bed) {
	b.enqueueOne(job.Spec{Kind: job.KindNoop, Delay: 2 * time.Hour})
	b.noops(2)
	b.findNone("found at once", job.OrphanUnsent)
	b.Advance(late + time.Second)
	f := b.findOne(job.OrphanUnsent)
	b.equal("found", []any{f.Subject, f.Cause, f.Count}, []any{job.MessageHint, "not_taken", int64(2)})
	b.equal("mended", b.mend(f), 0)

	take := func() {
		b.Helper()
		taken, err := b.Store.TakeMessages(b.ctx, job.MessageHint, 10, 10*time.Minute)
		b.must(err)
		b.equal("messages taken", len(taken), 2)
	}
	take()
	b.findNone("found when somebody carries them", job.OrphanUnsent)
	for range 2 {
		b.Advance(10 * time.Minute)
		take()
	}
	b.equal("found when they are not accepted", b.findOne(job.OrphanUnsent).Cause, "not_accepted")
}

func hintWithoutJob(b *bed) {
	ids := b.noops(3)
	b.lose("jobs", ids[0])
	b.findNone("found at once", job.OrphanHint)
	b.Advance(late + time.Second)
	f := b.findOne(job.OrphanHint)
	b.equal("found", f.Subject, ids[0].String())
	b.equal("mended", b.mend(f), 1)
	b.equal("mended a second time", b.mend(f), 0)
	f.Subject = ids[1].String()
	b.equal("mended of a hint whose job is there", b.mend(f), 0)
	var left []job.ID
	for _, m := range b.messages(job.MessageHint) {
		left = append(left, b.hintedJob(m))
	}
	slices.SortFunc(left, func(x, y job.ID) int { return slices.Compare(x[:], y[:]) })
	b.equal("hints left", left, ids[1:])
}

func lostHintIsWrittenAgain(b *bed) {
	id := b.enqueueOne(order())
	b.Advance(late + time.Second)
	w := b.worker()
	b.findNone("found while the hint is unsent", job.OrphanUnhinted)
	b.messages(job.MessageHint) // and they are lost on the way
	f := b.findOne(job.OrphanUnhinted)
	b.equal("found", []any{f.Subject, f.JobID, f.ValueCents, f.Since}, []any{id.String(), id, int64(14900), b.job(id).DueAt})
	b.equal("mended", b.mend(f), 1)
	b.equal("mended a second time", b.mend(f), 0)
	b.findNone("found when it is mended", job.OrphanUnhinted)
	hints := b.messages(job.MessageHint)
	if len(hints) != 1 || b.hintedJob(hints[0]) != id {
		b.Errorf("%d hints, want one of the job", len(hints))
	}
	b.must(b.Store.Pause(b.ctx, job.Scope{All: true}, staff))
	b.findNone("found while paused", job.OrphanUnhinted)
	b.must(b.Store.Resume(b.ctx, job.Scope{All: true}, staff))
	b.must(b.Store.Retire(b.ctx, w, job.RetiredStopped, staff))
	b.findNone("found while nobody is idle", job.OrphanUnhinted)
	b.claimOne(b.worker())
	b.equal("mended of a job that runs", b.mend(f), 0)
}

func noHintIsMissed(b *bed) {
	b.enqueueOne(order())
	b.worker()
	b.Advance(late + time.Second)
	b.findNone("found", job.OrphanUnhinted)
	b.findOne(job.OrphanUnclaimed)
}

func undecidedBecomesUncertain(b *bed) {
	j, subs := b.planned(identity, "alpha", "beta")
	sub := b.intend(j.Lease(), subs[0])
	b.must(b.Store.Cancel(b.ctx, j.ID, staff))
	b.Advance(budget + late/2)
	b.findNone("found before the post had time to show", job.OrphanUndecided)
	b.Advance(late)
	f := b.findOne(job.OrphanUndecided)
	b.equal("found", []any{f.Subject, f.Cause, f.OrderID, f.JobID, f.CustomerID, f.Directory, f.ValueCents, f.Since},
		[]any{sub.ID.String(), "cancelled", j.ID, j.ID, j.CustomerID, "alpha", int64(7450), sub.EffectDeadline})
	b.equal("mended", b.mend(f), 1)
	b.equal("mended a second time", b.mend(f), 0)
	b.findNone("found when it is mended", job.OrphanUndecided)
	got := b.submission(sub)
	b.equal("state, class", []any{got.State, got.Class}, []any{directory.Uncertain, directory.ClassInDoubt})
	if !strings.Contains(got.Reason, "nobody asks") {
		b.Errorf("reason %q", got.Reason)
	}
	b.equal("the other", b.submission(subs[1]), subs[1])
	e := b.lastEvent(j.ID, job.EventSubmissionUncertain)
	b.story(e, job.Event{
		Type: job.EventSubmissionUncertain, JobID: j.ID,
		Fence: j.Fence, Actor: job.ActorSystem, From: "submitting", To: "uncertain", Cause: got.Reason,
	})

	// A recheck may still find it, and nobody else may post it.
	other, theirs := b.planned(identity, "alpha")
	_, err := b.Store.Intend(b.ctx, other.Lease(), theirs[0].ID, budget)
	b.fails("a second intent", err, directory.ErrTaken)
	b.must(b.Store.Observe(b.ctx, other.Lease(), sub.ID, outcome(directory.Live)))

	// An order that retention forgot, or somebody deleted.
	k, lost := b.planned("another", "gamma")
	b.intend(k.Lease(), lost[0])
	b.lose("jobs", k.ID)
	b.Advance(budget + late + time.Second)
	f = b.findOne(job.OrphanUndecided)
	b.equal("found", []any{f.Cause, f.Directory, f.ValueCents}, []any{"gone", "gamma", int64(0)})
	b.equal("mended", b.mend(f), 1)
	b.equal("told of the order", b.numberOf("events", "type = 'submission.uncertain' AND order_id = '%s'", k.ID), int64(1))
}

func decidedIsLeftAlone(b *bed) {
	j, subs := b.planned(identity, "alpha")
	b.intend(j.Lease(), subs[0])
	b.Advance(budget + late + time.Second)
	b.findNone("found while the order runs", job.OrphanUndecided)
	b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	f := b.findOne(job.OrphanUndecided)
	b.equal("cause", f.Cause, "failed")

	// Redriven meanwhile: its next attempt will ask.
	b.must(b.Store.Redrive(b.ctx, j.ID, staff))
	b.equal("mended of an order that runs again", b.mend(f), 0)
	b.findNone("found when it is redriven", job.OrphanUndecided)
	b.intact(subs[0], func() { b.equal("mended", b.mend(f), 0) })
	again := b.claimOne(b.worker())
	b.settle(again.Lease(), subs[0], outcome(directory.Submitted))
}

func unbalancedIsFound(b *bed) {
	good, subs := b.planned(identity, "alpha", "beta", "gamma")
	b.settle(good.Lease(), subs[0], directory.Outcome{
		State: directory.FailedState, Class: directory.ClassPermanent, Reason: "no", Replacement: &directory.Choice{Directory: "delta", Rank: 4},
	})
	short := b.running(order())
	b.plan(short.Lease(), directory.Plan{Choices: choices("alpha"), Shortfall: 49, Identity: "short"})
	b.running(order()) // not planned yet
	look := func() []job.Finding {
		b.Helper()
		found, err := b.Store.FindOrphans(b.ctx, job.OrphanUnbalanced, time.Hour, 100)
		b.must(err)
		return found
	}
	b.equal("found while all add up", len(look()), 0)

	b.lose("submissions", subs[1].ID)
	found := look()
	if len(found) != 1 {
		b.Fatalf("found %+v, want the order that lost a directory", found)
	}
	f := found[0]
	b.equal("found", []any{f.Subject, f.JobID, f.OrderID, f.CustomerID, f.ValueCents, f.Cause},
		[]any{good.ID.String(), good.ID, good.ID, good.CustomerID, int64(14900), "quota 3, submissions 3, replaced 1, shortfall 0"})
	b.equal("mended", b.mend(f), 0)

	// What was noted is looked at for as long as it is wrong.
	_, err := b.Store.NoteFindings(b.ctx, job.Look{Kind: job.OrphanUnbalanced, Found: found, Event: job.EventOrphanFound, Alert: job.AlertOrphans})
	b.must(err)
	b.Advance(2 * time.Hour)
	b.equal("found long after", len(look()), 1)

	unplanned := b.running(order())
	b.complete(unplanned.Lease())
	if found := look(); len(found) != 2 || found[1].JobID != unplanned.ID {
		b.Errorf("found %+v, want also the order that was completed without a plan", found)
	}
}
