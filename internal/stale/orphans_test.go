package stale

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// seeker is a monitor that looks for orphans, as a process of its own has one.
func (w *ward) seeker() *Monitor {
	m := w.monitor()
	m.Orphans = w
	return m
}

// lose deletes a row behind the store's back.
func (w *ward) lose(table string, id job.ID) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(w.t.Context(), "DELETE FROM "+table+" WHERE id = ?", id.String()); err != nil {
		w.t.Fatal(err)
	}
}

// kinds are what a pass told of.
func kinds(r Result) string {
	told := ""
	for _, f := range r.Orphans {
		told += f.Kind + " " + f.Cause + "; "
	}
	return told
}

func (w *ward) tells(m *Monitor, want string) Result {
	w.t.Helper()
	r := w.pass(m)
	if got := kinds(r); got != want {
		w.t.Errorf("told of %q, want %q", got, want)
	}
	return r
}

// notices takes the notices that wait to be sent.
func (w *ward) notices() []job.Message {
	w.t.Helper()
	sent, err := w.TakeMessages(w.t.Context(), job.MessageAlert, 100, time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range sent {
		if err := w.MarkSent(w.t.Context(), m.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	return sent
}

func TestJobsOfAnOwnerThatNobodyKnowsAreTakenInTheSamePass(t *testing.T) {
	w := newWard(t)
	m := w.seeker()
	w.tells(m, "")
	id, jobs := w.worker(2)
	w.lose("workers", id)
	r := w.tells(m, "no_owner no_owner; ")
	w.expect(r, 0, 2)
	for _, moved := range r.Recovered {
		if moved.Cause != job.NoOwner || moved.State != job.Pending || moved.Fence != jobs[0].Fence {
			t.Errorf("recovered %+v, want it pending because of %s", moved, job.NoOwner)
		}
	}
	if n := len(w.notices()); n != 1 {
		t.Errorf("%d notices, want 1", n)
	}
	w.advance(time.Minute)
	w.tells(m, "")
	if sent := w.notices(); len(sent) != 1 || sent[0].Key != "orphans:no_owner:resolved" {
		t.Errorf("notices %v, want that it is over", sent)
	}
}

// TestAnOrderCancelledInTheMiddleOfAPostLeavesWorkForAPerson has an intent that nobody
// will ever ask the directory about.
func TestAnOrderCancelledInTheMiddleOfAPostLeavesWorkForAPerson(t *testing.T) {
	w := newWard(t)
	m := w.seeker()
	id := job.NewID()
	if err := w.Register(t.Context(), job.Worker{ID: id, Kinds: []string{job.KindOrder}, Capacity: 1}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enqueue(t.Context(), job.Spec{Kind: job.KindOrder, Quota: 1, ValueCents: 14900}); err != nil {
		t.Fatal(err)
	}
	jobs, err := w.Claim(t.Context(), job.ClaimRequest{Worker: id, Limit: 1, Kinds: []string{job.KindOrder}})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	lease := jobs[0].Lease()
	subs, err := w.Plan(t.Context(), lease, directory.Plan{Choices: []directory.Choice{{Directory: "alpha", Rank: 1}}, Identity: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Intend(t.Context(), lease, subs[0].ID, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := w.Cancel(t.Context(), lease.JobID, job.By{Actor: "cli:ann", Reason: "asked to"}); err != nil {
		t.Fatal(err)
	}
	w.tells(m, "")
	w.advance(m.Patience + 11*time.Second)
	r := w.tells(m, "undecided cancelled; ")
	if f := r.Orphans[0]; f.Directory != "alpha" || f.OrderID != lease.JobID || f.ValueCents != 14900 {
		t.Errorf("found %+v, want the directory of the order, with its value", f)
	}
	subs, err = w.Submissions(t.Context(), lease.JobID)
	if err != nil || subs[0].State != directory.Uncertain {
		t.Errorf("the submission is %s, error %v; want it uncertain", subs[0].State, err)
	}
}

func TestWorkThatIdleWorkersLeaveIsToldOnceByAnyNumberOfMonitors(t *testing.T) {
	w := newWard(t)
	ms := []*Monitor{w.seeker(), w.seeker()}
	id := job.NewID()
	if err := w.Register(t.Context(), job.Worker{ID: id, Kinds: []string{job.KindNoop}, Capacity: 1}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enqueue(t.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
		t.Fatal(err)
	}
	told := 0
	for range 10 { // five minutes
		for _, m := range ms {
			told += len(w.pass(m).Orphans)
			m.looked = w.clock() // nobody was away
		}
		w.advance(ms[0].Patience / 2)
	}
	restarted := w.seeker()
	told += len(w.pass(restarted).Orphans)
	sent := w.notices()
	if told != 1 || len(sent) != 1 || sent[0].Key != "orphans:unclaimed" {
		t.Errorf("told %d times, notices %v; want once", told, sent)
	}
	if jobs, err := w.Claim(t.Context(), job.ClaimRequest{Worker: id, Limit: 1, Kinds: []string{job.KindNoop}}); err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	w.advance(restarted.Patience)
	w.pass(restarted)
	if sent := w.notices(); len(sent) != 1 || sent[0].Key != "orphans:unclaimed:resolved" {
		t.Errorf("notices %v, want that it is over", sent)
	}
}

// blind is a store that cannot look for one kind of orphan.
type blind struct {
	*ward
	kind string
	seen map[string]int
}

func (b *blind) FindOrphans(ctx context.Context, kind string, after time.Duration, limit int) ([]job.Finding, error) {
	b.seen[kind]++
	if kind == b.kind {
		return nil, errors.New("statement took too long")
	}
	return b.ward.FindOrphans(ctx, kind, after, limit)
}

func TestAFailedLookForOrphansDelaysNoRecovery(t *testing.T) {
	for _, l := range orphanLooks {
		t.Run(l.kind, func(t *testing.T) {
			w := newWard(t)
			w.worker(2)
			b := &blind{w, l.kind, map[string]int{}}
			m := w.monitor()
			m.Orphans = b
			for range 5 {
				w.advance(5 * time.Second)
				_, _ = m.Pass(t.Context())
			}
			if m.spare > 0 {
				t.Error("leases are spared as if nobody had looked")
			}
			if c, err := w.Counts(t.Context()); err != nil || c[job.Pending] != 2 {
				t.Errorf("%v, error %v; want both jobs of the dead worker pending", c, err)
			}
			for _, l := range orphanLooks {
				if b.seen[l.kind] == 0 {
					t.Errorf("nobody looked for %s", l.kind)
				}
			}
			if b.seen[job.OrphanUnsent] != 1 {
				t.Errorf("%d looks for unsent messages within half of the patience, want 1", b.seen[job.OrphanUnsent])
			}
		})
	}
}

func TestAFailedLookForOrphansIsAFailedPass(t *testing.T) {
	w := newWard(t)
	m := w.monitor()
	m.Orphans = &blind{w, job.OrphanUnsent, map[string]int{}}
	if _, err := m.Pass(t.Context()); err == nil {
		t.Error("no error")
	}
}

// lastPass keeps a pass and then tells its process to go.
type lastPass struct {
	*ward
	stop func()
}

func (l lastPass) RecordPass(ctx context.Context, p job.MonitorPass) error {
	defer l.stop()
	return l.ward.RecordPass(ctx, p)
}

func TestAMonitorThatIsToldToGoSaysGoodbye(t *testing.T) {
	w := newWard(t)
	m := w.monitor()
	ctx, stop := context.WithCancel(t.Context())
	m.Passes = lastPass{w, stop}
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	p := w.passes()[0]
	if p.LeftAt.Before(p.At) || p.Every != m.Interval {
		t.Errorf("kept %+v, want that it left after its last pass, and its interval", p)
	}
	w.pass(m)
	if p := w.passes()[0]; !p.LeftAt.IsZero() {
		t.Errorf("it looks again and still counts as gone since %s", p.LeftAt)
	}
}
