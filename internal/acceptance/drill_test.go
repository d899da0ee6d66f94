package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/drill"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// drillAlone runs a drill of the built binary in a directory without any store.
func drillAlone(t *testing.T, args ...string) (drill.Report, int) {
	t.Helper()
	return reportOf(t, storeless(t, append([]string{"drill"}, append(args, "--json")...)...))
}

// storeless is a command in a directory of its own, with no store and no settings.
func storeless(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := os.MkdirTemp("", "drill")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // a Postgres in it runs as another user
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "DATA_DIR=" + dir}
	return cmd
}

func reportOf(t *testing.T, cmd *exec.Cmd) (r drill.Report, status int) {
	t.Helper()
	var out, chatter bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &out, &chatter, dieWithUs
	_ = cmd.Run()
	status = cmd.ProcessState.ExitCode()
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out.Bytes())
		}
	}
	if status != 0 {
		t.Logf("%v: exit status %d\n%s", cmd.Args, status, chatter.Bytes())
	}
	return r, status
}

// TestDrills breaks a stack in every way that there is a drill for.
func TestDrills(t *testing.T) {
	for args, detectors := range map[string][]job.Detector{
		"kill":              {job.Liveness, job.DeathWatch},
		"kill --postgres":   {job.Liveness, job.DeathWatch},
		"freeze":            {job.Liveness},
		"freeze --postgres": {job.Liveness},
		"hang":              {job.Progress},
		"hang --postgres":   {job.Progress},
		"partition":         {job.Liveness, job.DeathWatch},
		"db-restart":        nil,
		"clock-jump":        nil,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			r, status := drillAlone(t, strings.Fields(args)...)
			if status != 0 || !r.OK || !r.Own || len(r.Broken) > 0 {
				t.Fatalf("exit status %d, ok %t, broken: %v", status, r.OK, r.Broken)
			}
			for _, c := range r.Canaries {
				if len(c.Arrivals) != c.Quota || c.Quota == 0 || c.State != job.Completed {
					t.Errorf("canary %s is %s with %d directories of %d", c.JobID, c.State, len(c.Arrivals), c.Quota)
				}
				for slug, n := range c.Arrivals {
					if n != 1 {
						t.Errorf("%s arrived %d times", slug, n)
					}
				}
			}
			if r.Recovery <= 0 {
				t.Error("no recovery time")
			}
			if detectors == nil {
				return
			}
			if !slices.Contains(detectors, r.Detector) || r.Detection <= 0 || r.Detection > r.Recovery {
				t.Errorf("detected by %q after %s, recovered after %s; want one of %v", r.Detector, r.Detection, r.Recovery, detectors)
			}
			if !r.StaleWrite.Tried || !r.StaleWrite.Refused {
				t.Errorf("stale write: %+v", r.StaleWrite)
			}
		})
	}
}

// TestDrillOnASystemThatServes drills beside processes and an order of a customer, none
// of which may notice.
func TestDrillOnASystemThatServes(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		web := newSandbox(t, sandbox.Config{Scale: 0.3})
		s.useSandbox(web)
		s.set("SUBMIT_CONCURRENCY", "1") // the order lasts as long as the drills
		all, beside := s.start("all"), s.start("work")
		id := s.submit(1, "starter")
		s.awaitRunning(id, all)
		for _, name := range []string{"kill", "freeze"} {
			cmd := exec.Command(binary, "drill", name, "--json")
			cmd.Env, cmd.Dir = s.env, s.dir
			r, status := reportOf(t, cmd)
			if status != 0 || !r.OK || r.Own || len(r.Broken) > 0 {
				t.Fatalf("drill %s: exit status %d, %+v", name, status, r)
			}
			all.alive()
			beside.alive()
			listed := lines[job.Job](s, "jobs", "list")
			if len(listed) == 0 || slices.ContainsFunc(listed, func(j job.Job) bool { return j.Canary }) {
				t.Errorf("the list of jobs has %d, canaries among them", len(listed))
			}
		}
		j := s.awaitFinal(id, 2*time.Minute, all, beside)
		if j.State != job.Completed || j.Crashes != 0 {
			t.Errorf("the customer's order is %s with %d crashes", j.State, j.Crashes)
		}
		subs := s.results(id)
		checkWitness(t, web, 1, subs)
		checkBooks(t, j, subs)
	})
}

// TestDrillsThatStrikeTheDatabaseRefuseOneThatOthersUse asks for them where a store is
// configured.
func TestDrillsThatStrikeTheDatabaseRefuseOneThatOthersUse(t *testing.T) {
	s := newStack(t, "sqlite")
	for _, name := range []string{"db-restart", "partition", "clock-jump"} {
		cmd := exec.Command(binary, "drill", name)
		cmd.Env, cmd.Dir = s.env, s.dir
		out, _ := cmd.CombinedOutput()
		if status := cmd.ProcessState.ExitCode(); status != 2 || !bytes.Contains(out, []byte("add --own")) {
			t.Errorf("drill %s: exit status %d\n%s", name, status, out)
		}
	}
}

// TestDrillWithoutAMonitorSaysSo drills where nobody would take a job back.
func TestDrillWithoutAMonitorSaysSo(t *testing.T) {
	s := newStack(t, "sqlite")
	cmd := exec.Command(binary, "drill", "kill")
	cmd.Env, cmd.Dir = s.env, s.dir
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 5 || !bytes.Contains(out, []byte("directorybolt stale-monitor")) {
		t.Errorf("exit status %d\n%s", status, out)
	}
}

// TestInterruptedDrillLeavesNothingBehind interrupts a drill in the middle.
func TestInterruptedDrillLeavesNothingBehind(t *testing.T) {
	cmd := storeless(t, "drill", "hang", "--postgres")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(said); lines.Scan(); {
		text := lines.Text()
		if _, pid, found := strings.Cut(text, "started, pid "); found {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, n)
		}
		if strings.Contains(text, "is between an intent") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("exit status %d, want 130", status)
	}
	if len(pids) != 2 {
		t.Fatalf("the drill told of %d workers", len(pids))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	left, err := filepath.Glob(filepath.Join(cmd.Dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}
