package storetest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"pgregory.net/rapid"
)

// stepsAWalk is the mean length of one walk; a longer way is more walks, each
// on a store of its own.
const stepsAWalk = 100

// Model walks at random through the verbs of a store and compares it, after each
// step, with a model of a few lines. It holds that no stale write is ever
// accepted, that what is final stays so but for a redrive, that budgets are never
// exceeded, that the fence of a job only grows and by one, that a job has one
// live lease at most, and that the counts add up.
//
// STORETEST_STEPS overrides how many steps are made. A failure prints the seed
// that repeats it with -rapid.seed.
func Model(t *testing.T, f Factory) {
	probe := f(t, Options{})
	steps := probe.Steps
	if steps == 0 {
		steps = 2000
	}
	if text, ok := os.LookupEnv("STORETEST_STEPS"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("STORETEST_STEPS is %q, want a positive number", text)
		}
		steps = n
	}
	setFlag(t, "rapid.steps", strconv.Itoa(stepsAWalk))
	setFlag(t, "rapid.checks", strconv.Itoa(max(1, steps/stepsAWalk)))
	setFlag(t, "rapid.nofailfile", "true")
	setFlag(t, "rapid.shrinktime", "20s")
	walks := 0
	rapid.Check(t, func(rt *rapid.T) {
		walks++
		scope := &walkScope{TB: t, rt: rt, name: fmt.Sprintf("%s/walk-%d", t.Name(), walks)}
		defer scope.end()
		w := newWalk(scope, f)
		rt.Repeat(w.actions())
		w.checkHistories()
	})
}

// setFlag sets a flag of the rapid library for one test.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	before := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set(name, before) })
}

// walkScope is the testing.TB of one walk: it ends with the walk, so that a
// hundred walks do not hold a hundred stores open, and it reports to rapid.
type walkScope struct {
	testing.TB
	rt       *rapid.T
	name     string
	cleanups []func()
}

func (s *walkScope) Name() string                      { return s.name }
func (s *walkScope) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }
func (s *walkScope) Helper()                           { s.rt.Helper() }
func (s *walkScope) Log(args ...any)                   { s.rt.Log(args...) }
func (s *walkScope) Logf(format string, args ...any)   { s.rt.Logf(format, args...) }
func (s *walkScope) Error(args ...any)                 { s.rt.Error(args...) }
func (s *walkScope) Errorf(format string, args ...any) { s.rt.Errorf(format, args...) }
func (s *walkScope) Fatal(args ...any)                 { s.rt.Fatal(args...) }
func (s *walkScope) Fatalf(format string, args ...any) { s.rt.Fatalf(format, args...) }
func (s *walkScope) Fail()                             { s.rt.Fail() }
func (s *walkScope) FailNow()                          { s.rt.FailNow() }
func (s *walkScope) Failed() bool                      { return s.rt.Failed() }

func (s *walkScope) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

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
}

var walkCustomers = []job.ID{job.NewID(), job.NewID()}

func newWalk(s *walkScope, f Factory) *walk {
	b := newBed(s, f, Options{})
	return &walk{
		bed: b, handles: []Store{b.Store, b.Reopen(s)}, paused: map[string]bool{},
		pauses: []job.Scope{{All: true}, {Kind: job.KindNoop}, {Customer: walkCustomers[0]}},
	}
}

func (w *walk) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":              w.check,
		"enqueue":       w.enqueue,
		"register":      w.register,
		"claim":         w.claim,
		"claim again":   w.claim, // likelier than the rest, or few jobs would run
		"beat":          w.beat,
		"advance":       w.advance,
		"retire":        w.retire,
		"retireExpired": w.retireExpired,
		"recover":       w.recover,
		"complete":      w.complete,
		"release":       w.release,
		"fail":          w.fail,
		"snooze":        w.snooze,
		"cancelRunning": w.cancelRunning,
		"progress":      w.progress,
		"cancel":        w.cancel,
		"redrive":       w.redrive,
		"pause":         w.pause,
	}
}

// store draws the handle that the next act goes through.
func (w *walk) store(t *rapid.T) Store { return rapid.SampledFrom(w.handles).Draw(t, "handle") }

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

// anyJob draws a job, or skips the act when there is none.
func (w *walk) anyJob(t *rapid.T) *walkJob {
	if len(w.jobs) == 0 {
		t.Skip("no job yet")
	}
	return w.jobs[rapid.IntRange(0, len(w.jobs)-1).Draw(t, "job")]
}

func (w *walk) anyWorker(t *rapid.T) *walkWorker {
	if len(w.workers) == 0 {
		t.Skip("no worker yet")
	}
	return w.workers[rapid.IntRange(0, len(w.workers)-1).Draw(t, "worker")]
}

// anyLeases draws distinct leases, held and lost ones mixed, newest preferred.
func (w *walk) anyLeases(t *rapid.T, limit int) []job.Lease {
	if len(w.leases) == 0 {
		t.Skip("no lease yet")
	}
	from := 0
	if rapid.Bool().Draw(t, "recent") {
		from = max(0, len(w.leases)-8)
	}
	picks := rapid.SliceOfNDistinct(rapid.IntRange(from, len(w.leases)-1), 1, limit, rapid.ID[int]).Draw(t, "leases")
	leases := make([]job.Lease, len(picks))
	for i, p := range picks {
		leases[i] = w.leases[p]
	}
	return leases
}

func (w *walk) anyLease(t *rapid.T) (*walkJob, job.Lease) {
	l := w.anyLeases(t, 1)[0]
	return w.jobOf(l.JobID), l
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
	n := rapid.IntRange(1, 3).Draw(t, "jobs")
	specs := make([]job.Spec, n)
	for i := range specs {
		specs[i] = job.Spec{
			Kind:        rapid.SampledFrom([]string{job.KindOrder, job.KindNoop}).Draw(t, "kind"),
			Priority:    rapid.IntRange(1, 4).Draw(t, "priority"),
			Delay:       time.Duration(rapid.IntRange(0, 2).Draw(t, "delay")) * time.Hour,
			CustomerID:  rapid.SampledFrom(walkCustomers).Draw(t, "customer"),
			MaxAttempts: rapid.IntRange(1, 3).Draw(t, "attempts"),
			CrashBudget: rapid.IntRange(1, 3).Draw(t, "crashes"),
			Quota:       1,
		}
		if k := rapid.IntRange(0, 30).Draw(t, "key"); k < 10 {
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

func (w *walk) register(t *rapid.T) {
	hours := rapid.IntRange(1, 4).Draw(t, "lease")
	id := job.NewID()
	w.must(w.store(t).Register(w.ctx, workerRow(id), walkLease(hours)))
	w.workers = append(w.workers, &walkWorker{id: id, overAt: w.over(hours)})
}

func walkLease(hours int) time.Duration { return time.Duration(hours)*time.Hour + 30*time.Minute }

func (w *walk) over(hours int) float64 { return float64(w.hour+hours) + 0.5 }

func (w *walk) live(x *walkWorker) bool { return !x.retired && float64(w.hour) < x.overAt }

func (w *walk) claim(t *rapid.T) {
	x := w.anyWorker(t)
	r := job.ClaimRequest{
		Worker: x.id, Limit: rapid.IntRange(1, 4).Draw(t, "limit"), Kinds: kinds,
		Quarantined: rapid.IntRange(0, 4).Draw(t, "quarantined") == 0,
	}
	got, err := w.store(t).Claim(w.ctx, r)
	if !w.live(x) {
		w.fails("claim of a worker whose lease is over", err, job.ErrRetired)
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
	x := w.anyWorker(t)
	var held []job.Held
	for _, l := range w.leases {
		if l.WorkerID == x.id {
			held = append(held, job.Held{Lease: l, Progressed: rapid.Bool().Draw(t, "progressed")})
		}
	}
	hours := rapid.IntRange(1, 4).Draw(t, "lease")
	p, err := w.store(t).Beat(w.ctx, x.id, walkLease(hours), held)
	if x.retired {
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
	hours := rapid.IntRange(1, 2).Draw(t, "hours")
	w.Advance(time.Duration(hours) * time.Hour)
	w.hour += hours
}

func (w *walk) retire(t *rapid.T) {
	x := w.anyWorker(t)
	cause := rapid.SampledFrom([]string{job.RetiredLockLost, job.RetiredStopped}).Draw(t, "cause")
	err := w.store(t).Retire(w.ctx, x.id, cause, staff)
	if x.retired {
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
		if !x.retired && !w.live(x) {
			w.Errorf("left a worker at hour %d whose lease was over at %v", w.hour, x.overAt)
		}
	}
}

func (w *walk) recover(t *rapid.T) {
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
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
		if owner.inOrder {
			j.Attempt--
			w.pending(j, time.Time{})
		} else if w.crashed(j); j.State == job.Pending && j.Crashes == 1 && j.DueAt.After(w.now()) {
			w.Errorf("the first recovery has a backoff until %s, now %s", j.DueAt, now)
		}
		w.equal("recovered", []any{r.State, r.Fence, r.Crashes, r.Quarantined}, []any{j.State, j.Fence, j.Crashes, j.Quarantined})
	}
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
	_, l := w.anyLease(t)
	f := job.Failure{
		Cause: "no", Class: job.ClassTransient, Permanent: rapid.IntRange(0, 3).Draw(t, "permanent") == 0,
		Delay: time.Duration(rapid.IntRange(0, 2).Draw(t, "delay")) * time.Hour,
	}
	now := w.now()
	state, err := w.store(t).Fail(w.ctx, l, f)
	w.judge("fail", l, err, func(j *walkJob) {
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
	if was := j.Quarantined; was {
		j.Quarantined = w.job(j.ID).Quarantined
	}
}

func (w *walk) snooze(t *rapid.T) {
	_, l := w.anyLease(t)
	delay := time.Duration(rapid.IntRange(0, 2).Draw(t, "delay")) * time.Hour
	now := w.now()
	err := w.store(t).Snooze(w.ctx, l, delay, "cap")
	w.judge("snooze", l, err, func(j *walkJob) {
		j.Attempt--
		w.pending(j, now.Add(delay))
	})
}

func (w *walk) cancelRunning(t *rapid.T) {
	_, l := w.anyLease(t)
	w.judge("cancel by the handler", l, w.store(t).CancelRunning(w.ctx, l, "left"), func(j *walkJob) { w.end(j, job.Cancelled) })
}

func (w *walk) progress(t *rapid.T) {
	_, l := w.anyLease(t)
	w.judge("progress", l, w.store(t).Progress(w.ctx, l), func(*walkJob) {})
}

func (w *walk) cancel(t *rapid.T) {
	j := w.anyJob(t)
	err := w.store(t).Cancel(w.ctx, j.ID, staff)
	if j.State.Final() {
		w.fails("cancel of a job that is "+string(j.State), err, job.ErrState)
		return
	}
	w.must(err)
	w.end(j, job.Cancelled)
}

func (w *walk) redrive(t *rapid.T) {
	j := w.anyJob(t)
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
	s := rapid.SampledFrom(w.pauses).Draw(t, "scope")
	// Resuming is likelier: a walk that stands still finds nothing.
	if rapid.IntRange(0, 3).Draw(t, "pause") == 0 {
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
		w.equal("refused writes, redrives and dead letters told",
			[]int{told[job.EventWriteFenced], told[job.EventJobRedriven], told[job.EventJobFailed]},
			[]int{j.fenced, j.Redrives, j.letters})
		if told[job.EventJobRecovered] < j.recovered {
			w.Errorf("history tells %d recoveries of %d", told[job.EventJobRecovered], j.recovered)
		}
	}
}
