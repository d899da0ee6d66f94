package stale

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// listener counts what a monitor tells of.
type listener struct {
	noMetrics
	storms int
	open   bool
}

func (l *listener) StormOpened()        { l.storms++ }
func (l *listener) StormOpen(open bool) { l.open = open }

func TestStormIsHeldAndReleased(t *testing.T) {
	w := newWard(t)
	heard := &listener{}
	m := w.monitor()
	m.Metrics, m.StallAfter = heard, lease
	for range 4 {
		w.worker(2)
	}
	alive, _ := w.worker(1)
	w.expect(w.pass(m), 0, 0)
	w.advance(lease + time.Second)
	w.looksGood(m)
	w.beat(alive)
	if r := w.pass(m); !r.Storm.Open() || heard.storms != 1 || !heard.open {
		t.Errorf("storm %+v, %d opened, open %v; want one", r.Storm, heard.storms, heard.open)
	}
	for range 5 {
		w.advance(10 * time.Second)
		w.beat(alive)
		w.looksGood(m)
		w.expect(w.pass(m), 0, 0) // nobody is judged by progress either
	}
	w.advance(10 * time.Second)
	w.beat(alive)
	w.looksGood(m)
	r := w.pass(m)
	if r.Storm.Open() || heard.open {
		t.Errorf("storm %+v goes on after its time", r.Storm)
	}
	if len(r.Retired) != 4 || len(r.Recovered) < 8 {
		t.Errorf("retired %d and recovered %d, want 4 and their jobs", len(r.Retired), len(r.Recovered))
	}
}

// TestSmallInstallationsAreNeverHeld loses all of one, two and three workers at once.
func TestSmallInstallationsAreNeverHeld(t *testing.T) {
	for n := 1; n < job.StormOwners; n++ {
		w := newWard(t)
		m := w.monitor()
		for range n {
			w.worker(1)
		}
		w.advance(lease + time.Second)
		w.expect(w.pass(m), n, n)
	}
}

// told takes what people are to be told.
func (w *ward) told() (all []job.Notice) {
	w.t.Helper()
	messages, err := w.TakeMessages(w.t.Context(), job.MessageAlert, 100, time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range messages {
		var n job.Notice
		if err := json.Unmarshal(m.Payload, &n); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b job.Notice) int { return int(a.Count - b.Count) })
	return all
}

// TestEachCauseIsToldOnce takes back jobs for three causes in one pass, canaries among
// them, and what a drain left behind.
func TestEachCauseIsToldOnce(t *testing.T) {
	w := newWard(t)
	m := w.monitor()
	m.Teller = w
	w.worker(1) // falls silent
	dead, _ := w.worker(12)
	left, _ := w.worker(4)
	canary := w.canary(2)
	for id, cause := range map[job.ID]string{dead: job.RetiredLockLost, left: job.RetiredStopped, canary: job.RetiredLockLost} {
		if err := w.Retire(t.Context(), id, cause, job.By{}); err != nil {
			t.Fatal(err)
		}
	}
	w.advance(lease + time.Second)
	r := w.pass(m)
	w.expect(r, 1, 19)
	got := w.told()
	if len(got) != 3 {
		t.Fatalf("%d notices, want 3: %+v", len(got), got)
	}
	for i, want := range []job.Notice{
		{Cause: job.RetiredLeaseExpired, Group: string(job.Liveness), Count: 1, Text: "1 job was taken back because their worker stopped beating (lease_expired)"},
		{Cause: job.RetiredLockLost, Group: string(job.DeathWatch), Count: 2, Canary: true, Text: "2 jobs were taken back because their worker's process ended (lock_lost)"},
		{Cause: job.RetiredLockLost, Group: string(job.DeathWatch), Count: 12, Text: "12 jobs were taken back because their worker's process ended (lock_lost)"},
	} {
		n := got[i]
		if n.Alert != job.AlertStaleRecovered || n.Cause != want.Cause || n.Group != want.Group || n.Count != want.Count || n.Canary != want.Canary || n.Text != want.Text {
			t.Errorf("notice %d: %+v\nwant %+v", i, n, want)
		}
		if len(n.JobIDs) != min(int(n.Count), job.MostNoticeJobs) {
			t.Errorf("notice %d names %d jobs", i, len(n.JobIDs))
		}
	}
	w.pass(m)
	if again := w.told(); len(again) != 0 {
		t.Errorf("told again: %+v", again)
	}
}

// canary registers a worker that runs n canaries.
func (w *ward) canary(n int) job.ID {
	w.t.Helper()
	id := job.NewID()
	if err := w.Register(w.t.Context(), job.Worker{ID: id, Capacity: n}, lease); err != nil {
		w.t.Fatal(err)
	}
	for range n {
		if _, err := w.Enqueue(w.t.Context(), job.Spec{Kind: job.KindCanary, Canary: true}); err != nil {
			w.t.Fatal(err)
		}
	}
	jobs, err := w.Claim(w.t.Context(), job.ClaimRequest{Worker: id, Limit: n, Kinds: []string{job.KindCanary}})
	if err != nil || len(jobs) != n {
		w.t.Fatal(jobs, err)
	}
	return id
}

// mute is a teller that takes nothing for a while.
type mute struct {
	*ward
	err error
}

func (m *mute) Tell(ctx context.Context, e job.Event, n *job.Notice) error {
	if m.err != nil {
		return m.err
	}
	return m.ward.Tell(ctx, e, n)
}

func TestWhatCouldNotBeToldIsToldLater(t *testing.T) {
	w := newWard(t)
	m := w.monitor()
	teller := &mute{w, errAway}
	m.Teller = teller
	w.worker(1)
	w.advance(lease + time.Second)
	w.expect(w.pass(m), 1, 1)
	if got := w.told(); len(got) != 0 {
		t.Fatal(got)
	}
	teller.err = nil
	w.pass(m)
	if got := w.told(); len(got) != 1 || got[0].Count != 1 {
		t.Errorf("told later: %+v, want one notice of one job", got)
	}
}
