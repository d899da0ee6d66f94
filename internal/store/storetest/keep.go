package storetest

import (
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

const day = 24 * time.Hour

var keepPromises = []promise{
	{name: "PruneForgetsFinishedJobsAndKeepsTheirCounts", holds: pruneForgets},
	{name: "PruneKeepsWhatIsNotOldEnough", holds: pruneKeepsTheYoung},
	{name: "PruneWorksInBatches", holds: pruneWorksInBatches},
	{name: "PruneKeepsUnsentMessages", hints: true, holds: pruneKeepsUnsent},
}

func (b *bed) prune(r job.Retention) job.Pruned {
	b.Helper()
	p, err := b.Store.Prune(b.ctx, r)
	b.must(err)
	return p
}

// finishOneOfEach leaves a job in each state that no worker holds.
func (b *bed) finishOneOfEach() (completed, cancelled, failed, pending job.ID) {
	b.Helper()
	s := order()
	w := b.worker()
	next := func() job.Job {
		b.Helper()
		b.enqueueOne(s)
		return b.claimOne(w)
	}
	j := next()
	b.complete(j.Lease())
	completed = j.ID
	j = next()
	b.must(b.Store.Cancel(b.ctx, j.ID, staff))
	cancelled = j.ID
	j = next()
	b.fail(j.Lease(), job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})
	return completed, cancelled, j.ID, b.enqueueOne(s)
}

func pruneForgets(b *bed) {
	completed, cancelled, failed, pending := b.finishOneOfEach()
	told, letter := len(b.history(failed)), b.job(failed)
	b.Advance(91 * day)
	p := b.prune(job.Retention{})
	b.equal("jobs pruned", p.Jobs, int64(2))
	for _, id := range []job.ID{completed, cancelled} {
		b.fails("a pruned job", errorOf(b.Store.Job(b.ctx, id)), job.ErrNotFound)
		b.equal("events left of a pruned job", b.numberOf("events", "job_id = '%s'", id), int64(0))
	}
	b.equal("the dead letter", b.job(failed), letter)
	b.equal("its history", len(b.history(failed)), told)
	b.state(pending, job.Pending)
	b.equal("jobs archived", b.Number(b.TB, "SELECT sum(jobs) FROM job_archive"), int64(2))
	b.equal("cents archived", b.Number(b.TB, "SELECT sum(value_cents) FROM job_archive"), int64(2*14900))
	b.equal("completed orders archived", b.Number(b.TB,
		"SELECT sum(jobs) FROM job_archive WHERE kind = 'order' AND package = 'starter' AND state = 'completed'"), int64(1))
	b.equal("unsent alerts", b.numberOf("outbox", "kind = 'alert' AND sent_at IS NULL"), int64(1))

	b.equal("jobs of a second prune", b.prune(job.Retention{}).Jobs, int64(0))
	b.equal("jobs archived after it", b.Number(b.TB, "SELECT sum(jobs) FROM job_archive"), int64(2))

	// A day's counts add up over several prunes, and are forgotten in their turn.
	b.Advance(400 * day)
	b.prune(job.Retention{})
	b.equal("rows of the archive after a year", b.numberOf("job_archive", "1 = 1"), int64(0))
	b.equal("the dead letter after a year", b.job(failed), letter)
	b.must(b.Store.Redrive(b.ctx, failed, staff))
}

func pruneKeepsTheYoung(b *bed) {
	completed, cancelled, failed, pending := b.finishOneOfEach()
	b.Advance(89 * day)
	b.equal("jobs pruned after 89 days", b.prune(job.Retention{}).Jobs, int64(0))
	for _, id := range []job.ID{completed, cancelled, failed, pending} {
		b.history(id)
	}
	b.equal("jobs pruned by a shorter retention", b.prune(job.Retention{Finished: 30 * day}).Jobs, int64(2))

	// Jobs of one day that go in several prunes are added up.
	b.Advance(time.Minute)
	for _, at := range []int{1, 2} {
		b.noops(1)
		b.complete(leaseOf(b.claimOneOf(job.KindNoop)))
		b.Advance(time.Millisecond)
		b.prune(job.Retention{Finished: time.Microsecond})
		b.equal("noops archived", b.Number(b.TB, "SELECT sum(jobs) FROM job_archive WHERE kind = 'noop'"), int64(at))
	}
}

// claimOneOf takes the one job of a kind there must be, by a new worker.
func (b *bed) claimOneOf(kind string) job.Job {
	b.Helper()
	jobs, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: b.worker(), Limit: 1, Kinds: []string{kind}})
	b.must(err)
	if len(jobs) != 1 {
		b.Fatalf("claim of kind %s gave %d jobs, want 1", kind, len(jobs))
	}
	return jobs[0]
}

func pruneWorksInBatches(b *bed) {
	const n = 25
	b.noops(n)
	for _, j := range b.claim(b.worker(), n) {
		b.complete(j.Lease())
	}
	b.Advance(91 * day)
	var total int64
	for range n {
		p := b.prune(job.Retention{Batch: 4})
		if total += p.Jobs; p.Jobs == 0 {
			break
		}
	}
	b.equal("jobs pruned", total, int64(n))
	b.equal("jobs archived", b.Number(b.TB, "SELECT sum(jobs) FROM job_archive"), int64(n))
	b.equal("jobs left", b.numberOf("jobs", "1 = 1"), int64(0))
}

func pruneKeepsUnsent(b *bed) {
	b.noops(2)
	sent, err := b.Store.TakeMessages(b.ctx, job.MessageHint, 1, time.Minute)
	b.must(err)
	b.equal("messages taken", len(sent), 1)
	b.must(b.Store.MarkSent(b.ctx, sent[0].ID))
	b.Advance(400 * day)
	b.equal("messages pruned", b.prune(job.Retention{}).Outbox, int64(1))
	b.equal("unsent messages left", len(b.messages(job.MessageHint)), 1)
}
