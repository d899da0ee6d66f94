package acceptance

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// bury leaves n dead letters, all of one worker that died.
func (s *stack) bury(n int) []job.ID {
	s.t.Helper()
	ctx := s.t.Context()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	answers, err := s.store().Enqueue(ctx, slices.Repeat([]job.Spec{{Kind: job.KindNoop, CrashBudget: 1}}, n)...)
	must(err)
	w := job.Worker{ID: job.NewID(), Host: "gone", PID: 1, Version: "test", Kinds: []string{job.KindNoop}, Capacity: n}
	must(s.store().Register(ctx, w, time.Hour))
	for taken := 0; taken < n; {
		jobs, err := s.store().Claim(ctx, job.ClaimRequest{Worker: w.ID, Limit: 1000, Kinds: w.Kinds})
		must(err)
		if len(jobs) == 0 {
			s.t.Fatalf("claimed %d jobs of %d", taken, n)
		}
		taken += len(jobs)
	}
	must(s.store().Retire(ctx, w.ID, job.RetiredToldToGo, job.By{}))
	for {
		r, err := s.store().Recover(ctx, 1000)
		must(err)
		if len(r.Jobs) == 0 {
			break
		}
	}
	ids := make([]job.ID, n)
	for i, a := range answers {
		ids[i] = a.ID
	}
	return ids
}

// TestARedriveThatIsKilledIsGoneOnWith kills the command with kill -9 in the middle and
// types it again: every job is redriven once, every one is journalled, and the command's
// memory does not grow with the number of letters.
func TestARedriveThatIsKilledIsGoneOnWith(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		const n, together = 5000, 500 // letters, and how many the command moves in one transaction
		ids := s.bury(n)
		p := s.start("dlq", "redrive", "--all", "--rate", "1000", "--reason", "fix deployed", "--actor", "cli:ann")
		moved := func() int64 {
			d, err := s.store().LetterDepth(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n - d.Open
		}
		for end := time.Now().Add(30 * time.Second); moved() < n/10; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("nothing was redriven in 30 s\n%s", p.output())
			}
		}
		p.kill()
		first := moved()
		if first == n {
			t.Fatal("the command was done before it was killed")
		}
		var sum struct {
			Redriven    int64 `json:"redriven"`
			Left        int64 `json:"left"`
			NewFailures int64 `json:"new_failures"`
		}
		var out, log bytes.Buffer
		again := exec.Command(binary, "dlq", "redrive", "--all", "--rate", "1500", "--reason", "fix deployed", "--actor", "cli:ann", "--json")
		again.Env, again.Dir, again.SysProcAttr, again.Stdout, again.Stderr = s.env, s.dir, dieWithUs, &out, &log
		if err := again.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- again.Wait() }()
		early, peak := int64(0), int64(0)
		for running := true; running; {
			select {
			case err := <-ended:
				if running = false; err != nil {
					t.Fatalf("the same command again: %v\n%s", err, log.Bytes())
				}
			case <-time.After(20 * time.Millisecond):
			}
			if now, ok := resident(again.Process.Pid); ok {
				peak = now
			}
			if early == 0 && moved() > first+together {
				early = peak
			}
		}
		t.Logf("peak after the first letters %d MB, at the end %d MB", early>>20, peak>>20)
		if early == 0 || peak > 2*early || peak > 128<<20 {
			t.Errorf("the command grew from %d MB to %d MB, want at most twice as much, and 128", early>>20, peak>>20)
		}
		if err := json.Unmarshal(out.Bytes(), &sum); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		// A server ends the transaction of a client that died meanwhile.
		if before := n - sum.Redriven; before < first || before > first+together || sum.Left != 0 || sum.NewFailures != 0 {
			t.Errorf("redriven %d, then %+v; want %d in all", first, sum, n)
		}
		for _, id := range ids {
			if j, err := s.store().Job(t.Context(), id); err != nil || j.Redrives != 1 || j.State != job.Pending {
				t.Fatalf("job %s is %s, redriven %d times, error %v; want pending, once", id, j.State, j.Redrives, err)
			}
		}
		counted := int64(0)
		for _, e := range lines[job.JournalEntry](s, "dlq", "journal", "--limit", "1000") {
			if e.By.Actor != "cli:ann" || e.By.Reason != "fix deployed" {
				t.Errorf("journal entry %+v", e)
			}
			counted += e.Count
		}
		if counted != n {
			t.Errorf("the journal counts %d jobs, want %d", counted, n)
		}
		cmd := exec.Command(binary, "dlq", "redrive", "--all")
		cmd.Env, cmd.Dir = s.env, s.dir
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "no dead letters to redrive") {
			t.Errorf("a redrive of nothing: %v\n%s", err, out)
		}
	})
}
