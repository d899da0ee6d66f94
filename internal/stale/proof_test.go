package stale

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

func (w *ward) passes() []job.MonitorPass {
	w.t.Helper()
	ps, err := w.MonitorPasses(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return ps
}

func TestEachPassIsKeptWithWhatItFound(t *testing.T) {
	w := newWard(t)
	m, other := w.monitor(), w.monitor()
	m.Passes, other.Passes = w, w
	w.worker(3)
	w.pass(m)
	w.pass(other)
	w.advance(lease + time.Second)
	w.looksGood(m)
	w.pass(m)
	ps := w.passes()
	if len(ps) != 2 {
		t.Fatalf("%d rows, want one for each monitor", len(ps))
	}
	p := ps[0]
	if p.Monitor != job.MonitorStale || p.Passes != 2 || p.Failed != 0 || p.Error != "" || p.Counts["retired"] != 1 || p.Counts["recovered"] != 3 {
		t.Errorf("kept %+v, want the second good pass, with 1 worker retired and 3 jobs recovered", p)
	}
	if p.At.Sub(ps[1].At) < lease || p.GoodAt != p.At {
		t.Errorf("the pass is kept at %s, good at %s; the other monitor's at %s", p.At, p.GoodAt, ps[1].At)
	}

	w.recover = errors.New("store is busy")
	if _, err := m.Pass(t.Context()); !errors.Is(err, w.recover) {
		t.Errorf("error %v, want %v", err, w.recover)
	}
	if p := w.passes()[0]; p.Passes != 3 || p.Failed != 1 || !strings.Contains(p.Error, "store is busy") || !p.At.After(p.GoodAt) {
		t.Errorf("kept %+v, want a third pass that failed", p)
	}
}

func TestWhatAMonitorDidIsInTheSumsWhenItLeft(t *testing.T) {
	w := newWard(t)
	m := w.monitor()
	m.Rollups = w
	w.worker(3)
	w.workerOn(job.Spec{Kind: job.KindCanary, Canary: true}, 2) // a drill's: in no report
	w.pass(m)
	w.advance(lease + time.Second)
	w.looksGood(m)
	w.pass(m)
	w.recover = errors.New("store is busy")
	if _, err := m.Pass(t.Context()); err == nil {
		t.Fatal("no error")
	}
	m.handOver(t.Context(), time.Minute)
	for name, want := range map[string]int64{
		job.FactPasses + " stale": 2, job.FactPassesFailed + " stale": 1,
		job.FactRetired + " lease_expired": 1, job.FactRecovered + " lease_expired": 3,
	} {
		name, label, _ := strings.Cut(name, " ")
		rs, err := w.Rollups(t.Context(), name, time.Unix(0, 0), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, r := range rs {
			if r.Labels == label {
				sum += r.Value
			}
		}
		if sum != want {
			t.Errorf("%s of %s: %d, want %d", name, label, sum, want)
		}
	}
}

// forgetful is a store that takes no passes.
type forgetful struct{ *ward }

func (forgetful) RecordPass(context.Context, job.MonitorPass) error {
	return errors.New("disk is full")
}

func TestAPassThatNobodyCanSeeHasFailed(t *testing.T) {
	w := newWard(t)
	m, heard := w.monitor(), &passes{}
	m.Passes, m.Metrics = forgetful{w}, heard
	if _, err := m.Pass(t.Context()); err == nil || !strings.Contains(err.Error(), "record the pass: disk is full") || heard.failed != 1 {
		t.Errorf("error %v, %d failed passes heard; want it to fail for that", err, heard.failed)
	}
}

func TestTheLogSaysOnceAMinuteWhatWasChecked(t *testing.T) {
	w := newWard(t)
	var said bytes.Buffer
	m := w.monitor()
	m.Log = slog.New(slog.NewTextHandler(&said, nil))
	for range 24 { // two minutes
		w.pass(m)
		w.advance(5 * time.Second)
	}
	w.pass(m)
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], "passes=12 failed=0 retired=0 recovered=0") {
		t.Errorf("said in two minutes:\n%s", said.String())
	}
}
