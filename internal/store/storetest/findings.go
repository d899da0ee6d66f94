package storetest

import (
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var findingPromises = []promise{
	{name: "AFindingIsToldOnceAndItsEndToo", holds: findingIsToldOnce},
	{name: "AFindingIsToldWhenASecondLookConfirmsIt", holds: findingIsConfirmed},
	{name: "OfManyMonitorsOneTells", holds: findingIsToldByOne},
	{name: "APartialLookMendsNothing", holds: partialLookMendsNothing},
	{name: "EachSubjectCanBeItsOwnGroup", holds: subjectsAreGroups},
	{name: "ANoteThatIsNotWellFormedIsRefused", holds: noteIsChecked},
	{name: "ATurnIsTakenOnceInItsTime", holds: turnIsTakenOnce},
}

// unclaimedLook is a look that found work of these kinds.
func (b *bed) unclaimedLook(kinds ...string) job.Look {
	b.Helper()
	l := job.Look{Kind: job.OrphanUnclaimed, Event: job.EventOrphanFound, Alert: job.AlertOrphans}
	for i, kind := range kinds {
		l.Found = append(l.Found, job.Finding{
			Kind: l.Kind, Subject: kind, Cause: job.UnclaimedIdle, Mark: "m", Since: b.now().Add(time.Duration(i-10) * time.Second).Truncate(time.Microsecond),
			Count: 3, ValueCents: 14900, JobID: job.NewID(),
		})
	}
	return l
}

func (b *bed) note(l job.Look) job.Noted {
	b.Helper()
	n, err := b.Store.NoteFindings(b.ctx, l)
	b.must(err)
	return n
}

// told reports what a look told that is not want: so many findings now, so many gone.
func (b *bed) told(what string, n job.Noted, now, gone int) {
	b.Helper()
	b.equal(what+": told and gone", []int{len(n.Told), len(n.Gone)}, []int{now, gone})
}

// notices takes the unsent notices.
func (b *bed) notices() (all []job.Notice) {
	b.Helper()
	for _, m := range b.messages(job.MessageAlert) {
		n := job.Notice{Key: m.Key}
		b.must(json.Unmarshal(m.Payload, &n))
		if n.V != 1 {
			b.Errorf("notice %s has version %d", m.Payload, n.V)
		}
		all = append(all, n)
	}
	return all
}

func findingIsToldOnce(b *bed) {
	b.told("nothing", b.note(b.unclaimedLook()), 0, 0)
	from := b.now()
	l := b.unclaimedLook("order", "noop")
	l.Severity = "warn"
	l.Found[1].JobID = l.Found[0].JobID // one in the sample of the notice
	n := b.note(l)
	b.told("first sight", n, 2, 0)
	stored, err := b.Store.Findings(b.ctx)
	b.must(err)
	for i, f := range stored {
		b.within("first noted", f.FirstAt, from, b.now())
		b.equal("told when it was noted", f.ToldAt, f.FirstAt)
		stored[i].FirstAt, stored[i].ToldAt = time.Time{}, time.Time{}
	}
	b.equal("what is kept", stored, l.Found)
	notices := b.notices()
	if len(notices) != 1 {
		b.Fatalf("%d notices, want one of the kind", len(notices))
	}
	got := notices[0]
	b.within("when", got.At, from, b.now())
	got.At = time.Time{}
	b.equal("notice", got, job.Notice{
		Key: "orphans:unclaimed", V: 1, Alert: job.AlertOrphans, Group: job.OrphanUnclaimed, Severity: "warn", Count: 6, ValueCents: 29800,
		Text: "3 jobs are due and not taken, of kind order: workers are idle", JobIDs: []job.ID{l.Found[0].JobID},
	})
	var detail struct {
		Subject, Cause, Text string
		Count                int64
		ValueCents           int64 `json:"value_cents"`
		Since                time.Time
	}
	b.equal("events", b.numberOf("events", "type = 'orphan.found' AND cause = 'unclaimed' AND actor = 'system'"), int64(2))
	if id := l.Found[0].JobID; b.numberOf("events", "type = 'orphan.found' AND job_id = '%s'", id) != 2 {
		b.Errorf("the events do not name job %s", id)
	}
	j := b.running(order())
	again := l
	again.Found = append(again.Found, job.Finding{
		Kind: l.Kind, Subject: "recheck", Cause: job.UnclaimedNoWorker, Since: j.CreatedAt, Count: 1, ValueCents: 5, JobID: j.ID,
	})
	b.told("with one more", b.note(again), 1, 0)
	b.must(json.Unmarshal(b.lastEvent(j.ID, job.EventOrphanFound).Detail, &detail))
	b.equal("detail", []any{detail.Subject, detail.Cause, detail.Count, detail.ValueCents, detail.Since, detail.Text},
		[]any{"recheck", job.UnclaimedNoWorker, int64(1), int64(5), j.CreatedAt, again.Found[2].Text()})
	b.equal("notices of one more", len(b.notices()), 1)
	b.told("the same", b.note(again), 0, 0)
	b.equal("notices of the same", len(b.notices()), 0)

	again.Found = again.Found[:2]
	b.told("one less", b.note(again), 0, 1)
	b.equal("notices while some are left", len(b.notices()), 0)
	b.told("none", b.note(b.unclaimedLook()), 0, 2)
	notices = b.notices()
	if len(notices) != 1 || !notices[0].Resolved || notices[0].Group != job.OrphanUnclaimed || notices[0].Alert != job.AlertOrphans {
		b.Errorf("notices at the end: %+v, want one that says it is over", notices)
	}
	b.told("nothing", b.note(b.unclaimedLook()), 0, 0)
	b.told("once more from the start", b.note(l), 2, 0)
}

func findingIsConfirmed(b *bed) {
	l := b.unclaimedLook("order")
	l.Confirm = 10 * time.Second
	b.told("first sight", b.note(l), 0, 0)
	b.told("at once again", b.note(l), 0, 0)
	b.Advance(11 * time.Second)
	l.Found[0].Mark = "other"
	b.told("something else under the same subject", b.note(l), 0, 0)
	b.Advance(11 * time.Second)
	b.told("the same, later", b.note(l), 1, 0)
	l.Found[0].Mark = "third"
	b.told("told already", b.note(l), 0, 0)

	l = b.unclaimedLook("noop")
	l.Confirm = 10 * time.Second
	b.told("another, the first is gone", b.note(l), 0, 1)
	b.notices()
	b.told("gone before it was told", b.note(b.unclaimedLook()), 0, 0)
	b.equal("notices of what was never told", len(b.notices()), 0)
}

func findingIsToldByOne(b *bed) {
	l := b.unclaimedLook("order", "noop", "recheck")
	var told, gone atomic.Int64
	for _, look := range []job.Look{l, b.unclaimedLook()} {
		b.atOnce(8, func(i int, s Store) {
			n, err := s.NoteFindings(b.ctx, look)
			if err != nil {
				b.Errorf("monitor %d: %v", i, err)
			}
			told.Add(int64(len(n.Told)))
			gone.Add(int64(len(n.Gone)))
		})
	}
	b.equal("told and gone", []int64{told.Load(), gone.Load()}, []int64{3, 3})
	b.equal("events", b.numberOf("events", "type = 'orphan.found'"), int64(3))
}

func partialLookMendsNothing(b *bed) {
	b.note(b.unclaimedLook("order", "noop"))
	l := b.unclaimedLook("recheck")
	l.Partial = true
	b.told("a partial look", b.note(l), 1, 0)
	l.Partial = false
	b.told("a whole one", b.note(l), 0, 2)
}

func subjectsAreGroups(b *bed) {
	l := b.unclaimedLook("order", "noop")
	l.Each = true
	b.note(l)
	groups := map[string]int64{}
	for _, n := range b.notices() {
		groups[n.Group] = n.Count
	}
	b.equal("groups", groups, map[string]int64{"order": 3, "noop": 3})
	l.Found = l.Found[:1]
	b.told("one is gone", b.note(l), 0, 1)
	notices := b.notices()
	if len(notices) != 1 || notices[0].Group != "noop" || !notices[0].Resolved {
		b.Errorf("notices %+v, want that noop is over", notices)
	}
}

func noteIsChecked(b *bed) {
	for what, change := range map[string]func(*job.Look){
		"no kind":        func(l *job.Look) { l.Kind = "" },
		"no event":       func(l *job.Look) { l.Event = "" },
		"no alert":       func(l *job.Look) { l.Alert = "" },
		"another kind":   func(l *job.Look) { l.Found[0].Kind = job.OrphanUnsent },
		"counts none":    func(l *job.Look) { l.Found[0].Count = 0 },
		"no time":        func(l *job.Look) { l.Found[0].Since = time.Time{} },
		"twice the same": func(l *job.Look) { l.Found = append(l.Found, l.Found[0]) },
	} {
		l := b.unclaimedLook("order")
		change(&l)
		_, err := b.Store.NoteFindings(b.ctx, l)
		if invalid := (*job.InvalidError)(nil); !errors.As(err, &invalid) {
			b.Errorf("%s: error %v, want an InvalidError", what, err)
		}
	}
	l := b.unclaimedLook("or\x00der\xff")
	b.told("text that no database takes", b.note(l), 1, 0)
}

func turnIsTakenOnce(b *bed) {
	for round := range 3 {
		var taken atomic.Int64
		b.atOnce(8, func(i int, s Store) {
			mine, err := s.TakeTurn(b.ctx, "orphans", time.Minute)
			if err != nil {
				b.Errorf("round %d, caller %d: %v", round, i, err)
			}
			if mine {
				taken.Add(1)
			}
		})
		b.equal("turns taken", taken.Load(), int64(1))
		b.Advance(time.Minute)
	}
	mine, err := b.Store.TakeTurn(b.ctx, "another", time.Hour)
	b.must(err)
	b.equal("a turn at something else", mine, true)
}
