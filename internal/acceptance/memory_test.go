package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// TestDrainDoesNotGrowWithTheQueue lets a worker empty a queue of ten thousand jobs
// and one of a hundred thousand, and compares the most memory it ever held.
func TestDrainDoesNotGrowWithTheQueue(t *testing.T) {
	for _, d := range dialects {
		t.Run(d, func(t *testing.T) {
			small := peakOfDrain(t, newStack(t, d), 10_000)
			large := peakOfDrain(t, newStack(t, d), 100_000)
			t.Logf("peak while draining 10 000 jobs %d MB, 100 000 jobs %d MB", small>>20, large>>20)
			if large > small+small/2 {
				t.Errorf("peak grew from %d MB to %d MB with ten times the jobs", small>>20, large>>20)
			}
		})
	}
}

// peakOfDrain returns the largest resident size, in bytes, of a worker that emptied
// a queue of n no-op jobs.
func peakOfDrain(t *testing.T, s *stack, n int64) int64 {
	t.Helper()
	for left := n; left > 0; left -= 5000 {
		specs := make([]job.Spec, 5000)
		for i := range specs {
			specs[i] = job.Spec{Kind: job.KindNoop}
		}
		if _, err := s.store().Enqueue(t.Context(), specs...); err != nil {
			t.Fatal(err)
		}
	}
	s.use([]byte(oneDirectory))
	w := s.start("work")
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		w.alive()
		counts, err := s.store().Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if counts[job.Completed] == n {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not drained in time: %v\n%s", counts, tail(w.output()))
		}
	}
	peak := peakResident(t, w.cmd.Process.Pid)
	w.signal(syscall.SIGTERM)
	<-w.exited
	return peak
}

// peakResident reads the most memory that a running process ever held, in bytes.
func peakResident(t *testing.T, pid int) int64 {
	t.Helper()
	peak, ok := resident(pid)
	if !ok {
		t.Fatalf("process %d tells no VmHWM", pid)
	}
	return peak
}

// resident reads VmHWM, in bytes; a process that ended has none.
func resident(pid int) (peak int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kb, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kb << 10, err == nil
		}
	}
	return 0, false
}

// oneDirectory is a catalog for workers whose jobs visit nobody.
const oneDirectory = `directories:
  - slug: nobody
    name: Nobody
    url: https://nobody.example/
    category: general
    tier: 4
    authority: 1
    method: manual
    pacing: {min_interval: 1s, daily_cap: 1, timeout: 1s}
`
