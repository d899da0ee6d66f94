package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert/alerttest"
	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/verify"
)

// verify types directorybolt verify and returns its report and exit status.
func (w *ward) verify(args ...string) (r verify.Report, status int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"verify", "--json", "--url", w.url}, args...)...)
	var out, chatter bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = w.env, w.dir, &out, &chatter
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		w.t.Fatalf("verify: %v\n%s%s", err, out.Bytes(), chatter.Bytes())
	}
	return r, cmd.ProcessState.ExitCode()
}

// fails runs some lines against what is broken: the first must fail, with its remedy, and
// the others, but for health, must not.
func (w *ward) fails(line, remedy string, beside ...string) {
	w.t.Helper()
	var args []string
	for _, name := range []string{"migrations", "stale_monitor", "workers", "health", "page", "errors", "limiter", "canary", "dead_letter", "dlq_monitor", "recovery", "books"} {
		if name != line && !slices.Contains(beside, name) {
			args = append(args, "--skip", name)
		}
	}
	r, status := w.verify(args...)
	if status != 5 || r.Pass {
		w.t.Errorf("verify exits with %d, pass %v", status, r.Pass)
	}
	found := false
	for _, l := range r.Lines {
		switch {
		case l.Name == line && !l.Pass:
			found = true
			if !strings.Contains(l.Remedy, remedy) {
				w.t.Errorf("%s fails with the remedy %q, want %q", line, l.Remedy, remedy)
			}
			w.t.Logf("%s: %s (%s)", l.Name, l.Reason, l.Remedy)
		case !l.Pass && l.Name != "health":
			w.t.Errorf("%s fails too: %s (%s)", l.Name, l.Reason, l.Remedy)
		}
	}
	if !found {
		w.t.Errorf("%s does not fail; these do: %v", line, r.Failed())
	}
}

// A deployment that works is green, and whatever is taken away from it is named, with what
// mends it.
func TestVerifyNamesWhatIsBroken(t *testing.T) {
	t.Parallel()
	w := newWard(t, newStack(t, "postgres"))
	file := filepath.Join(w.dir, "verify.json")
	r, status := w.verify("--report", file)
	if status != 0 || !r.Pass {
		for _, l := range r.Lines {
			t.Errorf("%s %v %s %s (%s)", l.Name, l.Pass, l.Figure, l.Reason, l.Remedy)
		}
		t.Fatalf("a deployment that works: exit status %d", status)
	}
	for _, l := range r.Lines {
		t.Logf("%s: %s, %s", l.Name, l.Figure, l.Took.Round(time.Millisecond))
	}
	var kept verify.Report
	if data, err := os.ReadFile(file); err != nil || json.Unmarshal(data, &kept) != nil || len(kept.Lines) != len(r.Lines) {
		t.Errorf("the report file: %v, %d lines", err, len(kept.Lines))
	}
	if counts, err := w.store().Counts(t.Context()); err != nil || counts["completed"] != 0 {
		t.Errorf("canaries are counted: %v, %v", counts, err)
	}
	if depth, err := w.store().LetterDepth(t.Context()); err != nil || depth.Open != 0 || depth.Canaries != 0 {
		t.Errorf("letters are left: %+v, %v", depth, err)
	}
	if len(w.slack.Accepted()) == 0 {
		t.Error("Slack heard nothing")
	}
	w.is("verify left nothing behind", 200, "healthy")

	last := " FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)"
	w.exec("CREATE TABLE kept AS SELECT version_id, is_applied"+last, "DELETE"+last)
	w.fails("migrations", "directorybolt migrate up", "health", "stale_monitor", "books")
	w.exec("INSERT INTO goose_db_version (version_id, is_applied) SELECT version_id, is_applied FROM kept", "DROP TABLE kept")

	w.parts["dlq-monitor"].kill()
	w.fails("dlq_monitor", "directorybolt dlq-monitor", "health", "canary")
	w.begin("dlq-monitor")

	w.slack.Behave(alerttest.Shut)
	w.fails("dead_letter", "directorybolt alerts test", "health", "canary")
	w.slack.Behave(alerttest.Accept)
	w.run("alerts", "test")

	w.set("RATE_LIMITS", "public=100000/1m")
	limited := w.url
	_, w.url = w.serve()
	w.fails("limiter", "RATE_LIMITS", "migrations")
	w.url = limited

	w.parts["work"].signal(syscall.SIGTERM)
	<-w.parts["work"].exited
	w.fails("workers", "directorybolt work", "stale_monitor")
	w.fails("canary", "directorybolt work", "stale_monitor")
	w.parts["stale-monitor"].kill() // a worker would have had another beside it
	w.fails("stale_monitor", "directorybolt stale-monitor", "migrations")
	w.fails("recovery", "directorybolt stale-monitor")
	w.exec("DELETE FROM monitor_passes WHERE monitor = 'books'")
	w.fails("books", "directorybolt work", "migrations")
}

func TestVerifyNamesADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	c := dbtest.NewCluster(t)
	s := newStack(t, "sqlite")
	s.url = c.URL("postgres")
	s.set("DATABASE_URL", s.url)
	s.run("migrate", "up")
	w := newWard(t, s)
	must(t, c.Kill())
	w.is("the database is killed", 503, "unhealthy", "database")
	r, status := w.verify()
	if status != 5 {
		t.Errorf("exit status %d", status)
	}
	for _, l := range r.Lines {
		switch {
		case l.Name == "health" && (l.Pass || !strings.Contains(l.Reason, "not up: database")):
			t.Errorf("health: %+v", l)
		case l.Name == "migrations" && (l.Pass || !strings.Contains(l.Remedy, "DATABASE_URL")):
			t.Errorf("migrations: %+v", l)
		}
	}
}

// What is cheap is repeated, and each round is a line of the log.
func TestVerifyWatches(t *testing.T) {
	t.Parallel()
	w := newWard(t, newStack(t, "sqlite"))
	file := filepath.Join(w.dir, "watch.jsonl")
	cmd := exec.Command(binary, "verify", "--url", w.url, "--report", file, "--watch", "5s", "--every", "1s",
		"--skip", "recovery", "--skip", "dead_letter", "--skip", "canary", "--skip", "errors")
	cmd.Env, cmd.Dir = w.env, w.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rounds []verify.Report
	for line := range bytes.Lines(data) {
		var r verify.Report
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		rounds = append(rounds, r)
	}
	if len(rounds) < 3 || len(rounds[0].Lines) <= len(rounds[1].Lines) || !rounds[1].Pass {
		t.Errorf("%d rounds: %+v\n%s", len(rounds), rounds, out)
	}
}
