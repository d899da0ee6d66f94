package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var stormPromises = []promise{
	{name: "AFewDeadWorkersAreRetiredAtOnce", holds: fewAreNoStorm},
	{name: "ManyDeadAtOnceAreHeldAndToldOf", holds: stormHolds},
	{name: "WhoFellSilentTogetherIsHeldFromTheFirst", holds: stormOpensWithTheFirst},
	{name: "WhoWasReplacedOnItsHostIsNotCounted", holds: replacedIsNotCounted},
	{name: "AProcessThatDiesAgainAndAgainIsNoStorm", holds: crashLoop},
	{name: "AStormEndsWhenItsTimeIsOver", holds: stormTimeIsOver},
	{name: "AStormEndsAfterOneLeaseOfBeats", holds: stormEndsByBeats},
	{name: "AStormEndsWhenEnoughAreProvedDead", holds: stormEndsByProof},
	{name: "AHostThatBootedAnewProvesDeath", holds: newBootProvesDeath},
	{name: "CallersAtOnceOpenAndCloseOneStorm", holds: stormOpensOnce},
	{name: "APersonIsNotHeld", holds: personIsNotHeld},
}

// brief is a lease shorter than a storm.
const brief = 20 * time.Second

// crew registers n workers with brief leases, on a host each.
func (b *bed) crew(n int) (ids []job.ID) {
	b.Helper()
	for range n {
		ids = append(ids, b.crewOn("host of "+job.NewID().String(), 1)...)
	}
	return ids
}

func (b *bed) crewOn(host string, n int) (ids []job.ID) {
	b.Helper()
	for range n {
		w := workerRow(job.NewID())
		w.Host = host
		b.must(b.Store.Register(b.ctx, w, brief))
		ids = append(ids, w.ID)
	}
	return ids
}

func (b *bed) beats(ids ...job.ID) {
	b.Helper()
	for _, id := range ids {
		_, err := b.Store.Beat(b.ctx, id, brief, nil)
		b.must(err)
	}
}

// judge reports whoever is retired and was not to be, or the other way round.
func (b *bed) judge(want ...job.ID) job.Judgement {
	b.Helper()
	j, err := b.Store.Judge(b.ctx, brief)
	b.must(err)
	var got []job.ID
	for _, w := range j.Retired {
		got = append(got, w.ID)
	}
	less := func(a, b job.ID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(got, less)
	want = slices.Clone(want)
	slices.SortFunc(want, less)
	b.equal("retired", got, want)
	return j
}

// stormOf opens a storm of dead workers beside living ones.
func (b *bed) stormOf(dead, alive int) (gone, living []job.ID, s job.Storm) {
	b.Helper()
	gone = b.crew(dead)
	b.Advance(brief + time.Second)
	living = b.crew(alive)
	j := b.judge()
	if !j.Storm.Open() || !j.Opened {
		b.Fatalf("%d of %d workers are dead and no storm was opened: %+v", dead, dead+alive, j)
	}
	return gone, living, *j.Storm
}

// ended reports a storm that did not end so.
func (b *bed) ended(j job.Judgement, s job.Storm, ending string) {
	b.Helper()
	if j.Storm == nil || j.Storm.ID != s.ID || j.Storm.Open() || j.Storm.Ending != ending {
		b.Fatalf("storm %+v, want %s closed because of %s", j.Storm, s.ID, ending)
	}
	last, err := b.Store.LastStorm(b.ctx)
	b.must(err)
	b.equal("last storm", last, j.Storm)
	b.equal("events", b.numberOf("events", "type = 'storm.closed' AND cause = '%s' AND actor = 'system'", ending), int64(1))
}

func fewAreNoStorm(b *bed) {
	for _, c := range []struct{ dead, alive int }{{1, 0}, {3, 0}, {4, 4}, {5, 5}} {
		b.sub(fmt.Sprintf("%d of %d", c.dead, c.dead+c.alive), func(b *bed) {
			gone := b.crew(c.dead)
			b.Advance(brief + time.Second)
			living := b.crew(c.alive)
			if j := b.judge(gone...); j.Storm != nil {
				b.Errorf("a storm: %+v", j.Storm)
			}
			for _, id := range living {
				b.must(b.Store.Retire(b.ctx, id, job.RetiredStopped, job.By{}))
			}
		})
	}
	last, err := b.Store.LastStorm(b.ctx)
	b.must(err)
	if last != nil {
		b.Errorf("last storm %+v, there was none", last)
	}
}

func stormHolds(b *bed) {
	j := b.running(order())
	b.Advance(lease + time.Second)
	from := b.now()
	_, _, s := b.stormOf(3, 1) // with the owner of the job
	b.equal("workers", []int{s.Dead, s.Owners}, []int{4, 5})
	b.within("opened", s.OpenedAt, from, b.now())
	b.equal("events", b.numberOf("events", "type = 'storm.opened' AND actor = 'system'"), int64(1))
	messages := b.messages(job.MessageAlert)
	if len(messages) != 1 {
		b.Fatalf("%d notices, want 1", len(messages))
	}
	n := b.noticeIn(messages[0])
	n.Text = ""
	b.equal("notice", n, job.Notice{V: 1, Alert: job.AlertStorm, Count: 4, ValueCents: 14900, At: s.OpenedAt})

	b.Advance(job.StormHold - 2*time.Second)
	again := b.judge()
	if again.Opened || again.Storm == nil || again.Storm.ID != s.ID {
		b.Errorf("storm %+v, opened %v; want %s, open since before", again.Storm, again.Opened, s.ID)
	}
	b.equal("jobs recovered", len(b.recover()), 0)
	b.state(j.ID, job.InProgress)
}

func stormOpensWithTheFirst(b *bed) {
	for range 4 {
		b.crew(1)
		b.Advance(2 * time.Second)
	}
	b.crew(1)
	b.Advance(brief - 7*time.Second) // the lease of the first is over, of the others not
	j := b.judge()
	if !j.Storm.Open() || j.Storm.Dead != 5 {
		b.Errorf("storm %+v, want five of five", j.Storm)
	}
}

// replacedIsNotCounted: whoever starts on the host of one that fell silent shows that the
// database, its clock and the way to it are well.
func replacedIsNotCounted(b *bed) {
	gone := b.crewOn("a", 6)
	b.Advance(brief + time.Second)
	alive := b.crewOn("b", 1)
	j := b.judge()
	if !j.Storm.Open() || j.Storm.Dead != 6 {
		b.Fatalf("storm %+v, want six of seven", j.Storm)
	}
	alive = append(alive, b.crewOn("a", 3)...)
	if j := b.judge(); !j.Storm.Open() || j.Storm.CalmAt.IsZero() {
		b.Fatalf("storm %+v, want it calm: three of the six were replaced", j.Storm)
	}
	b.Advance(brief - time.Second)
	b.beats(alive...)
	b.Advance(2 * time.Second)
	b.ended(b.judge(), *j.Storm, job.StormBeats)
	b.judge(gone...)
}

// crashLoop: one process dies after its first beats, again and again.
func crashLoop(b *bed) {
	var gone []job.ID
	for range 6 {
		id := b.crewOn("a", 1)
		b.Advance(time.Second)
		b.beats(id...)
		b.Advance(time.Second)
		gone = append(gone, id...)
	}
	b.Advance(brief)
	if j := b.judge(gone...); j.Storm != nil {
		b.Errorf("storm %+v, want none", j.Storm)
	}
}

func stormTimeIsOver(b *bed) {
	gone, living, s := b.stormOf(4, 1)
	b.messages(job.MessageAlert)
	b.Advance(job.StormHold)
	b.beats(living...)
	b.ended(b.judge(gone...), s, job.StormOver)
	n := b.noticeIn(b.messages(job.MessageAlert)[0])
	if !n.Resolved || n.Alert != job.AlertStorm || n.Cause != job.StormOver {
		b.Errorf("notice %+v, want a storm resolved because its time is over", n)
	}
	if j := b.judge(); j.Storm != nil {
		b.Errorf("a storm that is over goes on: %+v", j.Storm)
	}
}

func stormEndsByBeats(b *bed) {
	gone, living, s := b.stormOf(6, 2)
	b.beats(gone[:3]...) // three of eight are no storm
	j := b.judge()
	if !j.Storm.Open() || j.Storm.CalmAt.IsZero() {
		b.Fatalf("storm %+v, want it open and calm", j.Storm)
	}
	b.Advance(brief / 2)
	b.beats(append(living, gone[2])...)
	b.Advance(brief/2 + time.Second) // two of those that came back are gone again: five of eight
	if j := b.judge(); !j.Storm.Open() || !j.Storm.CalmAt.IsZero() {
		b.Fatalf("storm %+v, want it open and not calm", j.Storm)
	}
	b.beats(append(living, gone...)...)
	b.judge()
	b.Advance(brief - time.Second)
	b.beats(append(living, gone...)...)
	b.Advance(2 * time.Second)
	b.ended(b.judge(), s, job.StormBeats)
	b.equal("retirements", b.numberOf("events", "type = 'worker.retired'"), int64(0))
}

func stormEndsByProof(b *bed) {
	gone, _, s := b.stormOf(6, 1)
	b.must(b.Store.Retire(b.ctx, gone[0], job.RetiredLockLost, job.By{}))
	if j := b.judge(); !j.Storm.Open() {
		b.Fatalf("five of six are silent and the storm is closed: %+v", j.Storm)
	}
	for _, id := range gone[1:4] {
		b.must(b.Store.Retire(b.ctx, id, job.RetiredLockLost, job.By{}))
	}
	b.ended(b.judge(), s, job.StormProof)
	b.judge(gone[4:]...)
}

func newBootProvesDeath(b *bed) {
	register := func(host, boot string) job.ID {
		w := workerRow(job.NewID())
		w.Host, w.Boot = host, boot
		b.must(b.Store.Register(b.ctx, w, brief))
		b.equal("boot", b.workerNow(w.ID).Boot, boot)
		return w.ID
	}
	var rebooted, silent []job.ID
	for range 4 {
		rebooted = append(rebooted, register("a", "a1"))
		silent = append(silent, register("b", "b1"), register("c", ""))
	}
	b.Advance(brief + time.Second)
	register("a", "a2")
	register("b", "b1")
	register("c", "c2")
	j := b.judge(rebooted...)
	if !j.Storm.Open() {
		b.Fatalf("eight are silent, two of them were replaced, three live, and there is no storm: %+v", j.Storm)
	}
	b.equal("dead", j.Storm.Dead, len(silent)-2)
}

func stormOpensOnce(b *bed) {
	b.crew(5)
	b.Advance(brief + time.Second)
	judge := func() {
		b.atOnce(8, func(_ int, s Store) {
			if _, err := s.Judge(b.ctx, brief); err != nil {
				b.Error(err)
			}
		})
	}
	judge()
	b.equal("storms", b.numberOf("storms", "closed_at IS NULL"), int64(1))
	b.equal("opened", b.numberOf("events", "type = 'storm.opened'"), int64(1))
	b.equal("retired", b.numberOf("events", "type = 'worker.retired'"), int64(0))
	b.Advance(job.StormHold)
	judge()
	judge() // who was passed over while another closed it
	b.equal("storms", b.numberOf("storms", "closed_at IS NULL"), int64(0))
	b.equal("closed", b.numberOf("events", "type = 'storm.closed'"), int64(1))
	b.equal("retired", b.numberOf("events", "type = 'worker.retired'"), int64(5))
}

func personIsNotHeld(b *bed) {
	gone, _, s := b.stormOf(4, 0)
	retired, err := b.Store.RetireExpired(b.ctx)
	b.must(err)
	b.equal("retired", len(retired), len(gone))
	b.ended(b.judge(), s, job.StormProof)
}
