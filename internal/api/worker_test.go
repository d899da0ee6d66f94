package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/tally"
)

// crafted is a kind that the house has no handler for.
const crafted = "thumbnail"

// later moves the store's clock on.
func (o *office) later(d time.Duration) { o.offset.Add(int64(d)) }

// craft enqueues a job of that kind.
func (o *office) craft() job.ID {
	o.t.Helper()
	var j jobView
	o.ask(o.keys[auth.Staff], "POST", "/api/jobs", `{"kind":"thumbnail","payload":{"url":"https://example.com/a.png"}}`).is(http.StatusCreated).into(&j)
	return j.ID
}

// worker registers one.
func (o *office) worker() job.ID {
	o.t.Helper()
	var w registered
	o.ask(o.keys[auth.Worker], "POST", "/api/worker/register", `{"host":"studio-1","pid":7,"version":"1.2","kinds":["thumbnail"]}`).is(http.StatusCreated).into(&w)
	if w.LeaseSeconds != 20 || w.HeartbeatSeconds != 5 {
		o.t.Errorf("registered %+v", w)
	}
	return w.WorkerID
}

// claim claims for a worker; more are further members of the request.
func (o *office) claim(worker job.ID, more string) []claimedJob {
	o.t.Helper()
	var got claimed
	o.ask(o.keys[auth.Worker], "POST", "/api/worker/claim", fmt.Sprintf(`{"worker_id":%q,"kinds":["thumbnail"]%s}`, worker, more)).is(http.StatusOK).into(&got)
	return got.Jobs
}

// running is a job in the hands of a worker.
func (o *office) running(worker job.ID) claimedJob {
	o.t.Helper()
	o.craft()
	got := o.claim(worker, "")
	if len(got) != 1 {
		o.t.Fatalf("claimed %d jobs, want 1", len(got))
	}
	return got[0]
}

// about is a call about a claim; more are further members of the request.
func (o *office) about(verb string, worker job.ID, j claimedJob, more string) answer {
	o.t.Helper()
	return o.ask(o.keys[auth.Worker], "POST", "/api/worker/"+verb,
		fmt.Sprintf(`{"worker_id":%q,"job_id":%q,"fence":%d%s}`, worker, j.JobID, j.Fence, more))
}

func (o *office) beat(worker job.ID, held ...claimedJob) answer {
	o.t.Helper()
	list := make([]heldJob, len(held))
	for i, j := range held {
		list[i] = heldJob{JobID: j.JobID, Fence: j.Fence, Progressed: true}
	}
	text, err := json.Marshal(heartbeatRequest{worker, list})
	if err != nil {
		o.t.Fatal(err)
	}
	return o.ask(o.keys[auth.Worker], "POST", "/api/worker/heartbeat", string(text))
}

// lose takes all jobs from workers whose lease is over.
func (o *office) lose() {
	o.t.Helper()
	o.later(time.Minute)
	if _, err := o.store.RetireExpired(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.store.Recover(o.t.Context(), 100); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) state(id job.ID, want job.State) job.Job {
	o.t.Helper()
	j, err := o.store.Job(o.t.Context(), id)
	if err != nil || j.State != want {
		o.t.Errorf("job is %s, want %s; error %v", j.State, want, err)
	}
	return j
}

// because is the reason of a problem.
func (a answer) because() string {
	a.t.Helper()
	var p problem
	a.into(&p)
	return p.Reason
}

func TestAWorkerOfAnyLanguageClaimsAndCompletes(t *testing.T) {
	o := newOffice(t)
	id, worker := o.craft(), o.worker()
	jobs := o.claim(worker, `,"limit":5`)
	if len(jobs) != 1 || jobs[0].JobID != id || jobs[0].Kind != crafted || jobs[0].Fence != 1 || jobs[0].Attempt != 1 || !strings.Contains(string(jobs[0].Payload), "a.png") {
		t.Fatalf("claimed %+v", jobs)
	}
	var w page[workerView]
	o.ask(o.keys[auth.Staff], "GET", "/api/workers", "").into(&w)
	if len(w.Items) != 1 || w.Items[0].ID != worker || w.Items[0].Host != "studio-1" || w.Items[0].Capacity != 1 {
		t.Errorf("the list of workers has %+v", w.Items)
	}
	o.about("progress", worker, jobs[0], "").is(http.StatusOK)
	var got jobStanding
	o.about("complete", worker, jobs[0], "").is(http.StatusOK).into(&got)
	if got.State != job.Completed {
		t.Errorf("answered %+v", got)
	}
	o.state(id, job.Completed)
	// The answer was lost, and the worker says it again.
	o.about("complete", worker, jobs[0], "").is(http.StatusOK)
	if n := o.fenced(id); n != 0 {
		t.Errorf("%d writes were fenced", n)
	}
	if jobs := o.claim(worker, ""); jobs == nil || len(jobs) != 0 {
		t.Errorf("without work a claim answers %+v, want an empty list", jobs)
	}
}

func (o *office) fenced(id job.ID) (n int) {
	o.t.Helper()
	story, err := o.store.History(o.t.Context(), id)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, e := range story {
		if e.Type == job.EventWriteFenced {
			n++
		}
	}
	return n
}

func TestWorkersGetTheKindsTheyNameAndNoneOfTheHouse(t *testing.T) {
	o := newOffice(t)
	o.craft()
	worker, key := o.worker(), o.keys[auth.Worker]
	var got claimed
	o.ask(key, "POST", "/api/worker/claim", fmt.Sprintf(`{"worker_id":%q,"kinds":["other"]}`, worker)).is(http.StatusOK).into(&got)
	if len(got.Jobs) != 0 {
		t.Errorf("got %+v", got.Jobs)
	}
	for _, kinds := range []string{`[]`, `[""]`, `["thumbnail","order"]`, `["recheck"]`, `["canary"]`} {
		o.ask(key, "POST", "/api/worker/claim", fmt.Sprintf(`{"worker_id":%q,"kinds":%s}`, worker, kinds)).refused(http.StatusBadRequest, codeInvalidRequest)
		o.ask(key, "POST", "/api/worker/register", fmt.Sprintf(`{"host":"x","kinds":%s}`, kinds)).refused(http.StatusBadRequest, codeInvalidRequest)
	}
	detail := o.ask(o.keys[auth.Staff], "POST", "/api/jobs", `{"kind":"order"}`).refused(http.StatusBadRequest, codeInvalidRequest)
	if !strings.Contains(detail, "/api/orders") {
		t.Errorf("detail %q does not say where orders are placed", detail)
	}
}

func TestLateWritesAreRefusedAndToldWhy(t *testing.T) {
	o := newOffice(t)
	late := o.worker()
	j := o.running(late)
	o.lose()
	for verb, more := range map[string]string{"complete": "", "progress": "", "fail": `,"cause":"x"`, "release": `,"cause":"x"`, "snooze": `,"cause":"x","delay_seconds":1`} {
		got := o.about(verb, late, j, more)
		detail := got.refused(http.StatusConflict, codeLeaseLost)
		if got.because() != job.RetiredLeaseExpired || !strings.Contains(detail, "lease ran out") || !strings.Contains(detail, "pending") {
			t.Errorf("%s: %s because %q", verb, detail, got.because())
		}
	}
	o.state(j.JobID, job.Pending)
	if n := o.fenced(j.JobID); n != 5 {
		t.Errorf("%d writes were recorded as fenced, want 5", n)
	}

	next := o.worker()
	again := o.claim(next, "")
	if len(again) != 1 || again[0].Fence != 2 {
		t.Fatalf("claimed %+v", again)
	}
	if detail := o.about("complete", late, j, "").refused(http.StatusConflict, codeLeaseLost); !strings.Contains(detail, "fence 2") {
		t.Errorf("detail %q does not name the claim that has it", detail)
	}
	// Whoever guesses the fence is not believed either.
	o.about("complete", late, again[0], "").refused(http.StatusForbidden, codeForbidden)
	o.about("complete", next, again[0], "").is(http.StatusOK)
	o.state(j.JobID, job.Completed)

	gone := o.beat(late, j)
	gone.refused(http.StatusConflict, codeLeaseLost)
	if gone.because() != job.RetiredLeaseExpired {
		t.Errorf("the heartbeat is refused because %q", gone.because())
	}
	claim := o.ask(o.keys[auth.Worker], "POST", "/api/worker/claim", fmt.Sprintf(`{"worker_id":%q,"kinds":["thumbnail"]}`, late))
	claim.refused(http.StatusConflict, codeLeaseLost)
	nobody := claimedJob{JobID: job.NewID(), Fence: 1}
	o.about("complete", next, nobody, "").refused(http.StatusNotFound, codeJobNotFound)
	o.beat(job.NewID()).refused(http.StatusNotFound, codeNotFound)
	never := again[0]
	never.Fence = 9
	if got := o.about("complete", next, never, ""); got.because() != reasonNoClaim {
		t.Errorf("a claim that never was is refused because %q", got.because())
	}
}

func TestWhatPeopleDoToAJobIsToldToItsWorker(t *testing.T) {
	o := newOffice(t)
	worker := o.worker()
	j := o.running(worker)
	o.ask(o.keys[auth.Staff], "POST", "/api/jobs/"+j.JobID.String()+"/cancel", `{"reason":"not wanted"}`).is(http.StatusOK)
	var pulse heartbeat
	o.beat(worker, j).is(http.StatusOK).into(&pulse)
	if len(pulse.Lost) != 1 || pulse.Lost[0].JobID != j.JobID || pulse.Lost[0].Reason != reasonCancelled || pulse.Lost[0].Detail == "" {
		t.Errorf("the heartbeat tells of %+v", pulse.Lost)
	}
	if got := o.about("complete", worker, j, ""); got.because() != reasonCancelled {
		t.Errorf("refused because %q", got.because())
	}
}

func TestAHeartbeatKeepsTheLeaseAndGivesStraysBack(t *testing.T) {
	o := newOffice(t)
	worker := o.worker()
	held := o.running(worker)
	for range 3 {
		o.later(15 * time.Second)
		o.beat(worker, held).is(http.StatusOK)
	}
	if ws, err := o.store.RetireExpired(t.Context()); err != nil || len(ws) != 0 {
		t.Errorf("retired %v, error %v", ws, err)
	}
	stray := o.running(worker) // its answer was lost
	o.later(15 * time.Second)
	o.beat(worker, held).is(http.StatusOK)
	o.state(stray.JobID, job.InProgress)
	o.later(15 * time.Second)
	var pulse heartbeat
	o.beat(worker, held).is(http.StatusOK).into(&pulse)
	if len(pulse.Released) != 1 || pulse.Released[0].JobID != stray.JobID || len(pulse.Lost) != 0 {
		t.Errorf("the heartbeat answers %+v", pulse)
	}
	if j := o.state(stray.JobID, job.Pending); j.Attempt != 0 {
		t.Errorf("the stray counts as attempt %d", j.Attempt)
	}
	o.about("complete", worker, held, "").is(http.StatusOK)
}

func TestAHeartbeatKeepsNoJobOfAnotherAlive(t *testing.T) {
	o := newOffice(t)
	worker := o.worker()
	theirs := o.running(o.worker())
	o.placed(o.customer, 1)
	order := o.take(o.pool())
	o.later(time.Second)
	for _, hung := range []claimedJob{theirs, {JobID: order.ID, Fence: order.Fence}} {
		before := o.state(hung.JobID, job.InProgress).ProgressAt
		var pulse heartbeat
		o.beat(worker, hung).is(http.StatusOK).into(&pulse)
		if len(pulse.Lost) != 1 || pulse.Lost[0].Reason != reasonNoClaim || !strings.Contains(pulse.Lost[0].Detail, "another worker's") {
			t.Errorf("the heartbeat tells of %+v", pulse.Lost)
		}
		if now := o.state(hung.JobID, job.InProgress).ProgressAt; !now.Equal(before) {
			t.Errorf("a job of another got further, at %s after %s", now, before)
		}
	}
}

func TestAHeartbeatIsBounded(t *testing.T) {
	o := newOffice(t)
	worker := o.worker()
	nobodys := func(n int) (list []claimedJob) {
		for range n {
			list = append(list, claimedJob{JobID: job.NewID(), Fence: 1})
		}
		return list
	}
	o.beat(worker, nobodys(mostCapacity+1)...).refused(http.StatusBadRequest, codeInvalidRequest)
	var pulse heartbeat
	o.beat(worker, nobodys(mostCapacity)...).is(http.StatusOK).into(&pulse)
	got := map[string]int{}
	for _, l := range pulse.Lost {
		got[l.Reason]++
		if l.Detail == "" {
			t.Errorf("nothing is said of %+v", l)
		}
	}
	if want := map[string]int{reasonNoJob: mostTold, reasonUntold: mostCapacity - mostTold}; !maps.Equal(got, want) {
		t.Errorf("lost because %v, want %v", got, want)
	}
}

// The id of a worker is no secret: staff sees it, and so does the history.
func TestNobodySpeaksForAWorkerOfTheHouse(t *testing.T) {
	o := newOffice(t)
	house, key := o.pool(), o.keys[auth.Worker]
	id := o.placed(o.customer, 1)
	taken := o.take(house)
	lease := claimedJob{JobID: id, Fence: taken.Fence}
	before := o.house(house)
	o.later(time.Second)
	o.craft()
	o.beat(house, lease).refused(http.StatusForbidden, codeForbidden)
	o.ask(key, "POST", "/api/worker/claim", fmt.Sprintf(`{"worker_id":%q,"kinds":["thumbnail"]}`, house)).refused(http.StatusForbidden, codeForbidden)
	o.ask(key, "POST", "/api/worker/leave", fmt.Sprintf(`{"worker_id":%q}`, house)).refused(http.StatusForbidden, codeForbidden)
	for verb, more := range map[string]string{"complete": "", "progress": "", "fail": `,"cause":"x"`, "release": `,"cause":"x"`, "snooze": `,"cause":"x"`} {
		if detail := o.about(verb, house, lease, more).refused(http.StatusForbidden, codeForbidden); !strings.Contains(detail, "kind order") {
			t.Errorf("%s is refused because %q", verb, detail)
		}
	}
	if now := o.house(house); !now.BeatAt.Equal(before.BeatAt) || !now.RetiredAt.IsZero() {
		t.Errorf("the worker is %+v, was %+v", now, before)
	}
	if now := o.state(id, job.InProgress); !now.ProgressAt.Equal(taken.ProgressAt) || now.Fence != taken.Fence {
		t.Errorf("the order is %+v, was %+v", now, taken)
	}
}

func (o *office) house(id job.ID) job.Worker {
	o.t.Helper()
	w, err := o.store.Worker(o.t.Context(), id)
	o.must(err)
	return w
}

func TestAnAttemptEndsAsItsWorkerSays(t *testing.T) {
	o := newOffice(t)
	worker := o.worker()
	end := func(verb, more string, want job.State) job.Job {
		t.Helper()
		j := o.running(worker)
		var got jobStanding
		o.about(verb, worker, j, more).is(http.StatusOK).into(&got)
		if got.State != want {
			t.Errorf("%s answers %s, want %s", verb, got.State, want)
		}
		o.about(verb, worker, j, more).is(http.StatusOK) // said again, because the answer was lost
		now := o.state(j.JobID, want)
		if err := o.store.Cancel(t.Context(), j.JobID, job.By{Actor: "cli:test"}); err != nil && want == job.Pending {
			t.Fatal(err)
		}
		return now
	}
	now := time.Now()
	if j := end("fail", `,"cause":"timeout at example.com"`, job.Pending); j.Failures != 1 || j.Cause != "timeout at example.com" || j.Class != job.ClassTransient {
		t.Errorf("failed as %+v", j)
	}
	if j := end("fail", `,"cause":"busy","delay_seconds":3600`, job.Pending); j.DueAt.Before(now.Add(50 * time.Minute)) {
		t.Errorf("due at %s, want it an hour later", j.DueAt)
	}
	if j := end("fail", `,"cause":"no such page","permanent":true`, job.Failed); j.Class != job.ClassPermanent {
		t.Errorf("failed as %+v", j)
	}
	if j := end("release", `,"cause":"shutting down"`, job.Pending); j.Failures != 0 || j.Attempt != 0 {
		t.Errorf("released as %+v", j)
	}
	if j := end("snooze", `,"cause":"closed until morning","delay_seconds":7200`, job.Pending); j.DueAt.Before(now.Add(time.Hour)) || j.Attempt != 0 {
		t.Errorf("snoozed as %+v", j)
	}
	j := o.running(worker)
	o.about("fail", worker, j, "").refused(http.StatusBadRequest, codeInvalidRequest)
	o.about("fail", worker, j, `,"cause":"x","delay_seconds":-1`).refused(http.StatusBadRequest, codeInvalidRequest)
	o.state(j.JobID, job.InProgress)
}

func TestAWorkerThatLeavesInOrderCostsNothing(t *testing.T) {
	o := newOffice(t)
	worker := o.worker()
	j := o.running(worker)
	for range 2 {
		o.ask(o.keys[auth.Worker], "POST", "/api/worker/leave", fmt.Sprintf(`{"worker_id":%q}`, worker)).is(http.StatusNoContent)
	}
	if _, err := o.store.Recover(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if got := o.state(j.JobID, job.Pending); got.Crashes != 0 || got.Attempt != 0 {
		t.Errorf("crashes %d, attempt %d", got.Crashes, got.Attempt)
	}
	if got := o.about("complete", worker, j, ""); got.because() != reasonReleased {
		t.Errorf("refused because %q: %s", got.because(), got.body)
	}
	o.ask(o.keys[auth.Worker], "POST", "/api/worker/leave", fmt.Sprintf(`{"worker_id":%q}`, job.NewID())).refused(http.StatusNotFound, codeNotFound)
}

func TestAClaimWaitsForWork(t *testing.T) {
	o := newOffice(t)
	worker := o.worker()
	got := make(chan []claimedJob)
	go func() { got <- o.claim(worker, `,"wait_seconds":20`) }()
	time.Sleep(200 * time.Millisecond) // most likely it waits by now; nothing depends on it
	id := o.craft()
	if jobs := <-got; len(jobs) != 1 || jobs[0].JobID != id {
		t.Errorf("claimed %+v, want %s", jobs, id)
	}
	begun := time.Now()
	if jobs := o.claim(worker, `,"wait_seconds":0.3`); len(jobs) != 0 || time.Since(begun) < 250*time.Millisecond {
		t.Errorf("claimed %+v after %s", jobs, time.Since(begun))
	}
	for _, wait := range []string{"-1", "21", "1e300"} {
		o.ask(o.keys[auth.Worker], "POST", "/api/worker/claim", fmt.Sprintf(`{"worker_id":%q,"kinds":["thumbnail"],"wait_seconds":%s}`, worker, wait)).refused(http.StatusBadRequest, codeInvalidRequest)
	}
}

// A client that hung up while it waited does not take a job with it.
func TestAClaimThatNobodyWaitsForTakesNothing(t *testing.T) {
	o := newOffice(t)
	gone, worker := o.worker(), o.worker()
	ctx, hangUp := context.WithCancel(t.Context())
	text := fmt.Sprintf(`{"worker_id":%q,"kinds":["thumbnail"],"wait_seconds":20}`, gone)
	r, err := http.NewRequestWithContext(ctx, "POST", o.url+"/api/worker/claim", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+o.keys[auth.Worker])
	time.AfterFunc(200*time.Millisecond, hangUp)
	if res, err := http.DefaultClient.Do(r); err == nil {
		res.Body.Close()
		t.Fatalf("answered %d before the client hung up", res.StatusCode)
	}
	id := o.craft()
	for deadline := time.Now().Add(15 * time.Second); ; {
		if jobs := o.claim(worker, `,"wait_seconds":1`); len(jobs) == 1 && jobs[0].JobID == id {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job is lost to a client that hung up: %+v", o.state(id, job.Pending))
		}
	}
}

func TestAQuarantinedJobGoesToAWorkerThatRunsNothingElse(t *testing.T) {
	o := newOffice(t)
	o.craft()
	for range job.QuarantineAfter {
		o.later(time.Hour) // past any backoff
		if jobs := o.claim(o.worker(), ""); len(jobs) != 1 {
			t.Fatalf("claimed %+v", jobs)
		}
		o.lose()
	}
	o.later(time.Hour)
	worker := o.worker()
	if jobs := o.claim(worker, ""); len(jobs) != 0 {
		t.Errorf("a worker that may run others got %+v", jobs)
	}
	if jobs := o.claim(worker, `,"alone":true`); len(jobs) != 1 || !jobs[0].Quarantined {
		t.Errorf("a worker that runs nothing got %+v", jobs)
	}
}

func TestStaffEnqueuesWorkForWorkersOfAnyLanguage(t *testing.T) {
	o := newOffice(t)
	staff := o.keys[auth.Staff]
	made := o.ask(staff, "POST", "/api/jobs", `{"kind":"thumbnail","payload":{"a":1},"priority":2,"max_attempts":7,"customer_id":"`+o.customer.String()+`"}`, idempotencyHeader, "k").is(http.StatusCreated)
	var j jobView
	made.into(&j)
	if j.Kind != crafted || j.Priority != 2 || j.MaxAttempts != 7 || j.CustomerID != o.customer || made.header.Get("Location") != "/api/jobs/"+j.ID.String() {
		t.Errorf("made %s", made.body)
	}
	for body, want := range map[string][2]int{
		`{"kind":"x"}`: {testMaxAttempts, testCrashBudget},
		`{"kind":"x","max_attempts":1,"crash_budget":0}`: {1, testCrashBudget},
		`{"kind":"x","crash_budget":9}`:                  {testMaxAttempts, 9},
	} {
		var j jobView
		o.ask(staff, "POST", "/api/jobs", body).is(http.StatusCreated).into(&j)
		if got := [2]int{j.MaxAttempts, j.CrashBudget}; got != want {
			t.Errorf("%s: budgets %v, want %v", body, got, want)
		}
	}
	for _, body := range []string{`{}`, `{"kind":"x","payload":[1]}`, `{"kind":"x","priority":9}`, `{"kind":"x","delay_seconds":-1}`, `{"kind":"x","payload":7}`} {
		o.ask(staff, "POST", "/api/jobs", body).refused(http.StatusBadRequest, codeInvalidRequest)
	}
	o.ask(staff, "POST", "/api/jobs", `{"kind":"x","customer_id":"`+job.NewID().String()+`"}`).refused(http.StatusNotFound, codeCustomerNotFound)
}

func TestWhatWorkersOverHTTPDoIsCountedForReports(t *testing.T) {
	s := &server{Deps: Deps{Metrics: unheard{}, Tally: new(tally.Tally)}}
	paid := job.Job{Kind: crafted, ValueCents: 500}
	s.ended("complete", paid, job.Completed)
	s.ended("complete", job.Job{Kind: crafted, ValueCents: 700, Canary: true}, job.Completed)
	s.ended("fail", paid, job.Failed)
	s.ended("fail", paid, job.Pending)
	s.ended("progress", paid, job.InProgress)
	got := map[string]int64{}
	err := s.Tally.HandOver(t.Context(), func(_ context.Context, facts ...job.Fact) error {
		for _, f := range facts {
			got[f.Name+" "+f.Labels] += f.Value
		}
		return nil
	})
	want := map[string]int64{job.FactCompleted + " " + crafted: 2, job.FactCompletedWorth + " " + crafted: 500, job.FactFailed + " " + crafted: 1}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v; error %v", got, want, err)
	}
}

// unread is a store that does not find workers.
type unread struct{ Store }

func (unread) Worker(context.Context, job.ID) (job.Worker, error) {
	return job.Worker{}, errors.New("no answer")
}

// Each process hears some of a worker's beats, and together they know how long it had its
// lease: no second is missing, none is there twice.
func TestUptimeOverHTTPIsTheTimeWithALease(t *testing.T) {
	o := newOffice(t)
	var tallies [3]tally.Tally
	var urls [3]string
	for i := range urls {
		d := o.deps
		d.Tally = &tallies[i]
		if i == 2 {
			d.Store = unread{d.Store}
		}
		urls[i] = o.serve(d)
	}
	worker := o.worker()
	begun := o.house(worker).BeatAt
	for i := range 9 {
		o.later(1500 * time.Millisecond)
		o.url = urls[i%2]
		o.beat(worker).is(http.StatusOK)
	}
	want := o.house(worker).BeatAt.Unix() - begun.Unix()

	o.later(time.Minute) // nobody retires it, but its lease was over
	o.beat(worker).is(http.StatusOK)
	again := o.house(worker).BeatAt
	o.later(7 * time.Second)
	o.beat(worker).is(http.StatusOK)
	want += o.house(worker).BeatAt.Unix() - again.Unix()

	o.lose()
	o.beat(worker).refused(http.StatusConflict, codeLeaseLost)
	o.beat(job.NewID()).refused(http.StatusNotFound, codeNotFound)
	o.url = urls[2]
	o.beat(worker).refused(http.StatusInternalServerError, codeInternal)

	for i := range tallies {
		o.must(tallies[i].HandOver(t.Context(), o.store.AddFacts))
	}
	got := map[string]int64{}
	for _, name := range []string{job.FactUptime, job.FactBeats, job.FactBeatsFailed} {
		sums, err := o.store.Rollups(t.Context(), name, begun.Add(-time.Hour), begun.Add(time.Hour))
		o.must(err)
		for _, sum := range sums {
			got[name+sum.Labels] += sum.Value
		}
	}
	if want < 20 || !maps.Equal(got, map[string]int64{job.FactUptime: want, job.FactBeats: 11, job.FactBeatsFailed: 2}) {
		t.Errorf("counted %v, want %d s with a lease, 11 beats and 2 that failed", got, want)
	}
}
