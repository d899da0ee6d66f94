package storetest

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var outboxPromises = []promise{
	{name: "WithoutAQueueThereAreNoHints", holds: noHintsWithoutQueue},
	{name: "EveryWayToPendingLeavesAHint", hints: true, holds: hintForEveryWayToPending},
	{name: "HintsWaitUntilTheJobIsDue", hints: true, holds: hintsWaitUntilDue},
	{name: "DoublesCollapseWhileUnsent", hints: true, holds: doublesCollapse},
	{name: "ATakenMessageIsHiddenAndComesBackUntilSent", hints: true, holds: takenIsHidden},
	{name: "ATakenMessageIsHiddenOnByItsTakerAlone", hints: true, holds: hiddenByTaker},
	{name: "HintsAreAddedOnceForEachJob", holds: hintsAdded},
	{name: "TwoTakersShareWithoutOverlap", hints: true, holds: takersShare},
}

func (b *bed) hintedJob(m job.Message) job.ID {
	b.Helper()
	var hint struct {
		V     int    `json:"v"`
		JobID job.ID `json:"job_id"`
	}
	if err := json.Unmarshal(m.Payload, &hint); err != nil || hint.V != 1 {
		b.Fatalf("hint %s: version %d, error %v", m.Payload, hint.V, err)
	}
	return hint.JobID
}

func noHintsWithoutQueue(b *bed) {
	j, _ := b.orphaned(order())
	b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassTransient})
	b.equal("messages", b.numberOf("outbox", "1 = 1"), int64(0))
}

func hintForEveryWayToPending(b *bed) {
	s := order()
	s.CrashBudget = 4
	id := b.enqueueOne(s)
	hinted := func(by string) {
		b.Helper()
		b.Advance(time.Second)
		hints := b.messages(job.MessageHint)
		if len(hints) != 1 || b.hintedJob(hints[0]) != id {
			b.Errorf("%s left %d hints, want 1 of the job", by, len(hints))
		}
	}
	hinted("enqueue")
	w := b.worker()
	b.fail(leaseOf(b.claimOne(w)), job.Failure{Cause: "no", Class: job.ClassTransient})
	hinted("a failure with attempts left")
	b.must(b.Store.Snooze(b.ctx, leaseOf(b.claimOne(w)), 0, "cap"))
	hinted("snooze")
	b.must(batchError(b.Store.Release(b.ctx, "drain", leaseOf(b.claimOne(w)))))
	hinted("release")
	b.crash(b.claimOne(w))
	hinted("recovery")
	w = b.worker()
	b.fail(leaseOf(b.claimOne(w)), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	b.equal("hints of a dead letter", len(b.messages(job.MessageHint)), 0)
	b.must(b.Store.Redrive(b.ctx, id, staff))
	hinted("redrive")
	b.complete(leaseOf(b.claimOne(w)))
	b.equal("hints of a completed job", len(b.messages(job.MessageHint)), 0)
}

func hintsWaitUntilDue(b *bed) {
	w := b.worker()
	id := b.enqueueOne(job.Spec{Kind: job.KindNoop, Delay: time.Minute})
	b.equal("hints before the job is due", len(b.messages(job.MessageHint)), 0)
	b.Advance(time.Minute)
	b.equal("hints when it is", len(b.messages(job.MessageHint)), 1)
	b.fail(leaseOf(b.claimOne(w)), job.Failure{Cause: "no", Class: job.ClassTransient, Delay: time.Minute})
	b.equal("hints during the backoff", len(b.messages(job.MessageHint)), 0)
	b.Advance(time.Minute)
	hints := b.messages(job.MessageHint)
	if len(hints) != 1 || b.hintedJob(hints[0]) != id {
		b.Errorf("%d hints after the backoff, want 1 of the job", len(hints))
	}
}

func doublesCollapse(b *bed) {
	id, w := b.noops(1)[0], b.worker()
	for range 3 {
		b.must(batchError(b.Store.Release(b.ctx, "drain", leaseOf(b.claimOne(w)))))
	}
	hints, err := b.Store.TakeMessages(b.ctx, job.MessageHint, 10, time.Minute)
	b.must(err)
	if len(hints) != 1 || hints[0].Kind != job.MessageHint || b.hintedJob(hints[0]) != id {
		b.Fatalf("%d messages after one enqueue and three releases, want one hint", len(hints))
	}
	b.must(b.Store.MarkSent(b.ctx, hints[0].ID))
	b.must(batchError(b.Store.Release(b.ctx, "drain", leaseOf(b.claimOne(w)))))
	b.equal("hints after the first was sent", len(b.messages(job.MessageHint)), 1)
}

func takenIsHidden(b *bed) {
	from := b.now()
	ids := b.noops(3)
	to := b.now()
	take := func(limit int) []job.Message {
		b.Helper()
		got, err := b.Store.TakeMessages(b.ctx, job.MessageHint, limit, time.Minute)
		b.must(err)
		return got
	}
	first := take(2)
	b.equal("messages of a take of 2", len(first), 2)
	rest := take(10)
	b.equal("messages left", len(rest), 1)
	b.equal("messages while all are hidden", len(take(10)), 0)
	for _, m := range slices.Concat(first, rest) {
		b.equal("kind, attempts", []any{m.Kind, m.Attempts}, []any{job.MessageHint, 1})
		b.within("created", m.CreatedAt, from, to)
		if !slices.Contains(ids, b.hintedJob(m)) || m.Key == "" {
			b.Errorf("message %q names %s", m.Key, b.hintedJob(m))
		}
	}
	b.must(b.Store.MarkSent(b.ctx, first[0].ID))
	b.must(b.Store.MarkSent(b.ctx, first[0].ID))
	b.must(b.Store.MarkSent(b.ctx))
	b.Advance(time.Minute)
	again := take(10)
	b.equal("messages that come back", len(again), 2)
	for _, m := range again {
		b.equal("attempts", m.Attempts, 2)
		if m.ID == first[0].ID {
			b.Error("a message that was sent came back")
		}
	}
	b.equal("messages while all are hidden again", len(take(10)), 0)
}

func takersShare(b *bed) {
	const n = 100
	b.noops(n)
	var mu sync.Mutex
	taken := map[job.ID]int{}
	b.atOnce(4, func(i int, s Store) {
		for range n {
			got, err := s.TakeMessages(b.ctx, job.MessageHint, 9, time.Hour)
			if err != nil {
				b.Errorf("taker %d: %v", i, err)
				return
			}
			if len(got) == 0 {
				return
			}
			mu.Lock()
			for _, m := range got {
				taken[m.ID]++
			}
			mu.Unlock()
		}
	})
	rest, err := b.Store.TakeMessages(b.ctx, job.MessageHint, n, time.Hour)
	b.must(err)
	for _, m := range rest {
		taken[m.ID]++
	}
	b.equal("messages taken", len(taken), n)
	for id, times := range taken {
		if times != 1 {
			b.Errorf("message %s was taken %d times", id, times)
		}
	}
}

func hiddenByTaker(b *bed) {
	b.noops(1)
	take := func() []job.Message {
		b.Helper()
		got, err := b.Store.TakeMessages(b.ctx, job.MessageHint, 10, time.Minute)
		b.must(err)
		return got
	}
	hide := func(d time.Duration, taken ...job.Message) []job.ID {
		b.Helper()
		gone, err := b.Store.HideMessages(b.ctx, d, taken...)
		b.must(err)
		return gone
	}
	b.equal("gone of nothing", len(hide(time.Minute)), 0)
	first := take()
	b.equal("gone while it is ours", len(hide(time.Hour, first...)), 0)
	b.Advance(30 * time.Minute)
	b.equal("messages while it is hidden on", len(take()), 0)
	b.equal("gone when it is made due", len(hide(0, first...)), 0)
	second := take()
	b.equal("messages made due", len(second), 1)
	b.equal("gone for who took it first", hide(0, first...), []job.ID{first[0].ID})
	b.equal("messages that the first could not make due", len(take()), 0)
	b.must(b.Store.MarkSent(b.ctx, second[0].ID))
	b.equal("gone when it was sent", hide(0, second...), []job.ID{second[0].ID})
}

func hintsAdded(b *bed) {
	b.must(b.Store.AddHints(b.ctx))
	ids := b.noops(2)
	for range 2 {
		b.must(b.Store.AddHints(b.ctx, ids[0], ids[1], ids[0]))
	}
	got := map[job.ID]int{}
	for _, m := range b.messages(job.MessageHint) {
		got[b.hintedJob(m)]++
	}
	b.equal("hints", got, map[job.ID]int{ids[0]: 1, ids[1]: 1})
}
