package storetest

import (
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

var linePromises = []promise{
	{name: "TheLineIsTheOrderOfClaims", holds: lineIsTheOrderOfClaims},
	{name: "TheLineLeavesOutWhatNobodyWouldClaim", holds: lineLeavesOut},
	{name: "TheOrderThatPeopleAskAboutIsTold", holds: currentOrder},
	{name: "EventsAreListedOldestFirst", holds: eventsAreListed},
	{name: "HastenEndsAWait", hints: true, holds: hastenEndsAWait},
	{name: "HastenIsForPendingJobs", holds: hastenIsForPending},
	{name: "SubmissionsAreCountedByState", holds: submissionsAreCounted},
	{name: "WhatIsDoneIsCountedForManyOrders", holds: doneIsCountedForMany},
}

func (b *bed) line(of ...string) []job.Place {
	b.Helper()
	line, err := b.Store.Line(b.ctx, of, 100)
	b.must(err)
	return line
}

func idsOf(line []job.Place) []job.ID {
	ids := make([]job.ID, len(line))
	for i, p := range line {
		ids[i] = p.ID
	}
	return ids
}

func lineIsTheOrderOfClaims(b *bed) {
	specs := make([]job.Spec, 8)
	for i := range specs {
		specs[i] = order()
		specs[i].Priority = 1 + (i*3)%4
	}
	ids := b.enqueue(specs...)
	b.Advance(time.Second)
	line := b.line(kinds...)
	if !slices.IsSortedFunc(line, job.Place.Compare) {
		b.Errorf("the line is not in the order of Compare: %+v", line)
	}
	b.equal("how many stand in line", len(line), len(ids))
	for _, p := range line {
		j := b.job(p.ID)
		b.equal("place", p, j.Place())
	}
	first, err := b.Store.Line(b.ctx, kinds, 3)
	b.must(err)
	b.equal("a line that is cut", first, line[:3])
	claimed := b.claim(b.worker(), 3)
	taken := make([]job.ID, len(claimed))
	for i, j := range claimed {
		taken[i] = j.ID
	}
	b.equal("who was claimed", newestFirst(taken), newestFirst(idsOf(line[:3])))
	_, err = b.Store.Line(b.ctx, kinds, 0)
	if err == nil {
		b.Error("a limit of zero is taken")
	}
}

func lineLeavesOut(b *bed) {
	paused := order()
	ids := b.enqueue(order(), paused, job.Spec{Kind: job.KindNoop}, job.Spec{Kind: job.KindOrder, Delay: time.Hour, Quota: 1})
	b.equal("orders", len(b.line(job.KindOrder)), 2)
	b.must(b.Store.Pause(b.ctx, job.Scope{Customer: paused.CustomerID}, staff))
	b.equal("orders that are not paused", idsOf(b.line(job.KindOrder)), ids[:1])
	b.must(b.Store.Pause(b.ctx, job.Scope{All: true}, staff))
	b.equal("while all is paused", len(b.line(kinds...)), 0)
	b.equal("of no kind", len(b.line()), 0)
}

func currentOrder(b *bed) {
	customer := job.NewID()
	_, err := b.Store.OrdersOf(b.ctx, customer)
	b.fails("a customer without orders", err, job.ErrNotFound)
	of := func(priority int, delay time.Duration) job.ID {
		b.Helper()
		s := order()
		s.CustomerID, s.Priority, s.Delay = customer, priority, delay
		return b.enqueueOne(s)
	}
	check := func(what string, want job.ID, counts map[job.State]int) {
		b.Helper()
		o, err := b.Store.OrdersOf(b.ctx, customer)
		b.must(err)
		current := b.job(want)
		current.Payload = nil
		b.equal(what, o.Current, current)
		for _, state := range job.States {
			if _, told := counts[state]; !told {
				counts[state] = 0
			}
		}
		b.equal(what+": counts", o.Counts, counts)
	}
	canary := order()
	canary.CustomerID, canary.Canary = customer, true
	b.enqueue(canary, job.Spec{Kind: job.KindRecheck, CustomerID: customer}, order())
	_, err = b.Store.OrdersOf(b.ctx, customer)
	b.fails("a customer without orders of its own", err, job.ErrNotFound)

	later := of(4, 0)
	b.Advance(time.Millisecond)
	check("the only one", later, map[job.State]int{job.Pending: 1})
	urgent := of(1, 0)
	of(1, time.Hour)
	check("the first that claims come to", urgent, map[job.State]int{job.Pending: 3})
	b.Advance(time.Second)
	running := b.claimOne(b.worker())
	b.equal("who runs", running.ID, urgent)
	check("the one that runs", urgent, map[job.State]int{job.Pending: 2, job.InProgress: 1})
	b.complete(running.Lease())
	b.must(b.Store.Cancel(b.ctx, later, staff))
	left, err := b.Store.OrdersOf(b.ctx, customer)
	b.must(err)
	b.must(b.Store.Cancel(b.ctx, left.Current.ID, staff))
	check("the newest", left.Current.ID, map[job.State]int{job.Completed: 1, job.Cancelled: 2})
}

func eventsAreListed(b *bed) {
	from := b.now()
	mine, theirs := order(), order()
	ids := b.enqueue(mine, theirs, mine, theirs)
	b.Advance(time.Second)
	b.must(b.Store.Cancel(b.ctx, ids[0], staff))
	list := func(f job.EventFilter) []job.Event {
		b.Helper()
		events, err := b.Store.Events(b.ctx, f)
		b.must(err)
		return events
	}
	all := list(job.EventFilter{From: from, Limit: 100})
	b.equal("events", len(all), 5)
	b.equal("the last", all[4].Type, job.EventJobCancelled)
	b.equal("the last by its job's history", all[4], b.lastEvent(ids[0], job.EventJobCancelled))
	b.equal("one by one", b.paged(from), all)
	b.equal("after the last", len(list(job.EventFilter{From: all[4].At, After: all[4].ID, Limit: 100})), 0)
	own := list(job.EventFilter{From: from, Customer: mine.CustomerID, Limit: 100})
	b.equal("a customer's", len(own), 3)
	for _, e := range own {
		b.equal("whose", e.CustomerID, mine.CustomerID)
	}
	_, err := b.Store.Events(b.ctx, job.EventFilter{})
	if err == nil {
		b.Error("a limit of zero is taken")
	}
}

// paged lists events one at a time, each after the one before.
func (b *bed) paged(from time.Time) (all []job.Event) {
	b.Helper()
	f := job.EventFilter{From: from, Limit: 1}
	for range 100 {
		events, err := b.Store.Events(b.ctx, f)
		b.must(err)
		if len(events) == 0 {
			return all
		}
		all = append(all, events...)
		f.From, f.After = events[0].At, events[0].ID
	}
	b.Fatal("the events have no end")
	return nil
}

func hastenEndsAWait(b *bed) {
	s := order()
	s.Delay = time.Hour
	id := b.enqueueOne(s)
	due := b.job(id).DueAt
	b.equal("hints that are due", len(b.messages(job.MessageHint)), 0)
	b.equal("claims before", len(b.claim(b.worker(), 1)), 0)
	from := b.now()
	b.must(b.Store.Hasten(b.ctx, id, staff))
	got := b.job(id)
	b.equal("state", got.State, job.Pending)
	b.within("due", got.DueAt, from, b.now())
	e := b.lastEvent(id, job.EventJobHastened)
	b.story(e, job.Event{
		Type: job.EventJobHastened, JobID: id, Actor: staff.Actor, Cause: staff.Reason, From: "pending", To: "pending",
	})
	b.equal("hints that are due", len(b.messages(job.MessageHint)), 1)
	entries, err := b.Store.Journal(b.ctx, job.ID{}, 10)
	b.must(err)
	if len(entries) != 1 || entries[0].Act != job.ActHasten || entries[0].By != staff || entries[0].ValueCents != 14900 {
		b.Errorf("journal %+v", entries)
	}
	b.must(b.Store.Hasten(b.ctx, id, staff)) // due already
	b.equal("events of a wait that is over", len(b.eventsOf(id, job.EventJobHastened)), 1)
	b.equal("due, after all", b.job(id).DueAt.Before(due), true)
	b.equal("who was claimed", b.claimOne(b.worker()).ID, id)
}

func hastenIsForPending(b *bed) {
	j := b.running(order())
	b.unchanged(j.ID, func() { b.fails("a running job", b.Store.Hasten(b.ctx, j.ID, staff), job.ErrState) })
	b.complete(j.Lease())
	b.unchanged(j.ID, func() { b.fails("a completed job", b.Store.Hasten(b.ctx, j.ID, staff), job.ErrState) })
	b.fails("no job", b.Store.Hasten(b.ctx, job.NewID(), staff), job.ErrNotFound)
}

func submissionsAreCounted(b *bed) {
	j, subs := b.planned("who", "alpha", "beta", "gamma")
	b.settle(j.Lease(), subs[0], directory.Outcome{
		State: directory.Skipped, Reason: "paid", Replacement: &directory.Choice{Directory: "delta", Rank: 4},
	})
	counts, err := b.Store.CountSubmissions(b.ctx, j.ID)
	b.must(err)
	slices.SortFunc(counts, func(x, y directory.Count) int { return x.N - y.N })
	b.equal("counts", counts, []directory.Count{{State: directory.Skipped, Replaced: true, N: 1}, {State: directory.Planned, N: 3}})
	counts, err = b.Store.CountSubmissions(b.ctx, job.NewID())
	b.must(err)
	b.equal("counts of no order", len(counts), 0)
}

func doneIsCountedForMany(b *bed) {
	first, subs := b.planned("who", "alpha", "beta", "gamma", "epsilon")
	b.settle(first.Lease(), subs[0], directory.Outcome{
		State: directory.Skipped, Reason: "paid", Replacement: &directory.Choice{Directory: "delta", Rank: 5},
	})
	b.settle(first.Lease(), subs[1], directory.Outcome{State: directory.Skipped, Reason: "no more directories"})
	b.settle(first.Lease(), subs[2], directory.Outcome{State: directory.NeedsAction, Need: directory.NeedCaptcha, Reason: "captcha"})
	second, subs := b.planned("else", "alpha", "beta")
	b.settle(second.Lease(), subs[0], directory.Outcome{State: directory.Skipped, Reason: "paid"})
	unbegun, others := b.planned("third", "alpha")
	b.settle(unbegun.Lease(), others[0], directory.Outcome{State: directory.Planned, Delay: time.Hour, Reason: "daily cap"})
	done, err := b.Store.CountDone(b.ctx, first.ID, second.ID, unbegun.ID, job.NewID())
	b.must(err)
	b.equal("done", done, map[job.ID]int{first.ID: 2, second.ID: 1})
	done, err = b.Store.CountDone(b.ctx, second.ID)
	b.must(err)
	b.equal("done of one", done, map[job.ID]int{second.ID: 1})
	done, err = b.Store.CountDone(b.ctx)
	b.must(err)
	b.equal("done of none", len(done), 0)
}
