package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var letterPromises = []promise{
	{name: "EveryDeathLeavesOneLetter", holds: deathsLeaveLetters},
	{name: "LettersAreFoundByFilterPageByPage", holds: lettersAreFound},
	{name: "ALetterCountsTheDirectoriesOfItsOrder", holds: letterCountsDirectories},
	{name: "RedriveDecidesOnceForManyCallers", hints: true, holds: redriveDecidesOnce},
	{name: "ARedrivenLetterMeetsItsFate", holds: lettersMeetTheirFate},
	{name: "OutcomesTellFailuresSinceTheRedrive", holds: outcomesAreTold},
	{name: "PurgeLeavesATombstone", holds: purgeLeavesTombstone},
	{name: "AGroupIsToldClosedOnce", holds: groupsClose},
	{name: "SignaturesOfAnEarlierVersionAreTidied", holds: signaturesAreTidied},
	{name: "TheJournalIsKept", holds: journalIsKept},
	{name: "ThousandsOfLettersAtOnce", hints: true, holds: thousandsOfLetters},
	{name: "OpenLettersAreNeverForgotten", holds: openLettersStay},
}

// dead lets a fresh job fail for good.
func (b *bed) dead(s job.Spec, cause string) job.ID {
	b.Helper()
	j := b.running(s)
	b.equal("state", b.fail(j.Lease(), job.Failure{Cause: cause, Class: job.ClassPermanent, Permanent: true}), job.Failed)
	return j.ID
}

func (b *bed) letters(f job.LetterFilter) []job.Letter {
	b.Helper()
	l, err := b.Store.Letters(b.ctx, f)
	b.must(err)
	return l
}

// letterOf is the latest letter of a job.
func (b *bed) letterOf(id job.ID) job.Letter {
	b.Helper()
	l, err := b.Store.Letter(b.ctx, id)
	b.must(err)
	return l
}

func (b *bed) depth() job.LetterDepth {
	b.Helper()
	d, err := b.Store.LetterDepth(b.ctx)
	b.must(err)
	return d
}

func (b *bed) redriveLetters(ids ...job.ID) []job.ID {
	b.Helper()
	moved, err := b.Store.RedriveLetters(b.ctx, ids, staff)
	b.must(err)
	return moved
}

func (b *bed) settleLetters() {
	b.Helper()
	b.must(errorOf(b.Store.SettleLetters(b.ctx)))
}

func (b *bed) fate(id job.ID, want job.Fate) {
	b.Helper()
	l, err := b.Store.Letter(b.ctx, id)
	b.must(err)
	if l.Fate != want {
		b.Errorf("fate is %q, want %q", l.Fate, want)
	}
	if final := l.Fate != "" && l.Fate != job.FateRedriven; l.ResolvedAt.IsZero() == final {
		b.Errorf("a letter with the fate %q is resolved at %s", l.Fate, l.ResolvedAt)
	}
}

func deathsLeaveLetters(b *bed) {
	from := b.now()
	check := func(id job.ID, class, cause string, attempts, redrives int) {
		b.Helper()
		j, l := b.job(id), b.letterOf(id)
		want := job.Letter{
			ID: l.ID, JobID: id, Kind: j.Kind, CustomerID: j.CustomerID, ValueCents: j.ValueCents, Canary: j.Canary,
			Cause: cause, Class: class, Signature: job.Signature(class, cause), Attempts: attempts, Redrives: redrives, At: j.FinishedAt,
		}
		b.equal("letter", l, want)
		b.within("when it died", l.At, from, b.now())
		byID, err := b.Store.Letter(b.ctx, l.ID)
		b.must(err)
		b.equal("the letter by its own id", byID, want)
		b.equal("open letters of the job", b.numberOf("dead_letters", "job_id = '%s' AND fate IS NULL", id), int64(1))
	}
	failed := b.dead(order(), "unknown package")
	check(failed, job.ClassPermanent, "unknown package", 1, 0)

	s := order()
	s.MaxAttempts, s.Canary, s.Kind = 2, true, job.KindCanary
	spent := b.enqueueOne(s)
	b.fail(leaseOf(b.claimOne(b.worker())), job.Failure{Cause: "busy", Class: job.ClassTransient})
	b.equal("letters of a job with attempts left", b.numberOf("dead_letters", "job_id = '%s'", spent), int64(0))
	b.fail(leaseOf(b.claimOne(b.worker())), job.Failure{Cause: "busy", Class: job.ClassTransient})
	check(spent, job.ClassTransient, "busy", 2, 0)

	s = order()
	s.CrashBudget = 1
	crashed := b.running(s)
	b.crash(crashed)
	check(crashed.ID, job.ClassCrash, "the worker was lost: lock_lost", 1, 0)

	hung := b.running(s)
	b.Advance(lease / 2)
	b.must(errorOf(b.Store.RecoverStalled(b.ctx, lease/4, 10)))
	check(hung.ID, job.ClassCrash, "the handler made no progress", 1, 0)

	// A job that was redriven and dies again has another letter; the first stays.
	b.must(b.Store.Redrive(b.ctx, failed, staff))
	first := b.letterOf(failed)
	b.equal("fate of the first", first.Fate, job.FateRedriven)
	b.fail(leaseOf(b.claimOne(b.worker())), job.Failure{Cause: "again", Class: job.ClassPermanent, Permanent: true})
	check(failed, job.ClassPermanent, "again", 1, 1)
	all := b.letters(job.LetterFilter{Job: failed, Decided: true})
	if len(all) != 2 || all[1].ID != first.ID {
		b.Errorf("letters of the job: %+v, want the new one and the first", all)
	}
	d := b.depth()
	b.equal("depth", []int64{d.Open, d.Canaries, d.InFlight, d.ValueCents, d.Customers}, []int64{3, 1, 1, 3 * 14900, 2})
	b.fails("a letter nobody has", errorOf(b.Store.Letter(b.ctx, job.NewID())), job.ErrNotFound)
}

func lettersAreFound(b *bed) {
	customer := job.NewID()
	s := order()
	s.CustomerID = customer
	var ids []job.ID // of jobs, oldest first
	for range 3 {
		ids = append(ids, b.dead(s, "timeout after 30 s"))
	}
	b.Advance(time.Minute)
	middle := b.now()
	s.CustomerID = job.NewID()
	other := b.dead(s, "unknown package")
	s.Kind, s.Canary = job.KindCanary, true
	canary := b.dead(s, "unknown package")
	b.dead(job.Spec{Kind: job.KindNoop}, "timeout after 31 s")
	timeout := job.Signature(job.ClassPermanent, "timeout after 30 s")

	jobsOf := func(f job.LetterFilter) []job.ID {
		b.Helper()
		var got []job.ID
		for _, l := range b.letters(f) {
			got = append(got, l.JobID)
		}
		slices.Reverse(got)
		return got
	}
	b.equal("open letters", len(jobsOf(job.LetterFilter{})), 5)
	b.equal("with canaries", len(jobsOf(job.LetterFilter{Canaries: true})), 6)
	b.equal("by signature", len(jobsOf(job.LetterFilter{Signature: timeout})), 4)
	b.equal("by customer", jobsOf(job.LetterFilter{Customer: customer}), ids)
	b.equal("by kind", len(jobsOf(job.LetterFilter{Kind: job.KindOrder})), 4)
	b.equal("by job", jobsOf(job.LetterFilter{Job: canary, Canaries: true}), []job.ID{canary})
	b.equal("until", jobsOf(job.LetterFilter{Until: middle}), ids)
	b.equal("since", jobsOf(job.LetterFilter{Since: middle, Kind: job.KindOrder}), []job.ID{other})
	b.must(b.Store.Redrive(b.ctx, other, staff))
	b.equal("redriven ones are decided", len(jobsOf(job.LetterFilter{})), 4)
	b.equal("decided ones too", len(jobsOf(job.LetterFilter{Decided: true})), 5)
	b.fail(leaseOf(b.claimOne(b.worker())), job.Failure{Cause: "unknown package", Class: job.ClassPermanent, Permanent: true})
	b.equal("below one redrive", len(jobsOf(job.LetterFilter{RedrivesBelow: 1})), 4)

	var paged []job.ID
	f := job.LetterFilter{Limit: 2}
	for {
		page := b.letters(f)
		for _, l := range page {
			paged = append(paged, l.ID)
			f.Before = l.ID
		}
		if len(page) < f.Limit {
			break
		}
	}
	b.equal("pages", len(paged), 5)
	b.equal("no letter twice", len(slices.Compact(slices.SortedFunc(slices.Values(paged), func(x, y job.ID) int { return bytes.Compare(x[:], y[:]) }))), 5)

	groups, err := b.Store.LetterGroups(b.ctx, job.LetterFilter{})
	b.must(err)
	if len(groups) != 2 {
		b.Fatalf("groups: %+v, want 2", groups)
	}
	g := groups[0]
	b.equal("largest group", []any{g.Signature, g.Group, g.Count, g.ValueCents, g.Customers}, []any{timeout, job.GroupID(timeout), int64(4), int64(3 * 14900), int64(1)})
	b.equal("its oldest and newest", []bool{g.Oldest.Before(middle), g.Newest.Before(middle)}, []bool{true, false})
	b.equal("an example", groups[1].JobID, other)
}

func letterCountsDirectories(b *bed) {
	j, subs := b.planned("acme", "alpha", "beta", "gamma")
	b.bring(j.Lease(), subs[0], directory.Submitted)
	b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	l := b.letterOf(j.ID)
	b.equal("directories done and left", []int{l.Done, l.Left}, []int{1, 2})
	listed := b.letters(job.LetterFilter{Job: j.ID})
	b.equal("in the list", []int{listed[0].Done, listed[0].Left}, []int{1, 2})
}

func redriveDecidesOnce(b *bed) {
	const n = 6
	var letters []job.ID
	for i := range n {
		letters = append(letters, b.letterOf(b.dead(order(), fmt.Sprint("no ", i))).ID)
	}
	b.messages(job.MessageAlert)
	b.messages(job.MessageHint)
	var mu sync.Mutex
	var moved []job.ID
	b.atOnce(6, func(i int, s Store) {
		mine := slices.Clone(letters)
		if i%2 == 1 {
			slices.Reverse(mine)
		}
		got, err := s.RedriveLetters(b.ctx, mine, staff)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("redrive: %v", err)
		}
		moved = append(moved, got...)
	})
	b.equal("letters moved by all callers", len(moved), n)
	b.equal("pending", b.counts()[job.Pending], int64(n))
	b.equal("hints", len(b.messages(job.MessageHint)), n)
	b.equal("what the journal counts", b.Number(b.TB, "SELECT CAST(sum(count) AS bigint) FROM journal"), int64(n))
	for _, id := range letters {
		l, err := b.Store.Letter(b.ctx, id)
		b.must(err)
		b.equal("who and why", l.By, staff)
		b.equal("redrives of the job", b.job(l.JobID).Redrives, 1)
		e := b.lastEvent(l.JobID, job.EventJobRedriven)
		b.equal("who and why in the history", []string{e.Actor, e.Cause}, []string{staff.Actor, staff.Reason})
		var d struct {
			LetterID job.ID `json:"letter_id"`
		}
		b.must(json.Unmarshal(e.Detail, &d))
		b.equal("letter in the history", d.LetterID, id)
	}
	b.equal("a second redrive moves", len(b.redriveLetters(letters...)), 0)
	b.equal("a redrive of nothing", len(b.redriveLetters()), 0)
	b.equal("a redrive of no letter", len(b.redriveLetters(job.NewID())), 0)
}

func lettersMeetTheirFate(b *bed) {
	done, again, cancelled, running := b.dead(order(), "one"), b.dead(order(), "two"), b.dead(order(), "three"), b.dead(order(), "four")
	letters := map[job.ID]job.ID{}
	for _, id := range []job.ID{done, again, cancelled, running} {
		letters[id] = b.letterOf(id).ID
		b.equal("moved", len(b.redriveLetters(letters[id])), 1)
	}
	b.must(b.Store.Cancel(b.ctx, cancelled, staff))
	for _, j := range b.claim(b.worker(), 10) {
		switch j.ID {
		case done:
			b.complete(j.Lease())
		case again:
			b.fail(j.Lease(), job.Failure{Cause: "two", Class: job.ClassPermanent, Permanent: true})
		}
	}
	b.settleLetters()
	b.fate(letters[done], job.FateDone)
	b.fate(letters[again], job.FateFailedAgain)
	b.fate(letters[cancelled], job.FateCancelled)
	b.fate(letters[running], job.FateRedriven)
	b.fate(again, "") // the new letter is open
	b.equal("in flight", b.depth().InFlight, int64(1))

	// A letter that was redriven twice before anybody settled it.
	b.redriveLetters(b.letterOf(again).ID)
	b.fail(leaseOf(b.claimOne(b.worker())), job.Failure{Cause: "two", Class: job.ClassPermanent, Permanent: true})
	second := b.letters(job.LetterFilter{Job: again, Decided: true})[1].ID
	b.redriveLetters(b.letterOf(again).ID)
	b.settleLetters()
	b.fate(second, job.FateFailedAgain)
	b.fate(again, job.FateRedriven)
}

func outcomesAreTold(b *bed) {
	s := order()
	s.MaxAttempts = 2
	id := b.enqueueOne(s)
	fail := func(cause string) {
		b.Helper()
		b.fail(leaseOf(b.claimOne(b.worker())), job.Failure{Cause: cause, Class: job.ClassTransient})
	}
	fail("one")
	fail("one")
	letter := b.letterOf(id).ID
	b.redriveLetters(letter)
	outcome := func(state job.State, cause string) {
		b.Helper()
		got, err := b.Store.RedriveOutcomes(b.ctx, []job.ID{letter, job.NewID()})
		b.must(err)
		want := job.RedriveOutcome{LetterID: letter, State: state}
		if cause != "" {
			want.Again = job.Signature(job.ClassTransient, cause)
		}
		b.equal("outcomes", got, []job.RedriveOutcome{want})
	}
	outcome(job.Pending, "")
	fail("two")
	outcome(job.Pending, "two")
	fail("three")
	outcome(job.Failed, "three")
	b.redriveLetters(b.letterOf(id).ID)
	outcome(job.Pending, "three")
	b.complete(leaseOf(b.claimOne(b.worker())))
	outcome(job.Completed, "three")
}

func purgeLeavesTombstone(b *bed) {
	id := b.dead(order(), "unknown package")
	l := b.letterOf(id)
	resolved, err := b.Store.ResolveLetters(b.ctx, []job.ID{l.ID}, job.FatePurged, staff)
	b.must(err)
	b.equal("purged", resolved, []job.ID{l.ID})
	resolved, err = b.Store.ResolveLetters(b.ctx, []job.ID{l.ID}, job.FatePurged, staff)
	b.must(err)
	b.equal("purged twice", len(resolved), 0)
	b.fate(l.ID, job.FatePurged)
	b.equal("who and why", b.letterOf(id).By, staff)
	b.equal("open", b.depth().Open, int64(0))
	b.state(id, job.Failed)
	e := b.lastEvent(id, job.EventLetterPurged)
	b.equal("the history", []string{e.Actor, e.Cause, e.To}, []string{staff.Actor, staff.Reason, "purged"})
	if _, err := b.Store.ResolveLetters(b.ctx, []job.ID{l.ID}, job.FateDone, staff); err == nil {
		b.Error("a fate that only the store gives was accepted")
	}

	// A person may think again.
	b.must(b.Store.Redrive(b.ctx, id, staff))
	b.fate(l.ID, job.FateRedriven)
	b.state(id, job.Pending)
}

func signaturesAreTidied(b *bed) {
	tidy := job.Signature(job.ClassPermanent, "refused")
	one, two, three := b.dead(order(), "refused"), b.dead(order(), "refused"), b.dead(order(), "refused")
	b.redriveLetters(b.letterOf(two).ID)
	b.complete(leaseOf(b.claimOne(b.worker())))
	b.settleLetters()
	for _, id := range []job.ID{one, two} {
		b.equal("changed", b.Number(b, "UPDATE dead_letters SET signature = 'permanent: \u202erefused ' WHERE job_id = '"+id.String()+"' RETURNING 1"), int64(1))
	}
	b.equal("its group", b.letterOf(one).Signature != tidy && job.GroupID(b.letterOf(one).Signature) == job.GroupID(tidy), true)
	for _, want := range []int64{2, 0} {
		n, err := b.Store.TidySignatures(b.ctx)
		b.must(err)
		b.equal("tidied", n, want)
	}
	for _, id := range []job.ID{one, two, three} {
		b.equal("signature", b.letterOf(id).Signature, tidy)
	}
	closed, err := b.Store.ClosedGroups(b.ctx)
	b.must(err)
	b.equal("closed while another is open", len(closed), 0)
}

func groupsClose(b *bed) {
	closed := func() []job.ClosedGroup {
		b.Helper()
		g, err := b.Store.ClosedGroups(b.ctx)
		b.must(err)
		return g
	}
	one, two := b.dead(order(), "timeout after 1 s"), b.dead(order(), "timeout after 2 s")
	b.messages(job.MessageAlert)
	b.redriveLetters(b.letterOf(one).ID)
	b.complete(leaseOf(b.claimOne(b.worker())))
	b.settleLetters()
	b.equal("closed while another is open", len(closed()), 0)
	b.must(errorOf(b.Store.ResolveLetters(b.ctx, []job.ID{b.letterOf(two).ID}, job.FatePurged, staff)))
	groups := closed()
	if len(groups) != 1 {
		b.Fatalf("closed groups: %+v, want one", groups)
	}
	g := groups[0]
	b.same("group", g, job.ClosedGroup{
		Signature: job.Signature(job.ClassPermanent, "timeout after 1 s"), ValueCents: 2 * 14900, JobIDs: []job.ID{two, one},
		Fates: []job.FateCount{{Fate: job.FatePurged, Count: 1}, {Fate: job.FateDone, Count: 1}}, Until: g.Until,
	}, cmpopts.SortSlices(func(x, y job.ID) bool { return bytes.Compare(x[:], y[:]) < 0 }))

	n := job.Notice{Key: "letters:closed", Alert: job.AlertDeadLetters, Group: g.Signature, Resolved: true, Text: "2 letters", At: b.now()}
	three := b.dead(order(), "timeout after 3 s")
	told, err := b.Store.CloseGroup(b.ctx, g, n)
	b.must(err)
	b.equal("told while a new one is open", told, false)
	b.redriveLetters(b.letterOf(three).ID)
	b.complete(leaseOf(b.claimOne(b.worker())))
	b.settleLetters()
	b.messages(job.MessageAlert)
	g = closed()[0]
	var mu sync.Mutex
	tellers := 0
	b.atOnce(6, func(_ int, s Store) {
		told, err := s.CloseGroup(b.ctx, g, n)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("close: %v", err)
		}
		if told {
			tellers++
		}
	})
	b.equal("monitors that told", tellers, 1)
	notices := b.messages(job.MessageAlert)
	if len(notices) != 1 {
		b.Fatalf("%d notices, want 1", len(notices))
	}
	var got job.Notice
	b.must(json.Unmarshal(notices[0].Payload, &got))
	n.V, n.Key = 1, ""
	b.equal("notice", got, n)
	b.equal("closed groups left", len(closed()), 0)
}

func journalIsKept(b *bed) {
	one, two := b.dead(order(), "one"), b.dead(order(), "two")
	b.redriveLetters(b.letterOf(one).ID)
	b.must(errorOf(b.Store.ResolveLetters(b.ctx, []job.ID{b.letterOf(two).ID}, job.FatePurged, staff)))
	b.must(b.Store.Cancel(b.ctx, one, staff))
	kind := job.Scope{Kind: job.KindOrder}
	for range 2 {
		b.must(b.Store.Pause(b.ctx, kind, staff))
	}
	b.must(b.Store.Resume(b.ctx, kind, staff))
	j := b.running(order())
	b.must(b.Store.Retire(b.ctx, j.WorkerID, job.RetiredToldToGo, job.By{}))
	b.must(errorOf(b.Store.RecoverJob(b.ctx, j.ID, time.Hour, staff)))
	// What nobody asked for in person is in the history alone.
	b.must(b.Store.Cancel(b.ctx, j.ID, job.By{Reason: "by itself"}))

	entries, err := b.Store.Journal(b.ctx, job.ID{}, 10)
	b.must(err)
	want := []job.JournalEntry{
		{By: staff, Act: job.ActRecover, Count: 1, ValueCents: 14900, JobIDs: []job.ID{j.ID}},
		{By: staff, Act: job.ActResume, Subject: "kind:order", Count: 1, JobIDs: []job.ID{}},
		{By: staff, Act: job.ActPause, Subject: "kind:order", Count: 1, JobIDs: []job.ID{}},
		{By: staff, Act: job.ActCancel, Count: 1, ValueCents: 14900, JobIDs: []job.ID{one}},
		{By: staff, Act: job.ActPurge, Count: 1, ValueCents: 14900, JobIDs: []job.ID{two}},
		{By: staff, Act: job.ActRedrive, Count: 1, ValueCents: 14900, JobIDs: []job.ID{one}},
	}
	b.same("journal", entries, want, cmpopts.IgnoreFields(job.JournalEntry{}, "ID", "At"))
	rest, err := b.Store.Journal(b.ctx, entries[0].ID, 10)
	b.must(err)
	b.equal("the page after the first", len(rest), len(want)-1)
}

// thousandsOfLetters kills 5 000 jobs with one worker and brings all of them back.
func thousandsOfLetters(b *bed) {
	const n = 5000
	b.enqueue(slices.Repeat([]job.Spec{{Kind: job.KindNoop, CrashBudget: 1, ValueCents: 100}}, n)...)
	w := b.worker()
	for claimed := 0; claimed < n; {
		got := len(b.claim(w, 1000))
		if got == 0 {
			b.Fatalf("claimed only %d jobs", claimed)
		}
		claimed += got
	}
	b.expire(w)
	for range 2 * n / 1000 {
		b.must(errorOf(b.Store.Recover(b.ctx, 1000)))
	}
	d := b.depth()
	b.equal("depth and value", []int64{d.Open, d.ValueCents}, []int64{n, 100 * n})
	groups, err := b.Store.LetterGroups(b.ctx, job.LetterFilter{})
	b.must(err)
	b.equal("groups", []any{len(groups), groups[0].Count}, []any{1, int64(n)})
	f := job.LetterFilter{Limit: 1000}
	moved := 0
	for {
		page := b.letters(f)
		if len(page) == 0 {
			break
		}
		ids := make([]job.ID, len(page))
		for i := range page {
			ids[i] = page[i].ID
		}
		moved += len(b.redriveLetters(ids...))
		f.Before = ids[len(ids)-1]
	}
	b.equal("redriven", moved, n)
	b.equal("pending", b.counts()[job.Pending], int64(n))
	b.equal("in flight", b.depth().InFlight, int64(n))
	b.equal("events", b.numberOf("events", "type = 'job.redriven'"), int64(n))
}

func openLettersStay(b *bed) {
	open, purged, flying := b.dead(order(), "open"), b.dead(order(), "purged"), b.dead(order(), "flying")
	b.must(errorOf(b.Store.ResolveLetters(b.ctx, []job.ID{b.letterOf(purged).ID}, job.FatePurged, staff)))
	b.redriveLetters(b.letterOf(flying).ID)
	keep := job.Retention{Finished: 24 * time.Hour, Archive: 30 * 24 * time.Hour}
	b.Advance(40 * 24 * time.Hour)
	b.prune(keep)
	b.equal("letters while nobody was told of the purge", b.numberOf("dead_letters", "1 = 1"), int64(3))
	groups, err := b.Store.ClosedGroups(b.ctx)
	b.must(err)
	for _, g := range groups {
		b.must(errorOf(b.Store.CloseGroup(b.ctx, g, job.Notice{Key: g.Signature, Alert: job.AlertDeadLetters, At: b.now()})))
	}
	b.prune(keep)
	b.equal("letters fresh from the telling", b.numberOf("dead_letters", "1 = 1"), int64(3))
	b.Advance(40 * 24 * time.Hour)
	b.prune(keep)
	b.equal("letters a retention later", b.numberOf("dead_letters", "1 = 1"), int64(2))
	b.fate(open, "")
	b.fate(flying, job.FateRedriven)
	b.state(open, job.Failed)
	b.equal("journal", b.numberOf("journal", "1 = 1"), int64(2))
}

// same is equal but for what the options take out.
func (b *bed) same(what string, got, want any, opts ...cmp.Option) {
	b.Helper()
	if d := cmp.Diff(got, want, opts...); d != "" {
		b.Errorf("%s (-got +want):\n%s", what, d)
	}
}
