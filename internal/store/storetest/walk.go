package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"pgregory.net/rapid"
)

// walk is the model beside the store. Its time runs in hours and its leases end
// at half past, so that the few seconds a walk takes decide nothing.
type walk struct {
	*bed
	handles []Store
	jobs    []*walkJob
	workers []*walkWorker
	leases  []job.Lease // every lease ever granted, oldest first
	pauses  []job.Scope
	paused  map[string]bool
	hour    int
}

type walkJob struct {
	job.Job       // what the row must say
	fenced    int // writes refused so far
	recovered int // crashes it survived
	letters   int // times it became a dead letter
}

type walkWorker struct {
	id      job.ID
	overAt  float64 // hour at which its lease is over
	retired bool
	inOrder bool // it left in order: what it ran is not counted
	lost    bool // its row is gone, and nobody knows it
}

var walkCustomers = []job.ID{job.NewID(), job.NewID()}

func newWalk(s *walkScope, f Factory) *walk {
	b := newBed(s, f, Options{})
	return &walk{
		bed: b, handles: []Store{b.Store, b.Reopen(s)}, paused: map[string]bool{},
		pauses: []job.Scope{{All: true}, {Kind: job.KindNoop}, {Customer: walkCustomers[0]}},
	}
}

// steps are the acts of a walk, each as likely as the times it is listed.
func (w *walk) steps() []func(*rapid.T) {
	return []func(*rapid.T){
		w.enqueue, w.enqueue, w.register, w.register, w.beat, w.beat, w.advance, w.advance,
		w.claim, w.claim, w.claim, w.claim, w.claim, w.claim, w.claim, w.claim,
		w.claim, w.claim, w.claim, w.claim, w.claim, w.claim, w.claim, w.claim,
		w.complete, w.release, w.release, w.fail, w.fail, w.fail, w.snooze, w.snooze, w.progress,
		w.retire, w.retire, w.retire, w.retireExpired, w.recover, w.recover, w.recover, w.recoverStalled, w.recoverJob,
		w.lose, w.adopt, w.adopt,
		w.cancel, w.cancelRunning, w.redrive, w.redrive, w.pause, w.pause,
	}
}

func (w *walk) step(t *rapid.T) {
	steps := w.steps()
	steps[even(t, "act", len(steps))](t)
}

// store draws the handle that the next act goes through.
func (w *walk) store(t *rapid.T) Store { return w.handles[even(t, "handle", len(w.handles))] }

func (w *walk) jobOf(id job.ID) *walkJob {
	i := slices.IndexFunc(w.jobs, func(j *walkJob) bool { return j.ID == id })
	if i < 0 {
		w.Fatalf("the store speaks of job %s, which nobody enqueued", id)
	}
	return w.jobs[i]
}

func (w *walk) workerOf(id job.ID) *walkWorker {
	i := slices.IndexFunc(w.workers, func(x *walkWorker) bool { return x.id == id })
	if i < 0 {
		w.Fatalf("the store speaks of worker %s, which never registered", id)
	}
	return w.workers[i]
}

// even draws a number below n, each as likely; rapid's ranges prefer small ones.
func even(t *rapid.T, what string, n int) int {
	return rapid.Custom(func(t *rapid.T) int {
		v := 0
		for span := 1; span < 16*n; span *= 2 {
			if v *= 2; rapid.Bool().Draw(t, "bit") {
				v++
			}
		}
		return v % n
	}).Draw(t, what)
}

// pick draws one of the items, three times in four one that is likely to lead
// somewhere, if there is any: a walk that mostly hears "no" sees little.
func pick[T any](t *rapid.T, what string, items []T, likely func(T) bool) T {
	some := slices.DeleteFunc(slices.Clone(items), func(x T) bool { return !likely(x) })
	if len(some) == 0 || even(t, "unlikely "+what, 4) == 0 {
		some = items
	}
	return some[even(t, what, len(some))]
}

// anyLeases draws distinct leases, held and lost ones mixed; none before the
// first claim.
func (w *walk) anyLeases(t *rapid.T, limit int) (leases []job.Lease) {
	for range even(t, "more leases", limit) + 1 {
		if len(w.leases) == 0 {
			return nil
		}
		if l := pick(t, "lease", w.leases, w.holds); !slices.Contains(leases, l) {
			leases = append(leases, l)
		}
	}
	return leases
}

// runs says whether the worker owns a job.
func (w *walk) runs(x *walkWorker) bool {
	return slices.ContainsFunc(w.jobs, func(j *walkJob) bool { return j.State == job.InProgress && j.WorkerID == x.id })
}

// underLease ends or continues one attempt through a verb that names its lease.
func (w *walk) underLease(t *rapid.T, what string, act func(s Store, l job.Lease) error, then func(j *walkJob)) {
	for _, l := range w.anyLeases(t, 1) {
		w.judge(what, l, act(w.store(t), l), then)
	}
}

// holds says whether the lease is its job's latest and the job still runs.
func (w *walk) holds(l job.Lease) bool {
	j := w.jobOf(l.JobID)
	return j.State == job.InProgress && j.Fence == l.Fence
}

// judge moves the model when the write under the lease must have counted, and
// checks that it did, or that it was refused.
func (w *walk) judge(what string, l job.Lease, err error, then func(j *walkJob)) {
	j := w.jobOf(l.JobID)
	if !w.holds(l) {
		w.fails(what+" under a lease that is lost", err, job.ErrLeaseLost)
		j.fenced++
		return
	}
	if err != nil {
		w.Fatalf("%s under the latest lease: %v", what, err)
	}
	then(j)
}

// judgeBatch does so for a verb that takes many leases.
func (w *walk) judgeBatch(what string, leases, lost []job.Lease, err error, then func(j *walkJob)) {
	w.must(err)
	for _, l := range leases {
		var refused error
		if slices.Contains(lost, l) {
			refused = job.ErrLeaseLost
		}
		w.judge(what, l, refused, then)
	}
}

// pending makes the model's job wait; the row tells until when.
func (w *walk) pending(j *walkJob, notBefore time.Time) {
	got := w.job(j.ID)
	if got.DueAt.Before(notBefore.Add(-time.Microsecond)) {
		w.Errorf("job is due at %s, want not before %s", got.DueAt, notBefore)
	}
	j.State, j.DueAt = job.Pending, got.DueAt
}

func (w *walk) end(j *walkJob, s job.State) {
	j.State = s
	if s == job.Failed {
		j.letters++
	}
}

func (w *walk) enqueue(t *rapid.T) {
	specs := make([]job.Spec, even(t, "more jobs", 3)+1)
	for i := range specs {
		specs[i] = job.Spec{
			Kind:        []string{job.KindOrder, job.KindNoop}[even(t, "kind", 2)],
			Priority:    1 + even(t, "priority", 4),
			Delay:       shortDelay(t),
			CustomerID:  walkCustomers[even(t, "customer", 2)],
			MaxAttempts: 1 + even(t, "attempts", 3),
			CrashBudget: 1 + even(t, "crashes", 4),
			Quota:       1,
		}
		if k := even(t, "key", 30); k < 10 {
			specs[i].IdempotencyKey = fmt.Sprint("key-", k)
		}
	}
	answers, err := w.store(t).Enqueue(w.ctx, specs...)
	w.must(err)
	for i, a := range answers {
		s := specs[i]
		known := slices.IndexFunc(w.jobs, func(j *walkJob) bool { return s.IdempotencyKey != "" && j.IdempotencyKey == s.IdempotencyKey })
		if known >= 0 {
			w.equal("answer to a known key", a, job.Enqueued{ID: w.jobs[known].ID})
			continue
		}
		w.equal("created", a.Created, true)
		w.jobs = append(w.jobs, &walkJob{Job: job.Job{
			ID: a.ID, Kind: s.Kind, State: job.Pending, Priority: s.Priority, CustomerID: s.CustomerID, DueAt: w.job(a.ID).DueAt,
			MaxAttempts: s.MaxAttempts, CrashBudget: s.CrashBudget, IdempotencyKey: s.IdempotencyKey,
		}})
	}
}

// shortDelay is mostly none.
func shortDelay(t *rapid.T) time.Duration {
	return time.Duration(max(0, even(t, "delay", 7)-4)) * time.Hour
}

func (w *walk) register(t *rapid.T) {
	hours := 2 + even(t, "lease", 7)
	id := job.NewID()
	w.must(w.store(t).Register(w.ctx, workerRow(id), walkLease(hours)))
	w.workers = append(w.workers, &walkWorker{id: id, overAt: w.over(hours)})
}

func walkLease(hours int) time.Duration { return time.Duration(hours)*time.Hour + 30*time.Minute }

func (w *walk) over(hours int) float64 { return float64(w.hour+hours) + 0.5 }

func (w *walk) live(x *walkWorker) bool { return !x.retired && !x.lost && float64(w.hour) < x.overAt }

func (w *walk) claim(t *rapid.T) {
	x := pick(t, "worker", w.workers, w.live)
	r := job.ClaimRequest{
		Worker: x.id, Limit: 1 + even(t, "limit", 4), Kinds: kinds,
		Quarantined: even(t, "quarantined", 4) == 0,
	}
	got, err := w.store(t).Claim(w.ctx, r)
	if !w.live(x) {
		w.fails("claim of a worker that is gone", err, job.ErrRetired)
		w.equal("jobs of it", len(got), 0)
		return
	}
	w.must(err)
	eligible, now := 0, w.now()
	for _, j := range w.jobs {
		if w.claimable(j, r, now) {
			eligible++
		}
	}
	limit := r.Limit
	if r.Quarantined {
		limit = 1
	}
	w.equal("jobs claimed", len(got), min(limit, eligible))
	for _, g := range got {
		j := w.jobOf(g.ID)
		if !w.claimable(j, r, now) {
			w.Fatalf("claimed a job that is %s, due %s, quarantined %t, fence %d", j.State, j.DueAt, j.Quarantined, j.Fence)
		}
		j.State, j.WorkerID = job.InProgress, x.id
		j.Fence++
		j.Attempt++
		w.equal("lease", g.Lease(), j.Lease())
		w.leases = append(w.leases, g.Lease())
	}
}

func (w *walk) claimable(j *walkJob, r job.ClaimRequest, now time.Time) bool {
	for _, s := range []job.Scope{{All: true}, {Kind: j.Kind}, {Customer: j.CustomerID}} {
		if w.paused[s.Key()] {
			return false
		}
	}
	return j.State == job.Pending && !j.DueAt.After(now) && j.Quarantined == r.Quarantined
}

func (w *walk) beat(t *rapid.T) {
	x := pick(t, "worker", w.workers, w.live)
	var held []job.Held
	for _, l := range w.leases {
		if l.WorkerID == x.id {
			held = append(held, job.Held{Lease: l, Progressed: even(t, "progressed", 2) == 0})
		}
	}
	hours := 2 + even(t, "lease", 7)
	p, err := w.store(t).Beat(w.ctx, x.id, walkLease(hours), held)
	switch {
	case x.lost:
		w.fails("beat of a worker that nobody knows", err, job.ErrNotFound)
		return
	case x.retired:
		w.fails("beat of a retired worker", err, job.ErrRetired)
		return
	}
	// A late beat of a worker that nobody judged yet may be heard or refused.
	if !w.live(x) && errors.Is(err, job.ErrRetired) {
		x.retired = !w.workerNow(x.id).RetiredAt.IsZero()
		return
	}
	w.must(err)
	x.overAt = w.over(hours)
	lost := map[job.Lease]job.State{}
	for _, l := range p.Lost {
		lost[l.Lease] = l.State
	}
	for _, h := range held {
		state, told := lost[h.Lease]
		switch {
		case w.holds(h.Lease) == told:
			w.Errorf("beat told of fence %d as lost: %t; job has fence %d and is %s", h.Fence, told, w.jobOf(h.JobID).Fence, w.jobOf(h.JobID).State)
		case told:
			w.equal("state told", state, w.jobOf(h.JobID).State)
		}
	}
}

func (w *walk) advance(t *rapid.T) {
	hours := 1 + even(t, "hours", 2)
	w.Advance(time.Duration(hours) * time.Hour)
	w.hour += hours
}

func (w *walk) retire(t *rapid.T) {
	x := pick(t, "worker", w.workers, func(x *walkWorker) bool { return !x.retired && w.runs(x) })
	cause := []string{job.RetiredLockLost, job.RetiredLockLost, job.RetiredStopped}[even(t, "cause", 3)]
	err := w.store(t).Retire(w.ctx, x.id, cause, staff)
	switch {
	case x.lost:
		w.fails("retirement of a worker that nobody knows", err, job.ErrNotFound)
		return
	case x.retired:
		w.fails("a second retirement", err, job.ErrState)
		return
	}
	w.must(err)
	x.retired, x.inOrder = true, cause == job.RetiredStopped
}

func (w *walk) retireExpired(t *rapid.T) {
	got, err := w.store(t).RetireExpired(w.ctx)
	w.must(err)
	for _, g := range got {
		x := w.workerOf(g.ID)
		if x.retired || w.live(x) {
			w.Errorf("retired a worker (retired before: %t) at hour %d whose lease is over at %v", x.retired, w.hour, x.overAt)
		}
		x.retired = true
	}
	for _, x := range w.workers {
		if !x.retired && !x.lost && !w.live(x) {
			w.Errorf("left a worker at hour %d whose lease was over at %v", w.hour, x.overAt)
		}
	}
}

func (w *walk) recover(t *rapid.T) {
	limit := 1 + even(t, "limit", 5)
	orphans := 0
	for _, j := range w.jobs {
		if j.State == job.InProgress && w.workerOf(j.WorkerID).retired {
			orphans++
		}
	}
	now := w.now()
	got, err := w.store(t).Recover(w.ctx, limit)
	w.must(err)
	w.equal("jobs recovered", len(got.Jobs), min(limit, orphans))
	for _, r := range got.Jobs {
		j := w.jobOf(r.ID)
		owner := w.workerOf(j.WorkerID)
		if j.State != job.InProgress || !owner.retired {
			w.Fatalf("recovered a job that is %s, owner retired: %t", j.State, owner.retired)
		}
		w.takenBack(j, owner, r)
		if !owner.inOrder && j.State == job.Pending && j.Crashes == 1 && j.DueAt.After(w.now()) {
			w.Errorf("the first recovery has a backoff until %s, now %s", j.DueAt, now)
		}
	}
}

// takenBack moves the model's job as the store moved it from a retired owner.
func (w *walk) takenBack(j *walkJob, owner *walkWorker, r job.RecoveredJob) {
	if owner.inOrder {
		j.Attempt--
		w.pending(j, time.Time{})
	} else {
		w.crashed(j)
	}
	w.equal("recovered", []any{r.State, r.Fence, r.Crashes, r.Quarantined}, []any{j.State, j.Fence, j.Crashes, j.Quarantined})
}

// recoverJob is a person who names a job, stale or not. What stands still does so by
// the row's own account.
func (w *walk) recoverJob(t *rapid.T) {
	threshold := walkLease(1 + even(t, "threshold", 3))
	j := pick(t, "job", w.jobs, func(j *walkJob) bool { return j.State == job.InProgress })
	still := w.job(j.ID).ProgressAt.Before(w.now().Add(-threshold))
	r, err := w.store(t).RecoverJob(w.ctx, j.ID, threshold, staff)
	switch owner := w.ownerOf(j); {
	case owner == nil || !owner.retired && !(w.live(owner) && still):
		w.fails("recovery of a job that is not stale", err, job.ErrState)
	case owner.retired:
		w.must(err)
		w.takenBack(j, owner, r)
	default:
		w.must(err)
		w.crashed(j)
		w.equal("taken", []any{r.State, r.Fence, r.Crashes, r.Quarantined}, []any{j.State, j.Fence, j.Crashes, j.Quarantined})
	}
}

// ownerOf is the worker that runs the job; nil: nobody.
func (w *walk) ownerOf(j *walkJob) *walkWorker {
	if j.State != job.InProgress {
		return nil
	}
	return w.workerOf(j.WorkerID)
}

// lose deletes a worker's row behind the store's back.
func (w *walk) lose(t *rapid.T) {
	x := pick(t, "worker", w.workers, func(x *walkWorker) bool { return !x.retired && w.runs(x) })
	if x.retired || x.lost {
		return
	}
	w.bed.lose("workers", x.id)
	x.lost = true
}

// adopt retires the owners that nobody knows, and no others.
func (w *walk) adopt(t *rapid.T) {
	s := w.store(t)
	found, err := s.FindOrphans(w.ctx, job.OrphanOwner, 0, 1000)
	w.must(err)
	want := map[string]int64{}
	for _, x := range w.workers {
		if x.lost && w.runs(x) {
			want[x.id.String()] = w.running(x)
		}
	}
	got := map[string]int64{}
	for _, f := range found {
		got[f.Subject] = f.Count
	}
	w.equal("owners that nobody knows, and their jobs", got, want)
	n, err := s.MendOrphans(w.ctx, job.OrphanOwner, 0, found)
	w.must(err)
	w.equal("owners retired", n, len(want))
	for _, f := range found {
		x := w.workerOf(f.WorkerID)
		x.lost, x.retired, x.inOrder = false, true, false
	}
}

// running counts the jobs that the worker owns.
func (w *walk) running(x *walkWorker) (n int64) {
	for _, j := range w.jobs {
		if j.State == job.InProgress && j.WorkerID == x.id {
			n++
		}
	}
	return n
}

// recoverStalled takes what stands still by the rows' own account: the model keeps
// no times of progress.
func (w *walk) recoverStalled(t *rapid.T) {
	threshold := walkLease(1 + even(t, "threshold", 3))
	before := w.now()
	stale := map[job.ID]bool{}
	for _, j := range w.jobs {
		if j.State == job.InProgress && w.live(w.workerOf(j.WorkerID)) && w.job(j.ID).ProgressAt.Before(before.Add(-threshold)) {
			stale[j.ID] = true
		}
	}
	got, err := w.store(t).RecoverStalled(w.ctx, threshold, 1000)
	w.must(err)
	taken := map[job.ID]bool{}
	for _, r := range got.Jobs {
		taken[r.ID] = true
		j := w.jobOf(r.ID)
		if j.State != job.InProgress {
			w.Fatalf("took a job that is %s", j.State)
		}
		w.crashed(j)
		w.equal("taken", []any{r.State, r.Fence, r.Crashes, r.Quarantined}, []any{j.State, j.Fence, j.Crashes, j.Quarantined})
	}
	w.equal("jobs taken for want of progress", taken, stale)
}

// crashed counts a crash of the job's owner.
func (w *walk) crashed(j *walkJob) {
	j.Crashes++
	if j.Crashes == j.CrashBudget {
		j.Quarantined = w.job(j.ID).Quarantined // of no use in a dead letter
		w.end(j, job.Failed)
		return
	}
	j.recovered++
	j.Quarantined = j.Crashes >= job.QuarantineAfter
	w.pending(j, time.Time{})
}

func (w *walk) complete(t *rapid.T) {
	leases := w.anyLeases(t, 4)
	lost, err := w.store(t).Complete(w.ctx, leases...)
	w.judgeBatch("complete", leases, lost, err, func(j *walkJob) { w.end(j, job.Completed) })
}

func (w *walk) release(t *rapid.T) {
	leases := w.anyLeases(t, 4)
	lost, err := w.store(t).Release(w.ctx, "drain", leases...)
	w.judgeBatch("release", leases, lost, err, func(j *walkJob) {
		j.Attempt--
		w.pending(j, time.Time{})
	})
}

func (w *walk) fail(t *rapid.T) {
	f := job.Failure{Cause: "no", Class: job.ClassTransient, Permanent: even(t, "permanent", 4) == 0, Delay: shortDelay(t)}
	now, state := w.now(), job.State("")
	w.underLease(t, "fail", func(s Store, l job.Lease) (err error) {
		state, err = s.Fail(w.ctx, l, f)
		return err
	}, func(j *walkJob) {
		if j.Failures++; f.Permanent || j.Failures == j.MaxAttempts {
			w.end(j, job.Failed)
		} else {
			w.pending(j, now.Add(f.Delay))
		}
		w.equal("state answered", state, j.State)
		w.settleQuarantine(j)
	})
}

// settleQuarantine takes from the row whether a failure freed the job: a store
// may hold it or free it, but not send a job there that never crashed twice.
func (w *walk) settleQuarantine(j *walkJob) {
	if j.Quarantined {
		j.Quarantined = w.job(j.ID).Quarantined
	}
}

func (w *walk) snooze(t *rapid.T) {
	now, delay := w.now(), shortDelay(t)
	w.underLease(t, "snooze", func(s Store, l job.Lease) error { return s.Snooze(w.ctx, l, delay, "cap") }, func(j *walkJob) {
		j.Attempt--
		w.pending(j, now.Add(delay))
	})
}

func (w *walk) cancelRunning(t *rapid.T) {
	w.underLease(t, "cancel by the handler", func(s Store, l job.Lease) error { return s.CancelRunning(w.ctx, l, "left") },
		func(j *walkJob) { w.end(j, job.Cancelled) })
}

func (w *walk) progress(t *rapid.T) {
	w.underLease(t, "progress", func(s Store, l job.Lease) error { return s.Progress(w.ctx, l) }, func(*walkJob) {})
}

func (w *walk) cancel(t *rapid.T) {
	j := pick(t, "job", w.jobs, func(j *walkJob) bool { return !j.State.Final() })
	err := w.store(t).Cancel(w.ctx, j.ID, staff)
	if j.State.Final() {
		w.fails("cancel of a job that is "+string(j.State), err, job.ErrState)
		return
	}
	w.must(err)
	w.end(j, job.Cancelled)
}

func (w *walk) redrive(t *rapid.T) {
	j := pick(t, "job", w.jobs, func(j *walkJob) bool { return j.State == job.Failed })
	err := w.store(t).Redrive(w.ctx, j.ID, staff)
	if j.State != job.Failed {
		w.fails("redrive of a job that is "+string(j.State), err, job.ErrState)
		return
	}
	w.must(err)
	j.Redrives++
	j.Attempt, j.Failures, j.Crashes, j.Quarantined = 0, 0, 0, false
	w.pending(j, time.Time{})
}

func (w *walk) pause(t *rapid.T) {
	s := pick(t, "scope", w.pauses, func(s job.Scope) bool { return w.paused[s.Key()] })
	// Resuming is likelier: a walk that stands still finds nothing.
	if even(t, "pause", 6) == 0 {
		w.must(w.store(t).Pause(w.ctx, s, staff))
		w.paused[s.Key()] = true
		return
	}
	err := w.store(t).Resume(w.ctx, s, staff)
	if w.paused[s.Key()] {
		w.must(err)
	} else {
		w.fails("resume of what is not paused", err, job.ErrNotFound)
	}
	delete(w.paused, s.Key())
}

// check compares every row and the counts with the model.
func (w *walk) check(*rapid.T) {
	counts := map[job.State]int64{}
	for _, s := range job.States {
		counts[s] = 0
	}
	for _, j := range w.jobs {
		counts[j.State]++
		if j.Failures > j.MaxAttempts || j.Crashes > j.CrashBudget {
			w.Errorf("a budget is exceeded: %+v", j)
		}
	}
	w.equal("counts", w.counts(), counts)
	w.equal("open letters", w.depth().Open, counts[job.Failed])

	rows, err := w.Store.Jobs(w.ctx, job.Filter{Limit: 1000})
	w.must(err)
	w.equal("jobs", len(rows), len(w.jobs))
	for _, got := range rows {
		w.compare(got, w.jobOf(got.ID))
	}
}

func (w *walk) compare(got job.Job, j *walkJob) {
	if finished := !got.FinishedAt.IsZero(); finished != got.State.Final() {
		w.Errorf("a job that is %s has finished: %t", got.State, finished)
	}
	want := j.Job
	// The last owner of a job that nobody runs, and texts and times that other
	// tests look at, decide nothing here.
	if want.State != job.InProgress {
		want.WorkerID = got.WorkerID
	}
	want.Package, want.Quota, want.Payload = got.Package, got.Quota, got.Payload
	want.CreatedAt, want.ClaimedAt, want.ProgressAt, want.FinishedAt = got.CreatedAt, got.ClaimedAt, got.ProgressAt, got.FinishedAt
	want.Cause, want.Class, want.Signature = got.Cause, got.Class, got.Signature
	if want.State != job.Pending {
		want.DueAt = got.DueAt
	}
	w.equal("row", got, want)
}

// checkHistories counts, at the end of a walk, what the histories must tell.
func (w *walk) checkHistories() {
	for _, j := range w.jobs {
		told := map[string]int{}
		for _, e := range w.history(j.ID) {
			told[e.Type]++
		}
		letters := w.letters(job.LetterFilter{Job: j.ID, Decided: true, Limit: 1000})
		w.equal("letters", len(letters), j.letters)
		for i, l := range letters { // newest first: all but the latest were redriven
			w.equal("redrives before, open", []any{l.Redrives, l.Open()}, []any{j.letters - 1 - i, i == 0 && j.State == job.Failed})
		}
		w.equal("refused writes, redrives and dead letters told",
			[]int{told[job.EventWriteFenced], told[job.EventJobRedriven], told[job.EventJobFailed]},
			[]int{j.fenced, j.Redrives, j.letters})
		if told[job.EventJobRecovered] < j.recovered {
			w.Errorf("history tells %d recoveries of %d", told[job.EventJobRecovered], j.recovered)
		}
	}
}
