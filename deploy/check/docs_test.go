package check

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/queue/sqstest"
)

// block is a fenced block of a document: commands, and what they should print.
type block struct {
	line     int
	run      bool // by this test, as it stands
	commands string
	expect   []string // lines in this order, … for anything; none: whatever
}

var fence = regexp.MustCompile("(?ms)^(<!-- run: rehearsal -->\n)?```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?")

// blocks are the commands of a document.
func blocks(t *testing.T, path string) []block {
	t.Helper()
	text := read(t, path)
	var found []block
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		b := block{line: 1 + strings.Count(text[:m[4]], "\n"), run: m[2] >= 0, commands: text[m[4]:m[5]]}
		if m[6] >= 0 {
			b.expect = strings.Split(strings.TrimSpace(text[m[6]:m[7]]), "\n")
		}
		found = append(found, b)
	}
	if len(found) == 0 {
		t.Fatalf("%s has no commands", path)
	}
	return found
}

// TestTheRehearsalRunsAsItIsWritten runs the commands of docs/deployment.md in one
// shell, with a fresh Postgres and an emulator of SQS as the cloud, and holds what they
// print against the document.
func TestTheRehearsalRunsAsItIsWritten(t *testing.T) {
	emulator := sqstest.Can(t, func(e sqstest.Emulator) bool { return e.Counts })[0].StartOwn(t)
	yours := map[string]string{
		"DATABASE_URL": dbtest.Postgres(t), "AWS_ENDPOINT_URL_SQS": emulator.Endpoint, "PORT": fmt.Sprint(freePort(t)),
	}
	all := slices.DeleteFunc(blocks(t, "docs/deployment.md"), func(b block) bool { return !b.run })
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for _, b := range all {
		fmt.Fprintf(&script, "echo '=== %d'\n%s\n", b.line, fillIn(t, b, yours))
	}
	home := t.TempDir()
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir = root
	cmd.Env = []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LEASE=20s",
		"GOCACHE=" + goEnv(t, "GOCACHE"), "GOMODCACHE=" + goEnv(t, "GOMODCACHE"), "GOPROXY=" + goEnv(t, "GOPROXY"), "GOFLAGS=" + goEnv(t, "GOFLAGS"),
	}
	var out, chatter bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &chatter
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(5*time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	late.Stop()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what a failed run left behind
	if err != nil {
		t.Errorf("the rehearsal ends with %v", err)
	}
	checkPrinted(t, all, out.String())
	if t.Failed() {
		t.Logf("it printed\n%s\n%s", out.String(), chatter.String())
		logs, _ := filepath.Glob(filepath.Join(home, "directorybolt", "*.log"))
		for _, log := range logs {
			text, _ := os.ReadFile(log)
			t.Logf("%s:\n%s", filepath.Base(log), text)
		}
	}
}

// fillIn sets what a line that ends in "# yours" leaves to the reader.
func fillIn(t *testing.T, b block, yours map[string]string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(b.commands) {
		line = strings.TrimRight(line, "\n")
		if strings.Contains(line, "# yours") {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "export "), "=")
			value, known := yours[name]
			if !known {
				t.Fatalf("line %d: nobody knows what %s is to be", b.line, name)
			}
			line = "export " + name + "='" + value + "'"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// checkPrinted holds each block's output against what the document says of it.
func checkPrinted(t *testing.T, all []block, out string) {
	t.Helper()
	for _, b := range all {
		_, printed, ran := strings.Cut(out, fmt.Sprintf("=== %d\n", b.line))
		printed, _, _ = strings.Cut(printed, "\n=== ")
		if !ran {
			t.Errorf("line %d was not reached", b.line)
			return
		}
		lines := strings.Split(printed, "\n")
		for _, want := range b.expect {
			pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", ".*") + "$")
			i := slices.IndexFunc(lines, func(line string) bool { return pattern.MatchString(strings.TrimSpace(line)) })
			if i < 0 {
				t.Errorf("line %d: the document says %q, printed was:\n%s", b.line, want, printed)
				break
			}
			lines = lines[i+1:]
		}
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(run(t, exec.Command("go", "env", name)))
}

var (
	ourCommand  = regexp.MustCompile(`(?m)(?:^|[\s(|&])(?:bin/)?directorybolt ((?:[a-z][a-z-]*)(?: [^#&|;>()` + "`" + `\n]+)?)`)
	ourTarget   = regexp.MustCompile(`(?m)(?:^|[\s(|&])make (?:-C \S+ )?([a-z][a-z-]*)((?: [a-z][a-z-]*)*)`)
	ourService  = regexp.MustCompile(`docker compose (?:run|up|exec)[^\n]*`)
	ourUnit     = regexp.MustCompile(`directorybolt-[a-z@-]+\d*\.(?:service|socket)|directorybolt\.target`)
	placeholder = regexp.MustCompile(`^[A-Z]+$`)

	anyFence = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	prompted = regexp.MustCompile(`(?m)^ *\$ (.*)$`)
	redirect = regexp.MustCompile(` \d?>+&?\S+`)
	span     = regexp.MustCompile("`([^`\n]+)`")
	word     = regexp.MustCompile(`(?:[^\s"']|"[^"]*"|'[^']*')+`)
)

// Commands, in blocks and in the text, are commands of this binary with flags that it
// has, targets of the Makefile, services of the compose file, units that there are;
// also those that no test runs.
func TestTheCommandsOfTheDocumentsExist(t *testing.T) {
	p := compose(t, "", nil, "compose.yaml")
	makefile, seen, commands := read(t, "Makefile"), map[string]bool{}, subcommands(t)
	for _, path := range documents(t) {
		for _, told := range typedIn(read(t, path), commands) {
			for _, m := range ourCommand.FindAllStringSubmatch(redirect.ReplaceAllString(told, ""), -1) {
				if words := ready(m[1]); !seen[strings.Join(words, " ")] {
					seen[strings.Join(words, " ")] = true
					checkCommand(t, path, words)
				}
			}
			for _, m := range ourTarget.FindAllStringSubmatch(told, -1) {
				for _, target := range strings.Fields(m[1] + m[2]) {
					if !strings.Contains(makefile, "\n"+target+":") {
						t.Errorf("%s: %s: make has no target %s", path, told, target)
					}
				}
			}
			for _, line := range ourService.FindAllString(told, -1) {
				checkCompose(t, path, p, strings.Fields(line))
			}
			for _, unit := range ourUnit.FindAllString(told, -1) {
				read(t, "deploy/systemd/"+regexp.MustCompile(`@\d+`).ReplaceAllString(unit, "@"))
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d commands were found", len(seen))
	}
}

// documents are those that tell people what to type.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "internal/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d documents, %v", pattern, len(found), err)
		}
		for _, path := range found {
			if path = strings.TrimPrefix(path, root+"/"); path != "CHANGELOG.md" { // it tells of what was
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// typedIn is what a document says to type: blocks of commands, and what stands in
// backquotes, where the program's name may be left out.
func typedIn(text string, commands map[string]bool) (all []string) {
	for _, m := range anyFence.FindAllStringSubmatch(text, -1) {
		switch m[1] {
		case "sh", "bash":
			all = append(all, m[2])
		case "console":
			for _, line := range prompted.FindAllStringSubmatch(m[2], -1) {
				all = append(all, line[1])
			}
		}
	}
	for _, m := range span.FindAllStringSubmatch(anyFence.ReplaceAllString(text, ""), -1) {
		words := strings.Fields(m[1])
		if len(words) > 1 && (commands[words[0]] || commands[words[0]+" "+words[1]]) {
			m[1] = "directorybolt " + m[1]
		}
		all = append(all, m[1])
	}
	return all
}

// subcommands are what the program's help lists.
func subcommands(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z][a-z-]*(?: [a-z-]+)?)  `).FindAllStringSubmatch(run(t, exec.Command(binary, "--help")), -1) {
		all[m[1]] = true
	}
	if !all["work"] || !all["dlq list"] {
		t.Fatalf("the help lists %v", all)
	}
	return all
}

// ready are the words of a command, without what stands for others.
func ready(command string) []string {
	words := word.FindAllString(command, -1)
	for i, w := range words {
		words[i] = strings.Trim(w, `"'`)
	}
	if n := len(words); words[n-1] == "…" && !strings.HasPrefix(words[n-2], "--") {
		words = words[:n-1]
	}
	return words
}

// checkCompose looks at the words of a docker compose command that are neither flags
// nor their values: the first are services, what follows one to run is ours.
func checkCompose(t *testing.T, where string, p project, words []string) {
	t.Helper()
	takesValue := map[string]bool{"--profile": true, "-f": true, "--scale": true, "-v": true}
	for i := 3; i < len(words); i++ {
		switch word := words[i]; {
		case takesValue[word]:
			i++
		case strings.HasPrefix(word, "-") || placeholder.MatchString(word):
		default:
			if _, ok := p.Services[word]; !ok {
				t.Errorf("%s: there is no service %s", where, word)
			}
			if words[2] == "run" {
				if i+1 < len(words) {
					checkCommand(t, where, words[i+1:])
				}
				return
			}
		}
	}
}
