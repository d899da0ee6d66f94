package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// studio is an installation without workers of its own: API processes, a stale monitor,
// and workers in Python, the example of docs/workers.md.
type studio struct {
	*stack
	apis          []*process
	urls          []string
	staff, worker string // keys
	monitor       *process
}

func newStudio(t *testing.T, s *stack, lease time.Duration) *studio {
	t.Helper()
	s.set("LEASE", lease.String())
	o := &studio{stack: s, staff: s.key("staff"), worker: s.key("worker")}
	for range 2 { // each call may be answered by another process
		p, url := s.serve()
		o.apis, o.urls = append(o.apis, p), append(o.urls, url)
	}
	o.monitor = s.start("stale-monitor")
	return o
}

// key makes an API key.
func (s *stack) key(role string, args ...string) string {
	s.t.Helper()
	made := lines[struct{ Key string }](s, append([]string{"keys", "create", "--role", role, "--name", "test"}, args...)...)
	if len(made) != 1 || made[0].Key == "" {
		s.t.Fatalf("keys create answered %+v", made)
	}
	return made[0].Key
}

// python starts the example worker. Its output is a line of JSON for each thing it says.
func (o *studio) python(url string) *process {
	o.t.Helper()
	path, err := filepath.Abs("../../examples/worker.py")
	if err != nil {
		o.t.Fatal(err)
	}
	cmd := exec.Command("python3", path)
	cmd.Env = append(os.Environ(), "DIRECTORYBOLT_URL="+url, "DIRECTORYBOLT_KEY="+o.worker)
	return o.launch("python", cmd)
}

// said returns the lines of a worker in Python with that text.
func said(p *process, text string) (found []map[string]any) {
	for line := range bytes.Lines(p.output()) {
		var said map[string]any
		if json.Unmarshal(line, &said) == nil && said["msg"] == text {
			found = append(found, said)
		}
	}
	return found
}

// awaitSaid polls until a worker has said one of them.
func (o *studio) awaitSaid(p *process, texts ...string) map[string]any {
	o.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		p.alive()
		for _, text := range texts {
			if found := said(p, text); len(found) > 0 {
				return found[0]
			}
		}
	}
	o.t.Fatalf("the worker never said any of %q:\n%s", texts, tail(p.output()))
	return nil
}

// call is a request with a key; it decodes the answer into out, if that is wanted.
func (o *studio) call(key, method, path string, body string, out any) int {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), method, o.urls[len(body)%len(o.urls)]+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	res, err := web.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		o.t.Fatalf("%s %s: %v in %s", method, path, err, data)
	}
	return res.StatusCode
}

// waiting enqueues a job that lasts so long.
func (o *studio) waiting(d time.Duration) job.ID {
	o.t.Helper()
	var made job.Job
	status := o.call(o.staff, "POST", "/api/jobs", fmt.Sprintf(`{"kind":"example.wait","payload":{"seconds":%g},"crash_budget":100}`, d.Seconds()), &made)
	if status != http.StatusCreated {
		o.t.Fatalf("the job was answered with %d: %+v", status, made)
	}
	return made.ID
}

// awaitOwner polls until somebody else than those has the job.
func (o *studio) awaitOwner(id job.ID, not ...job.ID) job.Job {
	o.t.Helper()
	var j job.Job
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if j, err = o.store().Job(o.t.Context(), id); err != nil {
			o.t.Fatal(err)
		}
		if j.State == job.InProgress && !slices.Contains(not, j.WorkerID) {
			return j
		}
	}
	o.t.Fatalf("nobody else runs job %s: it is %s, crashes %d, fence %d\n%s", id, j.State, j.Crashes, j.Fence, tail(o.monitor.output()))
	return j
}

// lateWrite sends a completion under a claim that is over, and checks why it is refused.
func (o *studio) lateWrite(before job.Job, reason string) {
	o.t.Helper()
	var p struct{ Code, Reason, Detail string }
	body := fmt.Sprintf(`{"worker_id":%q,"job_id":%q,"fence":%d}`, before.WorkerID, before.ID, before.Fence)
	if status := o.call(o.worker, "POST", "/api/worker/complete", body, &p); status != http.StatusConflict ||
		p.Code != "LEASE_LOST" || p.Reason != reason || !strings.Contains(p.Detail, "Nothing was changed") {
		o.t.Errorf("a late write is answered with %d %+v, want 409 LEASE_LOST because %s", status, p, reason)
	}
}

// A worker in Python works, and ends in order.
func TestPythonWorkerCompletesJobs(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		o := newStudio(t, s, 3*time.Second)
		p := o.python(o.urls[0])
		var ids []job.ID
		for range 5 {
			ids = append(ids, o.waiting(50*time.Millisecond))
		}
		for _, id := range ids {
			if j := o.awaitFinal(id, 30*time.Second, p, o.monitor); j.State != job.Completed || j.Fence != 1 {
				t.Errorf("job is %s, fence %d: %s", j.State, j.Fence, j.Cause)
			}
		}
		var made job.Job
		o.call(o.staff, "POST", "/api/jobs", `{"kind":"example.refuse"}`, &made)
		if made.MaxAttempts != 100 || made.CrashBudget != 1000 {
			t.Errorf("the job may fail %d times and crash %d times; the settings say 100 and 1000", made.MaxAttempts, made.CrashBudget)
		}
		if j := o.awaitFinal(made.ID, 30*time.Second, p); j.State != job.Failed || j.Cause != "nobody can do that" || j.Class != job.ClassPermanent {
			t.Errorf("job is %s, class %s: %s", j.State, j.Class, j.Cause)
		}
		eventually(t, "the worker is in the metrics", func() bool { return metric(t, o.urls[1], "workers_live") == 1 })
		last := o.waiting(time.Second)
		// One that is claimed and not begun would be given back, for others.
		eventually(t, "the worker begins the last job", func() bool {
			begun := said(p, "claimed")
			return len(begun) > 0 && begun[len(begun)-1]["job_id"] == last.String()
		})
		p.signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(30 * time.Second):
			t.Fatalf("the worker does not end:\n%s", tail(p.output()))
		}
		if j := o.awaitFinal(last, 30*time.Second, p); j.State != job.Completed || j.Crashes != 0 {
			t.Errorf("the job that ran at the end is %s after %d crashes", j.State, j.Crashes)
		}
		ws, err := o.store().Workers(t.Context(), time.Hour)
		if err != nil || len(ws) != 1 || ws[0].RetiredCause != job.RetiredStopped {
			t.Fatalf("workers %+v, error %v; want one that left in order", ws, err)
		}
		o.checkUptime(ws[0])
	})
}

// checkUptime ends the API processes, and holds what they told the store of a worker's
// beats against its row.
func (o *studio) checkUptime(w job.Worker) {
	o.t.Helper()
	for _, p := range o.apis {
		p.signal(syscall.SIGTERM)
		<-p.exited
	}
	sums, err := o.store().Rollups(o.t.Context(), job.FactUptime, w.StartedAt.Add(-time.Hour), w.BeatAt.Add(time.Hour))
	if err != nil {
		o.t.Fatal(err)
	}
	var up int64
	for _, s := range sums {
		up += s.Value
	}
	if want := w.BeatAt.Unix() - w.StartedAt.Unix(); up != want || want == 0 {
		o.t.Errorf("%d s with a lease are counted, want %d", up, want)
	}
}

// A worker in Python that is killed loses its job to another, and its late writes are
// refused.
func TestPythonWorkerKilledIsRecovered(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		o := newStudio(t, s, 3*time.Second)
		victim := o.python(o.urls[0])
		id := o.waiting(4 * time.Second)
		before := o.awaitOwner(id)
		victim.kill()
		other := o.python(o.urls[1])
		after := o.awaitOwner(id, before.WorkerID)
		if after.Fence <= before.Fence || after.Crashes == 0 {
			t.Errorf("fence %d after %d, crashes %d", after.Fence, before.Fence, after.Crashes)
		}
		o.lateWrite(before, job.RetiredLeaseExpired)
		if j := o.awaitFinal(id, time.Minute, other, o.monitor); j.State != job.Completed || j.WorkerID == before.WorkerID {
			t.Errorf("job is %s by %s: %s", j.State, j.WorkerID, j.Cause)
		}
		o.lateWrite(before, job.RetiredLeaseExpired)
		o.checkStory(id)
	})
}

// A worker in Python that is frozen loses its job to another; when it wakes, what it
// says of it is refused, it hears why, and works on under another identity.
func TestPythonWorkerFrozenIsRecoveredAndFenced(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		o := newStudio(t, s, 3*time.Second)
		frozen := o.python(o.urls[0])
		id := o.waiting(4 * time.Second)
		before := o.awaitOwner(id)
		frozen.signal(syscall.SIGSTOP)
		other := o.python(o.urls[1])
		after := o.awaitOwner(id, before.WorkerID)
		frozen.signal(syscall.SIGCONT)
		o.awaitSaid(frozen, "stopped") // its own clock may say so before the server does
		// What it hears first when it wakes, of the job or of itself, is chance.
		late := o.awaitSaid(frozen, "late write refused", "retired")
		if late["status"] != float64(http.StatusConflict) || late["reason"] != job.RetiredLeaseExpired ||
			!strings.Contains(fmt.Sprint(late["detail"]), "heartbeat") {
			t.Errorf("the woken worker was told %v", late)
		}
		o.lateWrite(before, job.RetiredLeaseExpired)
		if j := o.awaitFinal(id, time.Minute, other, o.monitor); j.State != job.Completed || j.WorkerID == before.WorkerID || j.Fence < after.Fence {
			t.Errorf("job is %s by %s, fence %d; it was %s's, fence %d", j.State, j.WorkerID, j.Fence, after.WorkerID, after.Fence)
		}
		o.checkStory(id)
		other.signal(syscall.SIGTERM)
		<-other.exited
		next := o.waiting(50 * time.Millisecond)
		if j := o.awaitFinal(next, time.Minute, frozen, o.monitor); j.State != job.Completed || j.WorkerID == before.WorkerID {
			t.Errorf("the woken worker's next job is %s by %s", j.State, j.WorkerID)
		}
	})
}

// checkStory holds the history against what happened: each recovery led to one more
// claim, and a write that came too late was refused.
func (o *studio) checkStory(id job.ID) {
	o.t.Helper()
	told := map[string]int{}
	for _, e := range o.history(id) {
		told[e.Type]++
	}
	if told[job.EventJobRecovered] == 0 || told[job.EventJobClaimed] != told[job.EventJobRecovered]+1 || told[job.EventWriteFenced] == 0 {
		o.t.Errorf("the history tells of %v", told)
	}
}
