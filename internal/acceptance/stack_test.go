package acceptance

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/submit"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// dialects are the stores that every story runs on.
var dialects = []string{"sqlite", "postgres"}

// onBoth runs a story on each store.
func onBoth(t *testing.T, story func(t *testing.T, s *stack)) {
	for _, d := range dialects {
		t.Run(d, func(t *testing.T) {
			t.Parallel()
			story(t, newStack(t, d))
		})
	}
}

// stack is an installation: a data directory or database, settings, processes.
type stack struct {
	t       *testing.T
	dir     string
	dataDir string
	url     string // of Postgres; empty: SQLite
	env     []string
	logo    []byte // of every profile
	opened  store
}

// newStack makes an installation whose lease and delays are scaled down about ten
// times, with budgets that outlast the faults of a test.
func newStack(t *testing.T, dialect string) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), logo: plainLogo(64)}
	s.dataDir = filepath.Join(s.dir, "data")
	s.env = append(os.Environ(),
		"DATA_DIR="+s.dataDir, "OUTBOUND_ALLOW=127.0.0.0/8", "BIND=127.0.0.1", "PORT=0",
		"LEASE=2s", "HEARTBEAT=400ms", "CHECK_INTERVAL_SECONDS=0.25", "POLL_INTERVAL=100ms",
		"BACKOFF_BASE=200ms", "BACKOFF_CAP=400ms", "CRASH_BUDGET=1000", "MAX_ATTEMPTS=100",
		"LOG_FORMAT=json", "LOG_LEVEL=info")
	if dialect == "postgres" {
		s.url = dbtest.Postgres(t)
		s.env = append(s.env, "DATABASE_URL="+s.url)
	}
	s.run("migrate", "up")
	return s
}

func (s *stack) set(name, value string) { s.env = append(s.env, name+"="+value) }

// use writes a catalog and points the installation at it.
func (s *stack) use(catalog []byte) {
	s.t.Helper()
	file := filepath.Join(s.dir, "catalog.yaml")
	if err := os.WriteFile(file, catalog, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.set("CATALOG", file)
}

// run executes a command to its end and returns what it printed on stdout.
func (s *stack) run(args ...string) []byte {
	s.t.Helper()
	cmd := exec.Command(binary, args...)
	var out, chatter bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.env, s.dir, &out, &chatter
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("directorybolt %s: %v\n%s%s", strings.Join(args, " "), err, out.Bytes(), chatter.Bytes())
	}
	return out.Bytes()
}

// lines executes a command with --json and decodes each line.
func lines[T any](s *stack, args ...string) []T {
	s.t.Helper()
	var all []T
	dec := json.NewDecoder(bytes.NewReader(s.run(append(args, "--json")...)))
	for dec.More() {
		var v T
		if err := dec.Decode(&v); err != nil {
			s.t.Fatalf("directorybolt %s: decode: %v", strings.Join(args, " "), err)
		}
		all = append(all, v)
	}
	return all
}

// process is a running command. It is ended by pid when the test ends.
type process struct {
	s      *stack
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// dieWithUs ends a process when the test binary is gone, however that went.
var dieWithUs = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

// start begins a command; its output goes to a file that a failing test shows.
func (s *stack) start(args ...string) *process {
	s.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = s.env
	return s.launch(args[0], cmd)
}

// launch begins any program, in the installation's directory unless it has one.
func (s *stack) launch(name string, cmd *exec.Cmd) *process {
	s.t.Helper()
	log, err := os.CreateTemp(s.dir, name+"-*.log")
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = cmp.Or(cmd.Dir, s.dir), log, log
	cmd.SysProcAttr = dieWithUs
	p := &process{s: s, cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = log.Close()
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
	}()
	s.t.Cleanup(p.kill)
	return p
}

func (p *process) signal(sig syscall.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !strings.Contains(err.Error(), "finished") {
		p.s.t.Errorf("signal %v to %d: %v", sig, p.cmd.Process.Pid, err)
	}
}

// kill ends the process with kill -9 and waits for it; twice is harmless.
func (p *process) kill() {
	select {
	case <-p.exited:
		return
	default:
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// alive fails the test when the process has ended by itself.
func (p *process) alive() {
	p.s.t.Helper()
	select {
	case <-p.exited:
		p.s.t.Fatalf("%s ended by itself:\n%s", strings.Join(p.cmd.Args, " "), p.output())
	default:
	}
}

func (p *process) output() []byte {
	b, _ := os.ReadFile(p.log)
	return b
}

// newSandbox opens a web of directories whose delays are scaled down.
func newSandbox(t *testing.T, c sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	b, err := sandbox.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// useSandbox points the installation at the sandbox's catalog.
func (s *stack) useSandbox(b *sandbox.Sandbox) {
	s.t.Helper()
	catalog, err := b.CatalogYAML()
	if err != nil {
		s.t.Fatal(err)
	}
	s.use(catalog)
}

// profile writes the n-th business of a test and returns the file.
func (s *stack) profile(n int) string {
	s.t.Helper()
	text := fmt.Sprintf(`name: Harbour Bakery %[1]d
email: owner%[1]d@harbour-bakery-%[1]d.com
phone: "+1 415 555 2%03[1]d"
website: https://www.harbour-bakery-%[1]d.com/
street: %[1]d Market Street
city: San Francisco
region: CA
postal_code: "94105"
country: US
category: bakery
tagline: Bread at six
short_description: Sourdough and pastries, baked every morning near the harbour.
description: Harbour Bakery bakes sourdough, rye and pastries every morning, and delivers to cafes around the harbour before they open.
hours: Mo-Fr 06:00-18:00
logo: logo.png
`, n)
	file := filepath.Join(s.dir, "profile-"+strconv.Itoa(n)+".yaml")
	for name, data := range map[string][]byte{file: []byte(text), filepath.Join(s.dir, "logo.png"): s.logo} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return file
}

// submit places the n-th business's order.
func (s *stack) submit(n int, pack string) job.ID {
	s.t.Helper()
	placed := lines[struct {
		ID      job.ID `json:"id"`
		Created bool   `json:"created"`
	}](s, "submit", "--profile", s.profile(n), "--package", pack)
	if len(placed) != 1 || !placed[0].Created {
		s.t.Fatalf("submit answered %+v", placed)
	}
	return placed[0].ID
}

func (s *stack) job(id job.ID) job.Job {
	s.t.Helper()
	jobs := lines[job.Job](s, "jobs", "show", id.String())
	if len(jobs) != 1 {
		s.t.Fatalf("jobs show answered %d jobs", len(jobs))
	}
	return jobs[0]
}

func (s *stack) history(id job.ID) []job.Event {
	s.t.Helper()
	return lines[job.Event](s, "jobs", "history", id.String())
}

func (s *stack) results(id job.ID) []directory.Submission {
	s.t.Helper()
	return lines[directory.Submission](s, "jobs", "results", id.String())
}

// store opens the installation's store beside the processes, to look and to fill.
func (s *stack) store() store {
	s.t.Helper()
	if s.opened != nil {
		return s.opened
	}
	var err error
	quiet := slog.New(slog.DiscardHandler)
	if s.url != "" {
		s.opened, err = postgres.Open(s.t.Context(), postgres.Config{URL: s.url, Log: quiet})
	} else {
		s.opened, err = sqlite.Open(s.t.Context(), sqlite.Config{Path: filepath.Join(s.dataDir, "directorybolt.db"), Log: quiet})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = s.opened.Close() })
	return s.opened
}

// exec runs statements in the store, as people with a database console do.
func (s *stack) exec(statements ...string) {
	s.t.Helper()
	driver, source := "sqlite", "file:"+filepath.Join(s.dataDir, "directorybolt.db")+"?_pragma=busy_timeout(30000)"
	if s.url != "" {
		driver, source = "pgx", s.url
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(s.t.Context(), statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
	}
}

type store interface {
	job.Store
	alert.Store
	submit.Ledger
	Close() error
}

// awaitRunning polls until the job is in progress.
func (s *stack) awaitRunning(id job.ID, p *process) {
	s.t.Helper()
	var j job.Job
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		p.alive()
		var err error
		if j, err = s.store().Job(s.t.Context(), id); err != nil {
			s.t.Fatal(err)
		}
		if j.State.Final() {
			s.t.Fatalf("job ended as %s (%s) before the test was through with it", j.State, j.Cause)
		}
		if j.State == job.InProgress && ownerLives(s, j.WorkerID) {
			return
		}
	}
	s.t.Fatalf("job %s is %s, nobody runs it: crashes %d, due %v\n%s", id, j.State, j.Crashes, j.DueAt, tail(p.output()))
}

// ownerLives reports whether the process that owns a job still runs: a killed
// owner stays in the row until its lease is over.
func ownerLives(s *stack, worker job.ID) bool {
	s.t.Helper()
	ws, err := s.store().Workers(s.t.Context(), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range ws {
		if w.ID == worker {
			return syscall.Kill(w.PID, 0) == nil
		}
	}
	return false
}

// awaitFinal polls until the job has ended, and shows the logs when it does not.
func (s *stack) awaitFinal(id job.ID, within time.Duration, ps ...*process) job.Job {
	s.t.Helper()
	var j job.Job
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if j, err = s.store().Job(s.t.Context(), id); err != nil {
			s.t.Fatal(err)
		}
		if j.State.Final() {
			return j
		}
	}
	for _, p := range ps {
		s.t.Logf("%s:\n%s", p.log, tail(p.output()))
	}
	s.t.Fatalf("job %s is %s after %v: attempt %d, crashes %d, fence %d, due %v, cause %q\nopen: %v",
		id, j.State, within, j.Attempt, j.Crashes, j.Fence, j.DueAt, j.Cause, openOf(s.results(id)))
	return j
}

func openOf(subs []directory.Submission) (open []string) {
	for _, sub := range subs {
		if sub.State.Open() {
			open = append(open, fmt.Sprintf("%s %s tries %d: %s", sub.Directory, sub.State, sub.Tries, sub.Reason))
		}
	}
	return open
}

func tail(b []byte) []byte {
	const most = 6000
	if len(b) > most {
		return b[len(b)-most:]
	}
	return b
}

// checkWitness holds the ledger of one business against what the directories
// really received: nothing twice, and once where success is reported.
func checkWitness(t *testing.T, b *sandbox.Sandbox, business int, subs []directory.Submission) {
	t.Helper()
	records := map[string]sandbox.Record{}
	for _, r := range b.Witness().Directories {
		records[r.Slug] = r
	}
	mark := fmt.Sprintf("harbour-bakery-%d.", business)
	for _, sub := range subs {
		r := records[sub.Directory]
		taken := 0
		for _, receipt := range slices.Concat(r.Accepted, r.Held) {
			if strings.Contains(receipt.Business, mark) {
				taken++
			}
		}
		reported := sub.State == directory.Submitted || sub.State == directory.Live
		if taken > 1 || reported && taken != 1 {
			t.Errorf("%s (%s) took the business in %d times; the ledger says %s after %d tries: %s",
				sub.Directory, r.Behaviour, taken, sub.State, sub.Tries, sub.Reason)
		}
	}
}

// checkBooks holds the equation of an order: its quota is all accounted for.
func checkBooks(t *testing.T, j job.Job, subs []directory.Submission) {
	t.Helper()
	replaced := 0
	for _, sub := range subs {
		if sub.Replaced {
			replaced++
		}
		if sub.State.Open() {
			t.Errorf("%s is still %s", sub.Directory, sub.State)
		}
	}
	if got := len(subs) - replaced + j.Shortfall; got != j.Quota {
		t.Errorf("%d submissions − %d replaced + shortfall %d = %d, want the quota %d", len(subs), replaced, j.Shortfall, got, j.Quota)
	}
}

// tally counts submissions by state, for the log of a test.
func tally(subs []directory.Submission) string {
	counts := map[directory.SubmissionState]int{}
	for _, sub := range subs {
		counts[sub.State]++
	}
	var parts []string
	for _, state := range directory.SubmissionStates {
		if counts[state] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", state, counts[state]))
		}
	}
	return strings.Join(parts, ", ")
}

// plainLogo is a small PNG.
func plainLogo(side int) []byte { return encodePNG(image.NewGray(image.Rect(0, 0, side, side))) }

// noisyLogo is a PNG of about 1.9 MB: noise does not compress.
func noisyLogo() []byte {
	img := image.NewGray(image.Rect(0, 0, 1380, 1380))
	rnd := rand.NewChaCha8([32]byte{})
	_, _ = rnd.Read(img.Pix)
	return encodePNG(img)
}

func encodePNG(img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}
