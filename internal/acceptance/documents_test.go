package acceptance

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Every block of commands in a document says in a comment on the line before it what
// becomes of it here:
//
//	<!-- run: NAME -->        these tests bring a system into the state that the text
//	                          tells of, the scene of that name, type the commands, and
//	                          hold what is printed against what the document shows
//	<!-- not run: REASON -->  one of the reasons below

// reasons are why commands are not run. That they exist is checked all the same, by
// deploy/check.
var reasons = map[string]string{
	"wants a cloud account":    "they make queues, databases or sites in the account of a cloud",
	"wants a container engine": "they build and run containers",
	"takes minutes":            "they measure, or run everything there is",
}

// elsewhere are names of what other tests run, and in which document: deploy/check,
// TestTheRehearsalRunsAsItIsWritten; scripts/test-systemd.sh, which wants root.
var elsewhere = map[string]string{"rehearsal": "docs/deployment.md", "systemd": "docs/deployment.md"}

// scenes are the states that documents tell of, by name.
var scenes = func() map[string]scene {
	all := maps.Clone(documentScenes)
	maps.Copy(all, runbookScenes)
	return all
}()

// scene is a system in the state that a document tells of. The blocks that name it are
// typed into one shell, from the top of the document to its end.
type scene struct {
	on   string // sqlite or postgres; empty: sqlite
	play func(s *stack) example
}

// example tells how a document's text is to be read beside a real system.
type example struct {
	// stands is what words of the document, in commands and in what they print, stand
	// for here: an id of the document, and the real one. It may grow meanwhile.
	stands map[string]string
	// steps are what is special about a command, by its first line as the document has
	// it; the second time that it is typed is "… #2". A step may set things: the shell
	// has them too.
	steps map[string]step
}

// step is what is special about a command.
type step struct {
	first func()               // what happens before it is typed
	input string               // what the reader types when he is asked
	exit  int                  // its status
	says  []string             // lines that it prints, beside those that the document shows
	then  func(printed string) // what happens after it
}

// block is a fenced block of a document.
type block struct {
	path       string
	line       int
	lang, mark string
	text       string
	shows      []string // lines of the block of text after it
	members    string   // the JSON after it, of which only the names count
}

func (b block) where() string { return fmt.Sprintf("%s:%d", b.path, b.line) }

// has returns what the mark says after the word, and whether it does.
func (b block) has(word string) (string, bool) {
	said, ok := strings.CutPrefix(b.mark, "<!-- "+word+": ")
	return strings.TrimSuffix(said, " -->"), ok
}

const repository = "../.."

// documents are those that tell people what to type.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"README.md", "docs/*.md", "internal/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d documents, %v", pattern, len(found), err)
		}
		paths = append(paths, found...)
	}
	err := filepath.WalkDir(filepath.Join(repository, "deploy"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" && !strings.Contains(path, "node_modules") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range paths {
		paths[i], _ = filepath.Rel(repository, paths[i])
	}
	return paths
}

// blocks are the commands of a document, in its order.
func blocks(t *testing.T, path string) (found []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(string(text), "\n")
	after := -1 // the line after the last block of commands
	for i := 0; i < len(all); i++ {
		line := strings.TrimSpace(all[i])
		lang, ok := strings.CutPrefix(line, "```")
		if !ok {
			continue
		}
		b := block{path: path, line: i + 1, lang: lang}
		if i > 0 {
			b.mark = strings.TrimSpace(all[i-1])
		}
		indent := all[i][:strings.Index(all[i], "```")]
		for i++; i < len(all) && strings.TrimSpace(all[i]) != "```"; i++ {
			b.text += strings.TrimPrefix(all[i], indent) + "\n"
		}
		switch follows := after >= 0 && strings.TrimSpace(strings.Join(all[after:b.line-1], "")) == ""; {
		case slices.Contains([]string{"sh", "console", "bash", "python", "sql"}, lang) || lang == "" && strings.HasPrefix(b.text, "$ "):
			found, after = append(found, b), i+1
		case lang == "text" && follows:
			found[len(found)-1].shows = strings.Split(strings.TrimSpace(b.text), "\n")
		case lang == "json" && follows:
			found[len(found)-1].members = b.text
		}
	}
	return found
}

// A command that nobody runs rots: each block is run, or says why it cannot be.
func TestEveryCommandOfTheDocumentsIsRunOrSaysWhyNot(t *testing.T) {
	named := map[string]bool{}
	for _, path := range documents(t) {
		for _, b := range blocks(t, path) {
			name, run := b.has("run")
			reason, not := b.has("not run")
			_, here := scenes[name]
			switch named[name] = true; {
			case b.lang == "":
				t.Errorf("%s: commands and what they print are a block of console", b.where())
			case !run && !not:
				t.Errorf("%s: the line before it does not say <!-- run: SCENE --> or <!-- not run: REASON -->", b.where())
			case run && !here && elsewhere[name] != b.path:
				t.Errorf("%s: there is no scene %q", b.where(), name)
			case not && reasons[reason] == "":
				t.Errorf("%s: %q is no reason; there are %q", b.where(), reason, slices.Sorted(maps.Keys(reasons)))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(scenes)) {
		if !named[name] {
			t.Errorf("no document names the scene %q", name)
		}
	}
}

// What the documents say to type works, and prints what they show.
func TestTheCommandsOfTheDocumentsWork(t *testing.T) {
	if out, err := exec.Command(filepath.Join(repository, "scripts/need.sh"), "curl", "jq", "openssl", "git", "make").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range documents(t) {
		told := map[string][]block{}
		var order []string
		for _, b := range blocks(t, path) {
			if name, ok := b.has("run"); ok && elsewhere[name] == "" {
				if told[name] == nil {
					order = append(order, name)
				}
				told[name] = append(told[name], b)
			}
		}
		for _, name := range order {
			t.Run(name+" in "+strings.ReplaceAll(path, "/", "-"), func(t *testing.T) {
				t.Parallel()
				sc, ok := scenes[name]
				if !ok {
					t.Fatalf("there is no scene %q", name)
				}
				s := newStack(t, cmp.Or(sc.on, "sqlite"))
				sh := newShell(s, sc.play(s))
				for _, b := range told[name] {
					sh.types(b)
				}
				sh.leave()
			})
		}
	}
}

var sqlInText = regexp.MustCompile("`((?:SELECT|DELETE|UPDATE|INSERT) [^`]*)`|`psql [^`]* -c (?:\"([^`]*)\"|'([^`]*)')`")

// Statements within sentences are understood, by both databases but for what
// only Postgres has.
func TestTheStatementsOfTheDocumentsAreUnderstood(t *testing.T) {
	onBoth(t, func(t *testing.T, s *stack) {
		for _, path := range documents(t) {
			text, err := os.ReadFile(filepath.Join(repository, path))
			must(t, err)
			for _, m := range sqlInText.FindAllStringSubmatch(string(text), -1) {
				statement := cmp.Or(m[1], m[2], m[3])
				if s.url == "" && regexp.MustCompile(`pg_|find_stale_jobs|now\(\)`).MatchString(statement) {
					continue
				}
				t.Logf("%s: %s", path, statement)
				s.exec(strings.ReplaceAll(statement, "…", job.NewID().String()))
			}
		}
	})
}

// entry is one command of a block, and what the document shows after it.
type entry struct {
	command string
	shows   []string
}

// entries are the commands of a block.
func (b block) entries() (all []entry) {
	open := false // the last command goes on
	for line := range strings.Lines(b.text) {
		line = strings.TrimRight(line, "\n")
		fresh, prompted := strings.CutPrefix(line, "$ ")
		switch console := b.lang == "console"; {
		case open:
			last := &all[len(all)-1]
			last.command += "\n" + line
			open = !whole(last.command)
		case console && prompted:
			all = append(all, entry{command: fresh})
			open = !whole(fresh)
		case console && len(all) > 0:
			last := &all[len(all)-1]
			last.shows = append(last.shows, line)
		case !console && strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#"):
			all = append(all, entry{command: line})
			open = !whole(line)
		}
	}
	return all
}

var hereDocument = regexp.MustCompile(`<<-?\s*['"]?([A-Za-z_]\w*)['"]?`)

// whole reports whether a command does not go on on the next line.
func whole(command string) bool {
	if m := hereDocument.FindStringSubmatch(command); m != nil {
		return strings.HasSuffix(command, "\n"+m[1])
	}
	quote := rune(0)
	skip, comment, before := false, false, ' '
	for _, c := range command {
		switch {
		case comment:
			comment = c != '\n'
		case skip:
			skip = false
		case c == '\\' && quote != '\'':
			skip = true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '#' && (before == ' ' || before == '\n'):
			comment = true
		}
		before = c
	}
	return quote == 0 && !skip
}

// shell is the bash that a scene's commands are typed into.
type shell struct {
	*stack
	example
	in       io.WriteCloser
	out      *bufio.Reader
	end      func() // of bash, at once
	exported int    // settings of the stack that bash has
	typed    map[string]int
	services []*process // what was typed and did not end
}

// patience is how long a command may take.
const patience = 3 * time.Minute

func newShell(s *stack, e example) *shell {
	s.t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc", "-s")
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Env = append(s.env, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "HOME="+s.dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	sh := &shell{stack: s, example: e, in: in, out: bufio.NewReader(out), exported: len(s.env), typed: map[string]int{}}
	sh.end = func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	s.t.Cleanup(func() { // with what it left in the background
		sh.end()
		_ = cmd.Wait()
	})
	sh.tell("set -uo pipefail")
	return sh
}

// tell has bash execute a line.
func (sh *shell) tell(format string, args ...any) {
	sh.t.Helper()
	if _, err := fmt.Fprintf(sh.in, format+"\n", args...); err != nil {
		sh.t.Fatalf("the shell has ended: %v", err)
	}
}

// types has the commands of a block executed, and holds what they print against the
// document.
func (sh *shell) types(b block) {
	sh.t.Helper()
	all := ""
	for _, e := range b.entries() {
		printed, input := sh.execute(b, e)
		sh.check(b, e.command, unechoed(e.shows, input), printed)
		all += printed
	}
	sh.check(b, "the block", b.shows, all)
	if b.members != "" {
		printed := strings.Split(strings.TrimSpace(all), "\n")
		if got, want := members(sh.t, printed[len(printed)-1]), members(sh.t, b.members); !slices.Equal(got, want) {
			sh.t.Errorf("%s: the answer has %v, and the document shows %v", b.where(), got, want)
		}
	}
}

func members(t *testing.T, text string) []string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return slices.Sorted(maps.Keys(v))
}

// forever are commands that do not end by themselves, unless they fail.
var forever = regexp.MustCompile(`^(?:\w+=\S* )*(?:(?:bin/)?directorybolt (?:all|api|work|stale-monitor|dlq-monitor|sandbox)\b|curl -N|python3 examples/worker\.py)`)

// unechoed is what a document shows, without what the reader typed: here no terminal
// echoes it, nor begins a new line.
func unechoed(shows []string, input string) []string {
	typed := strings.TrimSpace(input)
	i := slices.IndexFunc(shows, func(line string) bool { return typed != "" && strings.HasSuffix(line, ": "+typed) })
	if i < 0 || i+1 == len(shows) {
		return shows
	}
	return slices.Concat(shows[:i], []string{strings.TrimSuffix(shows[i], typed) + shows[i+1]}, shows[i+2:])
}

// execute has one command executed, with its step, and returns what it printed and what
// was typed into it.
func (sh *shell) execute(b block, e entry) (printed, input string) {
	sh.t.Helper()
	name, _, _ := strings.Cut(e.command, "\n")
	if sh.typed[name]++; sh.typed[name] > 1 {
		name = fmt.Sprintf("%s #%d", name, sh.typed[name])
	}
	st := sh.steps[name]
	if st.first != nil {
		st.first()
	}
	for ; sh.exported < len(sh.env); sh.exported++ {
		sh.tell("export %s", quoted(sh.env[sh.exported]))
	}
	command, status, begun := sh.real(e.command), 0, time.Now()
	if st.exit == 0 && forever.MatchString(command) {
		printed, status = sh.serve(b, command, e.shows)
	} else {
		printed, status = sh.enter(command, st.input)
	}
	if status != st.exit {
		sh.t.Errorf("%s: status %d, want %d: %s\n%s", b.where(), status, st.exit, command, printed)
	}
	sh.t.Logf("%s: %s: %s", b.where(), time.Since(begun).Round(10*time.Millisecond), name+"\n"+printed)
	sh.check(b, name, st.says, printed)
	if st.then != nil {
		st.then(printed)
	}
	return printed, st.input
}

// enter has bash execute a command to its end.
func (sh *shell) enter(command, input string) (printed string, status int) {
	sh.t.Helper()
	const mark = "\x01"
	typed := "/dev/null"
	if input != "" {
		typed = filepath.Join(sh.t.TempDir(), "typed")
		if err := os.WriteFile(typed, []byte(input), 0o600); err != nil {
			sh.t.Fatal(err)
		}
	}
	late := time.AfterFunc(patience, sh.end)
	defer late.Stop()
	sh.tell("{ %s\n} <%s 2>&1; printf '%s%%d\\n' $?", command, quoted(typed), mark)
	printed, err := sh.out.ReadString(mark[0])
	if err == nil {
		_, err = fmt.Fscanf(sh.out, "%d\n", &status)
	}
	if err != nil {
		sh.t.Fatalf("the shell ended (%v) at: %s\n%s", err, command, printed)
	}
	return strings.TrimSuffix(printed, mark), status
}

// serve begins a command that stays, where bash is and with what it exports, and
// returns when it has printed what the document shows, or has ended.
func (sh *shell) serve(b block, command string, shows []string) (printed string, status int) {
	sh.t.Helper()
	environ, _ := sh.enter("env -0", "")
	dir, _ := sh.enter("pwd", "")
	cmd := exec.Command("bash", "-c", command)
	cmd.Env, cmd.Dir = strings.Split(strings.TrimRight(environ, "\x00"), "\x00"), strings.TrimSpace(dir)
	p := sh.launch("typed", cmd)
	began := regexp.MustCompile(`(?m)"msg":"started"|^http://`)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		ended := false
		select {
		case <-p.exited:
			ended = true
		default:
		}
		printed = string(p.output())
		_, missing := sh.missing(shows, printed)
		switch {
		case ended:
			return printed, cmd.ProcessState.ExitCode()
		case len(shows) > 0 && !missing, len(shows) == 0 && began.MatchString(printed):
			sh.services = append(sh.services, p)
			return printed, 0
		}
	}
	sh.t.Errorf("%s: it does not begin: %s", b.where(), command)
	return printed, 0
}

// leave ends what was begun, the last first. Ours drain.
func (sh *shell) leave() {
	sh.t.Helper()
	slices.Reverse(sh.services)
	for _, p := range sh.services {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(patience):
			sh.t.Errorf("%q does not end:\n%s", p.cmd.Args, tail(p.output()))
		}
		if ours := strings.Contains(p.cmd.Args[2], "directorybolt "); ours && p.cmd.ProcessState.ExitCode() != 0 {
			sh.t.Errorf("%q ends with %s:\n%s", p.cmd.Args, p.cmd.ProcessState, tail(p.output()))
		}
	}
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// real puts what the document's words stand for in their places.
func (sh *shell) real(text string) string {
	words := slices.SortedFunc(maps.Keys(sh.stands), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	if len(words) == 0 {
		return text
	}
	edge := func(c byte) string {
		if regexp.MustCompile(`\w`).Match([]byte{c}) {
			return `\b`
		}
		return ""
	}
	for i, w := range words {
		words[i] = edge(w[0]) + regexp.QuoteMeta(w) + edge(w[len(w)-1])
	}
	return regexp.MustCompile(strings.Join(words, "|")).ReplaceAllStringFunc(text, func(w string) string { return sh.stands[w] })
}

// check holds what was printed against what the document shows.
func (sh *shell) check(b block, what string, shows []string, printed string) {
	sh.t.Helper()
	if want, missing := sh.missing(shows, printed); missing {
		var said []string
		for line := range strings.Lines(printed) {
			said = append(said, sh.plain(line))
		}
		sh.t.Errorf("%s: %s\nshould print\n\t%s\nthat is\n\t%s\nprinted was, in its words\n\t%s", b.where(), what, want,
			sh.plain(sh.real(want)), strings.Join(said, "\n\t"))
	}
}

// missing is the first line of a document that was not printed after those before it.
func (sh *shell) missing(shows []string, printed string) (line string, missing bool) {
	said := strings.Split(strings.TrimSpace(printed), "\n")
	for _, want := range shows {
		if strings.TrimSpace(want) == "" {
			continue
		}
		i := slices.IndexFunc(said, sh.like(sh.real(want)))
		if i < 0 {
			return want, true
		}
		said = said[i+1:]
	}
	return "", false
}

// like reports whether a printed line is what a document shows.
func (sh *shell) like(want string) func(string) bool {
	var record map[string]any
	if json.Unmarshal([]byte(want), &record) == nil && record["msg"] != nil {
		return func(line string) bool { return sh.sameRecord(record, line) }
	}
	pattern := sh.pattern(want)
	return func(line string) bool { return pattern.MatchString(sh.plain(line)) }
}

// pattern matches text that is the same but for what differs each time; … is anything.
func (sh *shell) pattern(want string) *regexp.Regexp {
	return regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(sh.plain(want)), "…", ".*") + "$")
}

// sameRecord reports whether a line of a log has every attribute that a document shows.
func (sh *shell) sameRecord(want map[string]any, line string) bool {
	var got map[string]any
	if json.Unmarshal([]byte(line), &got) != nil {
		return false
	}
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			return false
		}
		switch w := w.(type) {
		case string:
			if g, ok := g.(string); name != "time" && name != "host" && name != "version" && (!ok || !sh.pattern(w).MatchString(sh.plain(g))) {
				return false
			}
		case float64: // a duration is in nanoseconds
			if _, number := g.(float64); !number || w < 1e6 && name != "pid" && g != w {
				return false
			}
		default:
			if !reflect.DeepEqual(w, g) {
				return false
			}
		}
	}
	return true
}

// variable is what differs each time, and a word for it.
var variable = []struct {
	like *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{4,8}(?:-[0-9a-f]{0,12})*…`), "ID"},
	{regexp.MustCompile(`\bdbk_\w*…?`), "KEY"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?`), "TIME"},
	{regexp.MustCompile(`\b\d{8}T\d{6}(?:\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b(?:127\.0\.0\.1|localhost):\d+`), "ADDRESS"},
	{regexp.MustCompile(`[\w.-]+, pid \d+`), "HOST, pid N"},
	{regexp.MustCompile(`\bpid \d+`), "pid N"},
	{regexp.MustCompile(`\b(?:\d+(?:\.\d+)?(?:ns|µs|ms|s|m|h))+\b|\b\d+\.\d+ s\b`), "SPAN"},
	{regexp.MustCompile(`\b\d{16}-`), "MICROSECONDS-"},
	{regexp.MustCompile(`\bt=\d+|(Reset|Retry-After): \d+|try again in \d+ seconds`), "WAIT"},
	{regexp.MustCompile(`\bfence \d+`), "fence N"},
	{regexp.MustCompile(`"uptime":[\d.]+`), `"uptime":SPAN`},
	{regexp.MustCompile(`-{2,}`), "--"},
	{regexp.MustCompile(`\s+`), " "},
}

// plain is a text without what differs each time.
func (sh *shell) plain(text string) string {
	text = strings.ReplaceAll(text, sh.dir+"/", "")
	for _, v := range variable {
		text = v.like.ReplaceAllString(text, v.word)
	}
	return strings.TrimSpace(text)
}
