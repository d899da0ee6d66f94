package cli

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/deadletter"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

// morgue is a data directory with dead letters.
type morgue struct {
	t   *testing.T
	dir string
	*sqlite.Store
	worker job.ID
}

func newMorgue(t *testing.T) *morgue {
	t.Helper()
	m := &morgue{t: t, dir: t.TempDir(), worker: job.NewID()}
	var err error
	m.Store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(m.dir, "directorybolt.db")})
	m.must(err)
	t.Cleanup(func() { _ = m.Close() })
	_, err = m.Migrate(t.Context())
	m.must(err)
	m.must(m.Register(t.Context(), job.Worker{ID: m.worker, Host: "h", PID: 1, Version: "test", Kinds: []string{job.KindNoop}, Capacity: 10}, time.Hour))
	return m
}

func (m *morgue) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// die kills n fresh jobs for the cause.
func (m *morgue) die(n int, cause string) (ids []job.ID) {
	m.t.Helper()
	answers, err := m.Enqueue(m.t.Context(), slices.Repeat([]job.Spec{{Kind: job.KindNoop, ValueCents: 14900, MaxAttempts: 1, Payload: []byte(`{"n":1}`)}}, n)...)
	m.must(err)
	m.fail(cause)
	for _, a := range answers {
		ids = append(ids, a.ID)
	}
	return ids
}

// fail kills every due job.
func (m *morgue) fail(cause string) {
	m.t.Helper()
	jobs, err := m.Claim(m.t.Context(), job.ClaimRequest{Worker: m.worker, Limit: 100, Kinds: []string{job.KindNoop}})
	m.must(err)
	for _, j := range jobs {
		_, err := m.Fail(m.t.Context(), j.Lease(), job.Failure{Cause: cause, Class: job.ClassTransient})
		m.must(err)
	}
}

// dlq runs a command of the group, with something typed.
func (m *morgue) dlq(typed, args string) result {
	m.t.Helper()
	return m.types(typed, "dlq "+args)
}

// types runs a command, with something typed.
func (m *morgue) types(typed, args string) result {
	m.t.Helper()
	var stdout, stderr bytes.Buffer
	status := Main(m.t.Context(), Process{
		Args: append(splitWords(args), "--data-dir", m.dir), Stdout: &stdout, Stderr: &stderr, Stdin: strings.NewReader(typed),
	})
	return result{stdout.String(), stderr.String(), status}
}

// exec changes rows behind the store's back.
func (m *morgue) exec(query string) {
	m.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(m.dir, "directorybolt.db")+"?_pragma=busy_timeout(10000)")
	m.must(err)
	defer db.Close()
	_, err = db.ExecContext(m.t.Context(), query)
	m.must(err)
}

// splitWords splits at blanks; quotes keep a word together.
func splitWords(s string) (words []string) {
	for _, w := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(s, -1) {
		words = append(words, strings.Trim(w, "'"))
	}
	return words
}

// says checks the exit status and what was printed, as patterns for each.
func (m *morgue) says(got result, status int, stdout, stderr string) {
	m.t.Helper()
	if got.status != status || !regexp.MustCompile("(?ms)"+stdout).MatchString(got.stdout) || !regexp.MustCompile("(?ms)"+stderr).MatchString(got.stderr) {
		m.t.Errorf("status %d, want %d\nstdout %s\nwant   %s\nstderr %s\nwant   %s", got.status, status, got.stdout, stdout, got.stderr, stderr)
	}
}

func TestDeadLettersAreListedAndShown(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	m.says(m.dlq("", "list"), ExitOK, `^$`, `^no dead letters\n$`)
	m.says(m.dlq("", "depth"), ExitOK, `^open +0\n`, `^no dlq monitor ever looked; start one with: directorybolt dlq-monitor\n$`)
	ids := m.die(3, "timeout after 30 s")
	other := m.die(1, "unknown \x1b[31mfield")[0].String()
	group := job.GroupID(job.Signature(job.ClassTransient, "timeout after 31 s"))

	m.says(m.dlq("", "list"), ExitOK, `^JOB +KIND .*\n`+other+` +noop .* \$149\.00 +1 +0 .*unknown \[31mfield\n`, `^4 dead letters, \$596\.00 at risk\n$`)
	m.says(m.dlq("", "list --limit 3"), ExitOK, `timeout`, `^more: add --before [0-9a-f-]{36}\n$`)
	m.says(m.dlq("", "list --groups"), ExitOK, `^GROUP +COUNT.*\n`+group+` +3 +\$447\.00 .*transient: timeout after N s\n`, `^$`)
	if got := m.dlq("", "list --json --signature "+group); strings.Count(got.stdout, "\n") != 3 || !strings.Contains(got.stdout, ids[0].String()) {
		t.Errorf("letters of the group:\n%s", got.stdout)
	}
	m.says(m.dlq("", "list --signature 0123456789"), ExitNotFound, `^$`, `no dead letter is of group 0123456789 \(see: directorybolt dlq list --groups\)`)
	m.says(m.dlq("", "list --since soon"), ExitUsage, `^$`, `--since "soon" is no time`)
	m.says(m.dlq("", "list --since 1h --customer 01932f6c-0000-7000-8000-000000000000"), ExitOK, `^$`, `no dead letters`)
	m.says(m.dlq("", "depth --json"), ExitOK, `^\{"open":4,.*"value_cents":59600`, ``)

	m.says(m.dlq("", "show "+other), ExitOK, `^letter .*^cause +unknown \[31mfield\n.*^group +[0-9a-f]{10}\n.*^next +every try failed; .*directorybolt dlq redrive `+other, `^$`)
	m.says(m.dlq("", "show 01932f6c-0000-7000-8000-000000000000"), ExitNotFound, `^$`, `no dead letter and no job 01932f6c`)
	m.says(m.dlq("", "show nonsense"), ExitUsage, `^$`, `"nonsense" is not the id of a job`)
}

// named are the groups that the alerts name which wait for a channel, in their commands.
func (m *morgue) named() (groups []string) {
	m.t.Helper()
	waiting, err := m.Undelivered(m.t.Context(), 1000)
	m.must(err)
	for _, d := range waiting {
		for _, c := range (alert.Post{Message: d.Message}).Content("").Commands {
			if _, group, found := strings.Cut(c, "dlq redrive --signature "); found {
				groups = append(groups, strings.Fields(group)[0])
			}
		}
	}
	return groups
}

// odd are causes whose text is not told as it is.
var odd = []string{
	"\ufeffbad gateway", "bad \u202egnp.exe", "a\x01b\x1b[31m", "two\nlines\u00a0and more ", "",
	strings.Repeat("word ", 60), strings.Repeat("ä ", 90), strings.Repeat("\x01 ", 120), "\xff\xfe broken",
}

func TestTheGroupThatAnAlertNamesIsFound(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	for i, cause := range odd {
		one := m.die(1, cause)[0].String()
		m.raise()
		groups := m.named()
		if len(groups) != i+1 {
			t.Fatalf("after %q the alerts name %q", cause, groups)
		}
		m.says(m.dlq("", "list --signature "+groups[i]), ExitOK, one, `^1 dead letter`)
		m.says(m.dlq("", "redrive --dry-run --signature "+groups[i]), ExitOK, groups[i], `^would redrive 1 letter`)
	}
}

// TestADigestNamesItsGroups: all of it can be typed.
func TestADigestNamesItsGroups(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	for i := range 7 {
		m.die(7-i, "refused by "+string(rune('a'+i)))
	}
	m.raise()
	groups := m.named()
	if len(groups) != 5 {
		t.Fatalf("the digest names %q, want the 5 largest groups", groups)
	}
	for i, group := range groups {
		m.says(m.dlq("", "list --signature "+group), ExitOK, "refused by "+string(rune('a'+i)), `^[34567] dead letters`)
	}
	waiting, err := m.Undelivered(t.Context(), 10)
	m.must(err)
	content := (alert.Post{Message: waiting[0].Message}).Content("")
	if line := content.Groups[0].Line(); !strings.Contains(line, "group "+groups[0]) {
		t.Errorf("the line of the group is %s", line)
	}
	ack := content.Commands[len(content.Commands)-1]
	m.says(m.alerts(strings.TrimPrefix(ack, "directorybolt alerts ")), ExitOK, `^(alert [0-9a-f-]{36} is acknowledged by \S+\n){5}$`, ``)
}

// TestLettersOfAnEarlierVersionAreFound: it kept signatures as they came.
func TestLettersOfAnEarlierVersionAreFound(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	old := m.die(1, "bad gateway")[0].String()
	m.exec("UPDATE dead_letters SET signature = 'transient: \ufeffbad gateway '")
	m.raise()
	group := m.named()[0]
	m.says(m.dlq("", "redrive --dry-run --signature "+group), ExitOK, group, `^would redrive 1 letter`)

	fresh := m.die(1, "\ufeffbad gateway")[0].String()
	m.raise()
	monitor := deadletter.New(deadletter.Config{Store: m, Alerts: m, Interval: time.Microsecond, Log: slog.New(slog.DiscardHandler)})
	for range 3 {
		_, err := monitor.Check(t.Context())
		m.must(err)
		if unread, _, err := m.Pending(t.Context()); err != nil || unread {
			t.Fatalf("letters are told again, %v", err)
		}
	}
	m.says(m.dlq("", "list --signature "+group), ExitOK, fresh+".*"+old, `^2 dead letters`)
	m.says(m.dlq("", "list --signature 'transient: bad gateway'"), ExitOK, fresh+".*"+old, `^2 dead letters`)
	m.says(m.dlq("", "redrive --signature "+group+" --reason mended"), ExitOK, `^redriven 2 letters`, ``)
}

func TestDeadLettersAreRedriven(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	ids := m.die(3, "timeout")
	one := ids[0].String()
	m.says(m.dlq("", "redrive"), ExitUsage, `^$`, `nothing is selected`)
	m.says(m.dlq("", "redrive --all "+one), ExitUsage, `^$`, `ids and filters do not go together`)
	m.says(m.dlq("", "redrive --all --rate=-1"), ExitUsage, `^$`, `--rate -1 is out of range`)
	m.says(m.dlq("", "redrive "+one+" --dry-run"), ExitOK, `^would be redriven `+one+`\n$`, `^$`)
	m.says(m.dlq("", "redrive "+one+" --reason 'site is back' --actor cli:ann"), ExitOK, `^redriven `+one+`\n$`, `^$`)
	m.says(m.dlq("", "redrive "+one), ExitFailure, `^$`, `job `+one+` is pending: state does not allow this \(see: directorybolt jobs history `+one+`\)`)
	m.says(m.dlq("", "redrive "+one+" 01932f6c-0000-7000-8000-000000000000 "+ids[1].String()), ExitPartly, `^redriven `+ids[1].String()+`\n$`, `no dead letter and no job`)
	m.says(m.dlq("", "redrive --all --dry-run"), ExitOK, `^GROUP.* 1 +\$149\.00`, `^would redrive 1 letter, worth \$149\.00\n$`)
	m.says(m.dlq("", "redrive --all --json"), ExitOK, `^\{"total":1,"redriven":1,.*"left":0,"new_failures":0\}\n$`, ``)
	m.says(m.dlq("", "redrive --all"), ExitNotFound, `^$`, `no dead letters to redrive`)
	m.says(m.dlq("", "journal"), ExitOK, `^AT .* cli:ann +redrive +1 +\$149\.00 +site is back +`+one, `^$`)

	// A job that fails again and again is held back.
	for range 4 {
		m.fail("timeout")
		m.must(m.Redrive(t.Context(), ids[0], job.By{Actor: "cli:bob"}))
	}
	m.fail("timeout")
	fresh := m.die(1, "timeout")[0].String()
	m.says(m.dlq("", "redrive "+one), ExitFailure, `^$`, `was redriven 5 times and failed again each time \(mend the cause; --force`)
	m.says(m.dlq("", "redrive --kind noop --dry-run"), ExitOK, ` 3 +\$447\.00`, `1 letter held back`)
	m.says(m.dlq("", "redrive --kind noop"), ExitPartly, `^redriven 3 letters\n$`, `1 letter held back`)
	m.says(m.dlq("", "redrive --all --force"), ExitOK, `^redriven 1 letter\n$`, ``)
	m.says(m.dlq("", "show "+fresh), ExitOK, `^fate +redriven\n`, `^$`)
}

func TestPurgeExportsAndAsksFirst(t *testing.T) {
	t.Parallel()
	m := newMorgue(t)
	ids := m.die(3, "timeout")
	m.says(m.dlq("", "purge --all"), ExitUsage, `^$`, `a purge needs a reason`)
	m.says(m.dlq("", "purge --reason x"), ExitUsage, `^$`, `nothing is selected`)
	m.says(m.dlq("", "purge --all --reason x --dry-run"), ExitOK, ` 3 +\$447\.00`, `would purge 3 letters, worth \$447\.00`)
	open := func(want int64) {
		t.Helper()
		if d, err := m.LetterDepth(t.Context()); err != nil || d.Open != want {
			t.Errorf("%d letters are open, error %v; want %d", d.Open, err, want)
		}
	}
	m.says(m.dlq("", "purge --all --reason x"), ExitUsage, `^$`, `type 3 to purge 3 letters: .*not confirmed; nothing was purged`)
	m.says(m.dlq("2\n", "purge --all --reason x"), ExitUsage, `^$`, `not confirmed`)
	m.says(m.dlq("", "purge --all --reason x --yes 2"), ExitUsage, `^$`, `--yes 2, but 3 letters selected; nothing was purged`)
	open(3)
	if left, err := filepath.Glob(filepath.Join(m.dir, "dead-letters-*")); err != nil || len(left) != 0 {
		t.Errorf("exports of purges that were not confirmed: %v, error %v", left, err)
	}

	got := m.dlq("1\n", "purge "+ids[0].String()+" --reason 'refunded' --actor cli:ann --json")
	m.says(got, ExitOK, `^\{"purged":1,"value_cents":14900,"export":".*\.jsonl"\}\n$`, `exported 1 letter, worth \$149\.00, to `)
	open(2)
	var done struct{ Export string }
	m.must(json.Unmarshal([]byte(got.stdout), &done))
	info, err := os.Stat(done.Export)
	m.must(err)
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the export has mode %o, want 600", mode)
	}
	text, err := os.ReadFile(done.Export)
	m.must(err)
	var line exported
	m.must(json.Unmarshal(text, &line))
	if line.JobID != ids[0] || line.Cause != "timeout" || string(line.Payload) != `{"n":1}` {
		t.Errorf("exported %s", text)
	}

	file := filepath.Join(m.dir, "out.jsonl")
	m.says(m.dlq("", "purge --all --reason x --yes 2 --export "+file), ExitOK, `^purged 2 letters; export: .*out\.jsonl\n$`, ``)
	m.says(m.dlq("", "purge --all --reason x --yes 0 --export "+file), ExitFailure, `^$`, `export dead letters: .*file exists \(choose another file with --export\)`)
	m.says(m.dlq("", "purge --all --reason x"), ExitNotFound, `^$`, `no dead letters to purge`)
	m.says(m.dlq("", "list --all"), ExitOK, `purged\n$`, ``)
	m.says(m.dlq("", "show "+ids[0].String()), ExitOK, `^fate +purged\n.*^by +cli:ann\n.*^reason +refunded\n`, ``)
	m.says(m.dlq("", "redrive --all"), ExitNotFound, `^$`, `no dead letters to redrive`)
	m.says(m.dlq("", "redrive "+ids[0].String()), ExitOK, `^redriven `, ``)
}
