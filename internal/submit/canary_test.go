package submit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
)

// canary enqueues one.
func (d *desk) canary(c submit.Canary) job.ID {
	d.t.Helper()
	customer, err := d.EnsureCustomer(d.t.Context(), submit.CanaryCustomer)
	if err != nil {
		d.t.Fatal(err)
	}
	spec, err := submit.CanarySpec(customer, c, "")
	if err != nil {
		d.t.Fatal(err)
	}
	placed, err := d.Store.Enqueue(d.t.Context(), spec)
	if err != nil {
		d.t.Fatal(err)
	}
	return placed[0].ID
}

// arrived counts what the witness took in, by directory.
func (d *desk) arrived(order job.ID) map[string]int {
	d.t.Helper()
	all, err := d.Arrivals(d.t.Context(), order)
	if err != nil {
		d.t.Fatal(err)
	}
	n := map[string]int{}
	for _, a := range all {
		n[a.Directory]++
	}
	return n
}

func TestCanaryArrivesOnceThoughItsFirstAttemptForgot(t *testing.T) {
	d := newDesk(t, entry("real", 90))
	id := d.canary(submit.Canary{Directories: 3})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d.outage = func(name string, n int) fault {
		if name == "Settle" && n > 1 { // the second arrival's outcome is never recorded
			cancel()
			return fails
		}
		return works
	}
	handler := submit.Canaries(d.config, d, "")
	first := d.claim(job.KindCanary)
	if err := handler.Handle(ctx, first); err == nil {
		t.Fatal("an attempt whose store is away succeeded")
	}
	if n := len(d.arrived(id)); n != 2 {
		t.Fatalf("%d directories arrived in the first attempt, want 2", n)
	}
	d.outage = nil
	if err := d.Snooze(t.Context(), first.Job.Lease(), 0, "again"); err != nil {
		t.Fatal(err)
	}
	d.offset.Add(int64(time.Minute)) // the first attempt's deadline is over
	if err := handler.Handle(t.Context(), d.claim(job.KindCanary)); err != nil {
		t.Fatal(err)
	}
	arrived := d.arrived(id)
	for slug, s := range d.submissionsOf(id) {
		if s.State != directory.Submitted || !s.Canary || arrived[slug] != 1 {
			t.Errorf("%s is %s, canary %t, and arrived %d times", slug, s.State, s.Canary, arrived[slug])
		}
	}
	if len(arrived) != 3 {
		t.Errorf("arrived: %v, want three directories", arrived)
	}
	counts, err := d.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := counts[job.InProgress] + counts[job.Completed] + counts[job.Pending]; n != 0 {
		t.Errorf("the canary shows among %d jobs of customers", n)
	}
}

func TestCanaryWaitsForItsWorkerUntilAProcessDiedOverIt(t *testing.T) {
	d := newDesk(t, entry("real", 90))
	d.canary(submit.Canary{Directories: 1, Only: "ours"})
	a := d.claim(job.KindCanary)
	for _, name := range []string{"", "theirs"} {
		if err := submit.Canaries(d.config, d, name).Handle(t.Context(), a); !errors.As(err, new(*job.SnoozeError)) {
			t.Errorf("worker %q performed a canary for another: %v", name, err)
		}
	}
	crashed := a
	crashed.Job.Crashes = 1
	if err := submit.Canaries(d.config, d, "theirs").Handle(t.Context(), crashed); err != nil {
		t.Errorf("nobody goes on after a crash: %v", err)
	}
}

func TestCanaryThatHangsGetsNoFurtherInItsFirstAttempt(t *testing.T) {
	d := newDesk(t, entry("real", 90))
	id := d.canary(submit.Canary{Directories: 2, Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := submit.Canaries(d.config, d, "").Handle(ctx, d.claim(job.KindCanary)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the hanging attempt answered %v", err)
	}
	if n := len(d.arrived(id)); n != 0 {
		t.Errorf("%d directories arrived while it hung", n)
	}
}

func TestCanaryOfNoDirectoriesIsRefused(t *testing.T) {
	for _, n := range []int{0, submit.MaxCanaryDirectories + 1} {
		if _, err := submit.CanarySpec(job.NewID(), submit.Canary{Directories: n}, ""); !errors.As(err, new(*job.InvalidError)) {
			t.Errorf("%d directories: error %v", n, err)
		}
	}
}
