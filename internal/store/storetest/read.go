package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var readPromises = []promise{
	{name: "CountsHaveEveryStateWithoutCanaries", holds: countsEveryState},
	{name: "JobsAreFilteredNewestFirst", holds: jobsAreFiltered},
	{name: "PagesNeitherLoseNorRepeatWhileRowsChange", holds: jobsPageByKeyset},
	{name: "StandingsTellStateAndWhetherTheTimeHasCome", holds: standingsTell},
	{name: "HistoryTellsTheWholeStoryInOrder", holds: historyTellsAll},
	{name: "HistoryShowsWhatTheRowRecords", holds: historyShowsTheRow},
	{name: "TheClockIsOneForAllHandles", holds: clockIsOne},
	{name: "WhatWasCommittedIsThereForAnotherHandle", holds: otherHandleSees},
	{name: "StaleTellsWhatRecoveryWouldTakeAndWhy", holds: staleTells},
	{name: "AheadCountsWhatClaimsTakeFirst", holds: aheadCounts},
	{name: "LoadTellsWhatWaitsWhatRunsAndWhatDiedToday", holds: loadTells},
}

func countsEveryState(b *bed) {
	zero := map[job.State]int64{}
	for _, s := range job.States {
		zero[s] = 0
	}
	b.equal("counts of an empty store", b.counts(), zero)

	b.noops(6)
	w := b.worker()
	jobs := b.claim(w, 5)
	b.complete(jobs[0].Lease(), jobs[1].Lease())
	b.fail(jobs[2].Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	b.must(b.Store.Cancel(b.ctx, jobs[3].ID, staff))
	want := map[job.State]int64{job.Pending: 1, job.InProgress: 1, job.Completed: 2, job.Failed: 1, job.Cancelled: 1}
	b.equal("counts", b.counts(), want)
	b.enqueue(job.Spec{Kind: job.KindCanary, Canary: true}, job.Spec{Kind: job.KindOrder, Canary: true, Quota: 1})
	b.equal("counts beside canaries", b.counts(), want)
}

// list pages through a filter until a page is short.
func (b *bed) list(f job.Filter, between func()) []job.ID {
	b.Helper()
	var ids []job.ID
	for range 1000 {
		page, err := b.Store.Jobs(b.ctx, f)
		b.must(err)
		for _, j := range page {
			ids = append(ids, j.ID)
		}
		if len(page) < f.Limit {
			return ids
		}
		f.Before = page[len(page)-1].ID
		between()
	}
	b.Fatal("paging never came to an end")
	return nil
}

func newestFirst(ids []job.ID) []job.ID {
	return slices.SortedFunc(slices.Values(ids), func(x, y job.ID) int { return slices.Compare(y[:], x[:]) })
}

func jobsAreFiltered(b *bed) {
	ann, bob := order(), order()
	ids := b.enqueue(ann, bob, ann, job.Spec{Kind: job.KindNoop}, job.Spec{Kind: job.KindCanary, Canary: true})
	b.must(b.Store.Cancel(b.ctx, ids[0], staff))
	for _, c := range []struct {
		what string
		f    job.Filter
		want []job.ID
	}{
		{"all but canaries", job.Filter{}, ids[:4]},
		{"canaries too", job.Filter{Canaries: true}, ids},
		{"pending", job.Filter{State: job.Pending}, ids[1:4]},
		{"a kind", job.Filter{Kind: job.KindNoop}, ids[3:4]},
		{"a customer", job.Filter{Customer: ann.CustomerID}, []job.ID{ids[0], ids[2]}},
		{"a customer's cancelled orders", job.Filter{Customer: ann.CustomerID, State: job.Cancelled, Kind: job.KindOrder}, ids[:1]},
		{"failed", job.Filter{State: job.Failed}, nil},
		{"before the newest order of four", job.Filter{Before: newestFirst(ids[:4])[0]}, newestFirst(ids[:4])[1:]},
	} {
		jobs, err := b.Store.Jobs(b.ctx, c.f)
		b.must(err)
		var got []job.ID
		for _, j := range jobs {
			got = append(got, j.ID)
			b.equal("the job listed is the row", j, b.job(j.ID))
		}
		b.equal(c.what, got, newestFirst(c.want))
	}

	b.noops(60)
	jobs, err := b.Store.Jobs(b.ctx, job.Filter{})
	b.must(err)
	b.equal("jobs listed without a limit", len(jobs), 50)
	b.noops(1000)
	jobs, err = b.Store.Jobs(b.ctx, job.Filter{Limit: 5000})
	if len(jobs) > 1000 {
		b.Errorf("a limit of 5000 gave %d jobs (error %v), want at most 1000", len(jobs), err)
	}
}

func jobsPageByKeyset(b *bed) {
	old := b.noops(60)
	w := b.worker()
	got := b.list(job.Filter{Limit: 7}, func() {
		b.noops(3)
		for _, j := range b.claim(w, 4) {
			b.complete(j.Lease())
		}
	})
	b.equal("every job there was when paging began, once", got, newestFirst(old))

	seen := map[job.ID]int{}
	for _, id := range b.list(job.Filter{Limit: 5, State: job.Pending}, func() { b.complete(leaseOf(b.claimOne(w))) }) {
		if seen[id]++; seen[id] > 1 {
			b.Errorf("job %s was listed twice", id)
		}
	}
}

func historyTellsAll(b *bed) {
	s := order()
	s.MaxAttempts = 2
	id := b.enqueueOne(s)
	var owners []job.ID
	run := func() job.Lease {
		b.Helper()
		b.Advance(time.Second)
		j := b.claimOne(b.worker())
		owners = append(owners, j.WorkerID)
		b.Advance(time.Second)
		return j.Lease()
	}
	b.fail(run(), job.Failure{Cause: "no 1", Class: job.ClassTransient})
	b.must(b.Store.Snooze(b.ctx, run(), 0, "cap"))
	b.must(batchError(b.Store.Release(b.ctx, "drain", run())))
	l := run()
	b.must(b.Store.Retire(b.ctx, l.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}))
	b.recover()
	b.fail(run(), job.Failure{Cause: "no 2", Class: job.ClassTransient})
	b.Advance(time.Second)
	b.must(b.Store.Redrive(b.ctx, id, staff))
	b.complete(run())

	history := b.history(id)
	type line [6]string // type, actor, from, to, cause, fence
	var got []line
	var last time.Time
	claims := 0
	for _, e := range history {
		if e.At.Before(last) {
			b.Errorf("%s of %s comes after %s", e.Type, e.At, last)
		}
		last = e.At
		b.equal("job of the event", e.JobID, id)
		switch e.Type {
		case job.EventJobClaimed:
			claims++
			b.equal("claim", []string{e.Actor, e.From, e.To}, []string{job.ActorWorker(e.WorkerID), "pending", "in_progress"})
		case job.EventWorkerRetired:
		case job.EventJobRedriven, job.EventOrderCreated:
			got = append(got, line{e.Type, e.Actor, e.From, e.To, e.Cause})
		default:
			got = append(got, line{e.Type, e.Actor, e.From, e.To, e.Cause, fmt.Sprint(e.Fence)})
		}
	}
	b.equal("the story, claims apart", got, []line{
		{job.EventOrderCreated, s.Actor, "", "pending", ""},
		{job.EventJobRetried, job.ActorWorker(owners[0]), "in_progress", "pending", "no 1", "1"},
		{job.EventJobSnoozed, job.ActorWorker(owners[1]), "in_progress", "pending", "cap", "2"},
		{job.EventJobReleased, job.ActorWorker(owners[2]), "in_progress", "pending", "drain", "3"},
		{job.EventJobRecovered, job.ActorSystem, "in_progress", "pending", job.RetiredLockLost, "4"},
		{job.EventJobFailed, job.ActorWorker(owners[4]), "in_progress", "failed", "no 2", "5"},
		{job.EventJobRedriven, staff.Actor, "failed", "pending", staff.Reason},
		{job.EventJobCompleted, job.ActorWorker(owners[5]), "in_progress", "completed", "", "6"},
	})
	if claims == 0 {
		b.Error("the story has no claim")
	}
}

func historyShowsTheRow(b *bed) {
	s := order()
	id := b.enqueueOne(s)
	types := func() []string {
		b.Helper()
		var t []string
		for _, e := range b.history(id) {
			t = append(t, e.Type)
		}
		return t
	}
	b.equal("history of a pending order", types(), []string{job.EventOrderCreated})
	b.Advance(time.Second)
	j := b.claimOne(b.worker())
	b.equal("history of a running order", types(), []string{job.EventOrderCreated, job.EventJobClaimed})
	b.story(b.lastEvent(id, job.EventJobClaimed), job.Event{
		Type: job.EventJobClaimed, JobID: id, WorkerID: j.WorkerID, Fence: 1,
		Actor: job.ActorWorker(j.WorkerID), From: "pending", To: "in_progress",
	})
	b.Advance(time.Second)
	b.complete(j.Lease())
	b.equal("history of a completed order", types(), []string{job.EventOrderCreated, job.EventJobClaimed, job.EventJobCompleted})
	created := b.history(id)[0]
	b.equal("customer and order of the creation", []job.ID{created.CustomerID, created.OrderID}, []job.ID{s.CustomerID, id})
	b.equal("creation", created.At, b.job(id).CreatedAt)

	// Work of any kind has its story, however little of it is kept as events.
	noop := b.running(job.Spec{Kind: job.KindNoop})
	b.complete(noop.Lease())
	told := b.history(noop.ID)
	if len(told) != 3 {
		b.Fatalf("history of a completed noop has %d lines, want creation, claim and completion", len(told))
	}
	b.story(told[0], job.Event{Type: job.EventJobCreated, JobID: noop.ID, Actor: job.ActorSystem, To: "pending"})
	b.story(told[1], job.Event{
		Type: job.EventJobClaimed, JobID: noop.ID, WorkerID: noop.WorkerID, Fence: 1,
		Actor: job.ActorWorker(noop.WorkerID), From: "pending", To: "in_progress",
	})
	b.story(told[2], job.Event{
		Type: job.EventJobCompleted, JobID: noop.ID, WorkerID: noop.WorkerID, Fence: 1,
		Actor: job.ActorWorker(noop.WorkerID), From: "in_progress", To: "completed",
	})

	// Who placed an order in a trace finds it in the first event.
	traced := order()
	traced.Payload = json.RawMessage(`{"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`)
	var placed struct {
		Trace string `json:"trace_id"`
	}
	if err := json.Unmarshal(b.history(b.enqueueOne(traced))[0].Detail, &placed); err != nil || placed.Trace != "0af7651916cd43dd8448eb211c80319c" {
		b.Errorf("the creation of an order is in the trace %q, error %v", placed.Trace, err)
	}
}

func clockIsOne(b *bed) {
	b.must(b.Store.Ping(b.ctx))
	other := b.second()
	b.must(other.Ping(b.ctx))
	from := b.now()
	b.Advance(time.Hour)
	to := b.now()
	if moved := to.Sub(from); moved < time.Hour || moved > time.Hour+time.Minute {
		b.Errorf("an hour moved the clock by %s", moved)
	}
	there, err := other.Now(b.ctx)
	b.must(err)
	b.within("the clock of the other handle", there, to, b.now())
	b.equal("location", there.Location().String(), "UTC")
}

func otherHandleSees(b *bed) {
	j := b.running(order())
	other := b.second()
	got, err := other.Job(b.ctx, j.ID)
	b.must(err)
	b.equal("the job on another handle", got, j)
	b.must(batchError(other.Complete(b.ctx, j.Lease())))
	b.state(j.ID, job.Completed)
}

// staleTells compares the list with what recovery then does.
func staleTells(b *bed) {
	list := func() []job.StaleJob {
		b.Helper()
		stale, err := b.Store.Stale(b.ctx, stall, 100)
		b.must(err)
		return stale
	}
	hung, retired := b.running(order()), b.running(order())
	b.equal("stale among healthy jobs", len(list()), 0)
	b.must(b.Store.Retire(b.ctx, retired.WorkerID, job.RetiredLockLost, staff))
	b.Advance(stall + time.Second)
	got := list()
	if len(got) != 2 {
		b.Fatalf("%d stale jobs, want 2", len(got))
	}
	w := workerRow(hung.WorkerID)
	b.equal("the one that waits longest", got[0], job.StaleJob{
		ID: hung.ID, Kind: hung.Kind, Detector: job.Progress, Cause: job.NoProgress, Since: hung.ProgressAt,
		Fence: 1, CrashBudget: hung.CrashBudget, ValueCents: hung.ValueCents,
		WorkerID: hung.WorkerID, Host: w.Host, PID: w.PID, BeatAt: got[0].BeatAt, ClaimedAt: hung.ClaimedAt, ProgressAt: hung.ProgressAt,
	})
	b.equal("the other", []any{got[1].ID, got[1].Detector, got[1].Cause}, []any{retired.ID, job.DeathWatch, job.RetiredLockLost})
	first, err := b.Store.Stale(b.ctx, stall, 1)
	b.must(err)
	b.equal("within the limit", first, got[:1])
	b.unchanged(hung.ID, func() { list() })

	b.Advance(lease)
	got = list()
	b.equal("once the lease is over too", []any{got[1].ID, got[1].Detector, got[1].Since}, []any{hung.ID, job.Liveness, b.workerNow(hung.WorkerID).LeaseUntil})
	b.expire(hung.WorkerID)
	causes := map[job.ID]string{}
	for _, s := range list() {
		causes[s.ID] = s.Cause
	}
	for _, r := range b.recover() {
		b.equal("cause of a recovery", r.Cause, causes[r.ID])
		delete(causes, r.ID)
	}
	b.equal("listed and not recovered", len(causes), 0)
	b.equal("stale after recovery", len(list()), 0)
	_, err = b.Store.Stale(b.ctx, 0, 1)
	if invalid := (*job.InvalidError)(nil); !errors.As(err, &invalid) {
		b.Errorf("a threshold of zero: error %v, want an InvalidError", err)
	}
}

func aheadCounts(b *bed) {
	ahead := func(id job.ID, of ...string) int {
		b.Helper()
		n, err := b.Store.Ahead(b.ctx, id, of)
		b.must(err)
		return n
	}
	urgent, paused := order(), order()
	urgent.Priority = 1
	ids := b.enqueue(order(), order(), urgent, paused, job.Spec{Kind: job.KindNoop}, job.Spec{Kind: job.KindNoop, Delay: time.Hour})
	last := b.enqueueOne(job.Spec{Kind: job.KindNoop, Delay: time.Millisecond})
	b.Advance(time.Second)
	b.equal("before the last", ahead(last, kinds...), 5)
	b.equal("before the most urgent", ahead(ids[2], kinds...), 0)
	b.equal("of a kind", ahead(last, job.KindNoop), 1)
	b.equal("of no kind", ahead(last), 0)
	b.must(b.Store.Pause(b.ctx, job.Scope{Customer: paused.CustomerID}, staff))
	b.equal("without the paused", ahead(last, kinds...), 4)
	b.must(b.Store.Pause(b.ctx, job.Scope{Kind: job.KindOrder}, staff))
	b.equal("without a paused kind", ahead(last, kinds...), 1)
}

func standingsTell(b *bed) {
	later := b.enqueueOne(job.Spec{Kind: job.KindNoop, Delay: time.Minute})
	spec := order()
	spec.Priority = 2
	id := b.enqueueOne(spec)
	stands := func(ids ...job.ID) map[job.ID]job.Standing {
		b.Helper()
		got, err := b.Store.Standings(b.ctx, ids...)
		b.must(err)
		told := map[job.ID]job.Standing{}
		for _, s := range got {
			told[s.ID] = s
		}
		b.equal("standings without doubles", len(told), len(got))
		return told
	}
	b.equal("standings of nothing", len(stands()), 0)
	b.equal("standings", stands(later, id, job.NewID(), id), map[job.ID]job.Standing{
		later: {ID: later, State: job.Pending, Priority: job.PriorityLowest},
		id:    {ID: id, State: job.Pending, Due: true, Priority: 2, CustomerID: spec.CustomerID},
	})
	w := b.worker()
	j := b.claimOne(w)
	b.equal("state of a claimed job", stands(id)[id].State, job.InProgress)
	from := b.now()
	b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	failed := stands(id)[id]
	b.equal("state of a failed job", failed.State, job.Failed)
	b.within("finished", failed.FinishedAt, from, b.now())
	b.Advance(time.Minute)
	b.equal("due after its delay", stands(later)[later].Due, true)
}

func (b *bed) load() job.Load {
	b.Helper()
	l, err := b.Store.Load(b.ctx)
	b.must(err)
	return l
}

func loadTells(b *bed) {
	b.Advance(b.now().Truncate(day).Add(day + time.Hour).Sub(b.now())) // well within a day
	empty := b.load()
	b.within("the moment", empty.At, b.now().Add(-time.Minute), b.now())
	b.equal("load of an empty store", empty, job.Load{At: empty.At})

	held := order()
	first := b.noops(6)[0]
	b.Advance(time.Second)
	b.enqueue(job.Spec{Kind: job.KindNoop, Delay: time.Hour}, job.Spec{Kind: job.KindCanary, Canary: true}, held)
	b.must(b.Store.Pause(b.ctx, job.Scope{Customer: held.CustomerID}, staff))
	l := b.load()
	b.equal("waiting: pending, due, oldest", []any{l.Pending, l.Due, l.OldestDue}, []any{int64(8), int64(7), b.job(first).DueAt})

	w := b.worker()
	jobs := b.claim(w, 5)
	b.complete(jobs[0].Lease())
	b.fail(jobs[1].Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	b.fail(jobs[2].Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	b.must(b.Store.Redrive(b.ctx, jobs[2].ID, staff))
	l = b.load()
	canary := int64(0)
	for _, j := range jobs[3:] {
		if j.Canary {
			canary++
		}
	}
	b.equal("running, died today", []int64{l.InProgress, l.FailedToday}, []int64{2 - canary, 2})

	b.Advance(day)
	b.equal("died today, a day later", b.load().FailedToday, int64(0))
	b.equal("the day", b.load().Day(), b.now().Truncate(day))
}
