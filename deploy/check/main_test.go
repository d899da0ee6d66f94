package check

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository, as these tests see it.
const root = "../.."

// binary is the program, built by the script that everything is built with.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "deploy-check")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the binary:", err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "directorybolt")
	build := exec.Command("scripts/build.sh", binary)
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "scripts/build.sh:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// read is the text of a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// run executes a program to its end and returns what it printed on stdout.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, chatter bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &chatter
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out.Bytes(), chatter.Bytes())
	}
	return out.String()
}

// git is what git says of this commit.
func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "TZ=UTC")
	return strings.TrimSpace(run(t, cmd))
}

// checkCommand fails when the program does not know these words.
func checkCommand(t *testing.T, where string, words []string) {
	t.Helper()
	cmd := exec.Command(binary, append(words, "--help")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: directorybolt %s is no command: %s", where, strings.Join(words, " "), out)
	}
}
