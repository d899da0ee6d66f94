package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// sums are the store's sums of a name, by label.
func sums(t *testing.T, s job.Rollups, name string) map[string]int64 {
	t.Helper()
	rs, err := s.Rollups(t.Context(), name, time.Unix(0, 0), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]int64{}
	for _, r := range rs {
		m[r.Labels] += r.Value
	}
	return m
}

func TestWhatAPoolDidIsInTheSumsWhenItLeft(t *testing.T) {
	s := newStore(t)
	const good, bad = 20, 3
	specs := make([]job.Spec, good+bad)
	for i := range specs {
		specs[i] = job.Spec{Kind: job.KindNoop, ValueCents: 100, Canary: i == 0}
		if i >= good {
			specs[i].Payload = []byte(`{"bad": true}`)
		}
	}
	c := quick(s, noop(func(_ context.Context, a job.Attempt) error {
		if len(a.Job.Payload) > 2 {
			return job.Permanent(errors.New("bad"))
		}
		return nil
	}))
	c.Rollups = s
	stop := start(t, c)
	placed, err := s.Enqueue(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range placed {
		awaitJob(t, s, e.ID, "final", func(j job.Job) bool { return j.State.Final() })
	}
	awaitJob(t, s, placed[0].ID, "there when the worker beats", func(job.Job) bool { return s.beats.Load() > 0 })
	stop()
	for name, want := range map[string]int64{job.FactCompleted: good, job.FactFailed: bad, job.FactCompletedWorth: 100 * (good - 1)} {
		if got := sums(t, s, name)[job.KindNoop]; got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if beats := sums(t, s, job.FactBeats)[""]; beats < 1 {
		t.Errorf("%d good beats", beats)
	}
}

// TestUptimeIsTheTimeWithALease counts beats by hand, on a clock that the test turns.
func TestUptimeIsTheTimeWithALease(t *testing.T) {
	s := newStore(t)
	at := time.Hour
	c := quick(s, noop(func(context.Context, job.Attempt) error { return nil }))
	c.Rollups, c.clock = s, func() time.Duration { return at }
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // two tenures; what lies between them is no uptime
		tn := newTenure(p)
		if err := tn.register(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			at += 1500 * time.Millisecond
			tn.countBeat(at, nil)
		}
		at += time.Minute
		tn.countBeat(at, errAway)
		tn.errands.Wait()
		tn.handOver()
	}
	if up, beats, failed := sums(t, s, job.FactUptime)[""], sums(t, s, job.FactBeats)[""], sums(t, s, job.FactBeatsFailed)[""]; up != 12 || beats != 8 || failed != 2 {
		t.Errorf("%d s with a lease, %d beats, %d failed; want 12, 8 and 2", up, beats, failed)
	}
}
