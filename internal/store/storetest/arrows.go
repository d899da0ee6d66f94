package storetest

import (
	"cmp"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

var arrowPromises = []promise{
	{name: "EveryArrowOfTheTableAndNoOther", hints: true, holds: everyArrowAndNoOther},
}

// A verb acts on a job through the store, whatever state it is in.
type verb struct {
	name string // as in job.Arrows
	as   string // tells variants of a verb apart
	act  func(b *bed, j job.Job, l job.Lease) error
	// refusal is what a state without such an arrow is answered with; nil: the
	// verb picks its jobs itself and passes this one over in silence.
	refusal error
}

var verbs = []verb{
	{name: "claim", act: func(b *bed, j job.Job, _ job.Lease) error {
		_, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: b.worker(), Limit: 10, Kinds: []string{j.Kind}})
		return err
	}},
	{name: "complete", refusal: job.ErrLeaseLost, act: func(b *bed, _ job.Job, l job.Lease) error {
		return batchError(b.Store.Complete(b.ctx, l))
	}},
	{name: "fail", as: "fail with attempts left", refusal: job.ErrLeaseLost, act: func(b *bed, _ job.Job, l job.Lease) error {
		return errorOf(b.Store.Fail(b.ctx, l, job.Failure{Cause: "again", Class: job.ClassTransient, Delay: time.Hour}))
	}},
	{name: "fail", as: "fail for good", refusal: job.ErrLeaseLost, act: func(b *bed, _ job.Job, l job.Lease) error {
		return errorOf(b.Store.Fail(b.ctx, l, job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true}))
	}},
	{name: "release", refusal: job.ErrLeaseLost, act: func(b *bed, _ job.Job, l job.Lease) error {
		return batchError(b.Store.Release(b.ctx, "drain", l))
	}},
	{name: "snooze", refusal: job.ErrLeaseLost, act: func(b *bed, _ job.Job, l job.Lease) error {
		return b.Store.Snooze(b.ctx, l, time.Hour, "daily cap")
	}},
	{name: "progress", refusal: job.ErrLeaseLost, act: func(b *bed, _ job.Job, l job.Lease) error {
		return b.Store.Progress(b.ctx, l)
	}},
	{name: "recover", act: recoverOwnerOf},
	{name: "cancel", as: "cancel by a person", refusal: job.ErrState, act: func(b *bed, j job.Job, _ job.Lease) error {
		return b.Store.Cancel(b.ctx, j.ID, staff)
	}},
	{name: "cancel", as: "cancel by the handler", refusal: job.ErrLeaseLost, act: func(b *bed, _ job.Job, l job.Lease) error {
		return b.Store.CancelRunning(b.ctx, l, "customer left")
	}},
	{name: "redrive", refusal: job.ErrState, act: func(b *bed, j job.Job, _ job.Lease) error {
		return b.Store.Redrive(b.ctx, j.ID, staff)
	}},
}

// recoverOwnerOf retires the job's last owner, if it has one, and recovers.
func recoverOwnerOf(b *bed, j job.Job, l job.Lease) error {
	if l.WorkerID != (job.ID{}) {
		if err := b.Store.Retire(b.ctx, l.WorkerID, job.RetiredLockLost, job.By{Actor: job.ActorSystem}); err != nil {
			return err
		}
	}
	b.recover()
	return nil
}

func batchError(lost []job.Lease, err error) error {
	if err == nil && len(lost) > 0 {
		return job.ErrLeaseLost
	}
	return err
}

// a start is a job brought into a state, and the last lease there was on it.
var starts = []struct {
	as    string
	state job.State
	crash int // crash budget
	bring func(b *bed, j job.Job, l job.Lease)
}{
	{"pending", job.Pending, 3, nil},
	{"pending again", job.Pending, 3, func(b *bed, _ job.Job, l job.Lease) { b.must(batchError(b.Store.Release(b.ctx, "drain", l))) }},
	{"in progress", job.InProgress, 3, func(*bed, job.Job, job.Lease) {}},
	{"in progress with one crash left", job.InProgress, 1, func(*bed, job.Job, job.Lease) {}},
	{"completed", job.Completed, 3, func(b *bed, _ job.Job, l job.Lease) { b.must(batchError(b.Store.Complete(b.ctx, l))) }},
	{"failed", job.Failed, 3, func(b *bed, _ job.Job, l job.Lease) {
		b.must(errorOf(b.Store.Fail(b.ctx, l, job.Failure{Cause: "no", Class: job.ClassPermanent, Permanent: true})))
	}},
	{"cancelled while pending", job.Cancelled, 3, func(b *bed, j job.Job, l job.Lease) {
		b.must(batchError(b.Store.Release(b.ctx, "drain", l)))
		b.must(b.Store.Cancel(b.ctx, j.ID, staff))
	}},
	{"cancelled while running", job.Cancelled, 3, func(b *bed, j job.Job, _ job.Lease) { b.must(b.Store.Cancel(b.ctx, j.ID, staff)) }},
}

// everyArrowAndNoOther tries each verb on a job in each state. Each pair has a
// kind of its own, so that a claim meets only its own job.
func everyArrowAndNoOther(b *bed) {
	seen := map[job.Arrow]bool{}
	for _, v := range verbs {
		for _, s := range starts {
			b.sub(cmp.Or(v.as, v.name)+" when "+s.as, func(b *bed) {
				j, l := b.start(cmp.Or(v.as, v.name)+"/"+s.as, s.crash, s.bring)
				if j.State != s.state {
					b.Fatalf("the job to begin with is %s, want %s", j.State, s.state)
				}
				err := v.act(b, j, l)
				after := b.job(j.ID)
				switch {
				case v.leads(s.state):
					b.must(err)
					seen[job.Arrow{Verb: v.name, From: s.state, To: after.State}] = true
				case v.name == "progress" && s.state == job.InProgress:
					b.must(err)
					b.equal("state", after.State, job.InProgress)
				default:
					if v.refusal != nil {
						b.fails("refusal", err, v.refusal)
					} else if err != nil {
						b.Errorf("got error %v, want silence", err)
					}
					b.equal("job", after, j)
				}
			})
		}
	}
	for _, a := range job.Arrows {
		if !seen[a] {
			b.Errorf("%s never led from %s to %s", a.Verb, a.From, a.To)
		}
		delete(seen, a)
	}
	for a := range seen {
		b.Errorf("%s led from %s to %s, which the table does not have", a.Verb, a.From, a.To)
	}

	nobody := job.NewID()
	b.fails("cancel of no job", b.Store.Cancel(b.ctx, nobody, staff), job.ErrNotFound)
	b.fails("redrive of no job", b.Store.Redrive(b.ctx, nobody, staff), job.ErrNotFound)
	b.fails("history of no job", errorOf(b.Store.History(b.ctx, nobody)), job.ErrNotFound)
	for _, v := range verbs {
		if v.refusal == job.ErrLeaseLost {
			l := job.Lease{JobID: nobody, Fence: 1, WorkerID: nobody}
			b.fails(cmp.Or(v.as, v.name)+" of no job", v.act(b, job.Job{}, l), job.ErrLeaseLost)
		}
	}
}

// start enqueues a job of a kind of its own and brings it into a state; without
// bring it stays as enqueued, and the lease is one that nobody ever held.
func (b *bed) start(kind string, crash int, bring func(*bed, job.Job, job.Lease)) (job.Job, job.Lease) {
	b.Helper()
	id := b.enqueueOne(job.Spec{Kind: kind, CrashBudget: crash})
	if bring == nil {
		return b.job(id), job.Lease{JobID: id, Fence: 1}
	}
	jobs, err := b.Store.Claim(b.ctx, job.ClaimRequest{Worker: b.worker(), Limit: 1, Kinds: []string{kind}})
	b.must(err)
	if len(jobs) != 1 {
		b.Fatalf("claim of the only %q gave %d jobs", kind, len(jobs))
	}
	bring(b, jobs[0], jobs[0].Lease())
	return b.job(id), jobs[0].Lease()
}

// leads reports whether the verb has an arrow from the state. Verbs that name a
// lease act on running jobs only.
func (v verb) leads(from job.State) bool {
	if v.refusal == job.ErrLeaseLost && from != job.InProgress {
		return false
	}
	return slices.ContainsFunc(job.Arrows, func(a job.Arrow) bool { return a.Verb == v.name && a.From == from })
}
