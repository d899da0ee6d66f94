package campaign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	BeBusy()
	dir, err := os.MkdirTemp("", "campaign")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "directorybolt")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/directorybolt")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the binary:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// said collects progress for the log of a test.
type said struct{ t *testing.T }

func (s said) Write(b []byte) (int, error) {
	s.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// scratch is a directory in TMPDIR, which may be in memory while GOTMPDIR, where the
// testing package makes its own, is on a disk: stalls are to be those of the test alone.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "campaign")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestCampaign is a short one: the same faults, fewer of them.
func TestCampaign(t *testing.T) {
	c := Config{
		Seed: rand.Uint64() >> 32, Binary: binary, Dir: scratch(t), Lease: 500 * time.Millisecond,
		Postgres: Strength{Workers: 8, Orders: 24, Kills: 90, Freezes: 90, Cuts: 60, Restarts: 4},
		SQLite:   Strength{Workers: 4, Orders: 12, Kills: 45, Freezes: 45},
		Patience: 5 * time.Minute, Out: said{t}, Every: 10 * time.Second,
	}
	t.Logf("seed %d", c.Seed)
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.Print(said{t})
	if n := r.Broken(); n > 0 {
		t.Errorf("%d promises broke", n)
	}
	for i, s := range []Strength{c.Postgres, c.SQLite} {
		v := r.Sides[i]
		for class, want := range map[Class]int{Kill: s.Kills, Freeze: s.Freezes, Cut: s.Cuts, Restart: s.Restarts} {
			if got := v.Fault[class].Struck; got != want {
				t.Errorf("%s: %s struck %d times, want %d", v.Store, class, got, want)
			}
		}
		if aimed := v.Fault[Kill].Aimed; aimed < s.Kills/4 {
			t.Errorf("%s: only %d of %d kills struck between an intent and its outcome", v.Store, aimed, s.Kills)
		}
		if v.Crashes == 0 || v.Refused == 0 || v.Arrived == 0 {
			t.Errorf("%s: %d crashes, %d refused writes, %d arrivals: the faults met nothing", v.Store, v.Crashes, v.Refused, v.Arrived)
		}
	}
}

// TestNoFalseAlarms saturates the processors and stalls the databases for a while.
func TestNoFalseAlarms(t *testing.T) {
	calms, err := FalseAlarms(t.Context(), Alarms{
		Binary: binary, Dir: scratch(t), Lease: 8 * time.Second, Duration: 10 * time.Second, Stall: 2 * time.Second, Every: 4 * time.Second, Out: said{t},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calms {
		c.Print(said{t})
		if c.False() > 0 {
			t.Errorf("%s: %d false alarms or broken promises", c.Store, c.False())
		}
		if c.Stalls < 2 || c.Orders == 0 {
			t.Errorf("%s: %d stalls and %d orders prove nothing", c.Store, c.Stalls, c.Orders)
		}
	}
}

func TestScheduleComesFromItsSeedAndAimsAThird(t *testing.T) {
	counts := map[Class]int{Kill: 30, Freeze: 20, Cut: 9}
	draw := func(seed uint64) []fault { return schedule(rand.New(rand.NewPCG(seed, 1)), counts) }
	faults := draw(7)
	if !reflect.DeepEqual(faults, draw(7)) {
		t.Error("the same seed gave another schedule")
	}
	if reflect.DeepEqual(faults, draw(8)) {
		t.Error("another seed gave the same schedule")
	}
	n, aimed := map[Class]int{}, map[Class]int{}
	for _, f := range faults {
		n[f.class]++
		if f.aimed {
			aimed[f.class]++
		}
	}
	if !reflect.DeepEqual(n, counts) || !reflect.DeepEqual(aimed, map[Class]int{Kill: 10, Freeze: 7, Cut: 3}) {
		t.Errorf("drew %v, aimed %v", n, aimed)
	}
}

func TestSharesAddUp(t *testing.T) {
	for n := range 50 {
		sum := 0
		for i := range 7 {
			sum += share(n, i, 7)
		}
		if sum != n {
			t.Errorf("the shares of %d are %d", n, sum)
		}
	}
}

// TestVerdictSeesWhatBroke gives the judge what must never be: a campaign that cannot
// find it proves nothing.
func TestVerdictSeesWhatBroke(t *testing.T) {
	claimed := func(fence int64) job.Event { return job.Event{Type: job.EventJobClaimed, Fence: fence} }
	settled := func(fence int64) job.Event { return job.Event{Type: job.EventSubmissionOutcome, Fence: fence} }
	for name, c := range map[string]struct {
		events         []job.Event
		stale, refused int
	}{
		"in order":               {[]job.Event{claimed(1), settled(1), claimed(2), settled(2)}, 0, 0},
		"accepted after a claim": {[]job.Event{claimed(1), claimed(2), settled(1)}, 1, 0},
		"refused":                {[]job.Event{claimed(1), claimed(2), {Type: job.EventWriteFenced, Fence: 1}}, 0, 1},
		"recovery names the old": {[]job.Event{claimed(2), {Type: job.EventJobRecovered, Fence: 1}}, 0, 0},
	} {
		var v Verdict
		judgeFences(&v, job.NewID(), c.events)
		if v.Stale != c.stale || v.Refused != c.refused {
			t.Errorf("%s: %d accepted, %d refused; want %d, %d", name, v.Stale, v.Refused, c.stale, c.refused)
		}
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := Config{Lease: time.Millisecond, SQLite: Strength{Cuts: 1, Kills: -1}}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("got %v, want five faults", err)
	}
	if _, err := Run(context.Background(), Config{}); err == nil {
		t.Error("a campaign without anything ran")
	}
}
