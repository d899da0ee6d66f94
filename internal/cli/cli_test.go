package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/directorybolt/directorybolt/internal/dbtest"
)

// TestScripts runs the real binary, as people do.
func TestScripts(t *testing.T) {
	bin, database := buildBinary(t), dbtest.Postgres(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = taken.Close() })
			env.Setenv("TAKEN_PORT", port(taken.Addr()))
			env.Setenv("FREE_PORT", freePort())
			env.Setenv("POSTGRES_URL", database)
			env.Setenv("TZ", "UTC")
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status":  status,
			"answers": answers,
			"appears": appears,
			"prints":  prints,
			"refuses": refuses,
			"slim":    slim,
			"words":   words,
		},
	})
}

// buildBinary builds the command and returns the directory it is in.
func buildBinary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir, "../../cmd/directorybolt").CombinedOutput()
	if err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	return dir
}

// status runs a command and wants its exit status: status 4 directorybolt submit …
func status(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		text, found := strings.CutPrefix(err.Error(), "exit status ")
		if !found {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
		got, err = strconv.Atoi(text)
		ts.Check(err)
	}
	if (got == want) == neg {
		ts.Fatalf("%s: exit status %d, want %d (negated: %v)", strings.Join(args[1:], " "), got, want, neg)
	}
}

// answers waits until a URL answers 200: answers http://127.0.0.1:…/readyz
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("answers cannot be negated")
	}
	poll(ts, args[0]+" to answer", func() bool { return isOK(args[0]) })
}

// refuses waits until a URL no longer answers 200.
func refuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("refuses cannot be negated")
	}
	poll(ts, args[0]+" to be refused", func() bool { return !isOK(args[0]) })
}

func isOK(url string) bool {
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

// appears waits until a file is there.
func appears(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("appears cannot be negated")
	}
	poll(ts, args[0]+" to appear", func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil
	})
}

// prints repeats a command until its stdout matches: prints 'text' directorybolt …
func prints(ts *testscript.TestScript, neg bool, args []string) {
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	if neg {
		ts.Fatalf("prints cannot be negated")
	}
	poll(ts, strings.Join(args[1:], " ")+" to print "+args[0], func() bool {
		ts.Check(ts.Exec(args[1], args[2:]...))
		return want.MatchString(ts.ReadFile("stdout"))
	})
}

// poll waits for what another process does.
func poll(ts *testscript.TestScript, what string, holds func() bool) {
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain for %s", what)
		}
	}
}

// slim wants the process whose id is in a file to have less resident memory than
// so many megabytes: slim data/directorybolt.lock 60
func slim(ts *testscript.TestScript, neg bool, args []string) {
	limit, err := strconv.Atoi(args[1])
	ts.Check(err)
	kilobytes, err := resident(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Logf("resident: %d MB", kilobytes>>10)
	if (kilobytes < limit<<10) == neg {
		ts.Fatalf("the process has %d MB resident, the limit is %d", kilobytes>>10, limit)
	}
}

// resident is the resident memory of a process, as Linux tells it.
func resident(pid string) (kilobytes int, err error) {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	_, line, _ := strings.Cut(string(status), "VmRSS:")
	_, err = fmt.Sscan(line, &kilobytes)
	return kilobytes, err
}

// words sets variables to the words of a file's first line: words stdout ID REST
func words(ts *testscript.TestScript, neg bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	found := strings.Fields(line)
	if neg || len(found) < len(args)-1 {
		ts.Fatalf("%q has fewer words than %v", line, args[1:])
	}
	for i, name := range args[1:] {
		ts.Setenv(name, found[i])
	}
}

func port(a net.Addr) string { return strconv.Itoa(a.(*net.TCPAddr).Port) }

// freePort is a port that was free a moment ago, below those that the system
// hands out by itself: a sandbox takes dozens of these.
func freePort() string {
	for {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000)))
		if err == nil {
			defer ln.Close()
			return port(ln.Addr())
		}
	}
}

// result is what a command line printed.
type result struct {
	stdout, stderr string
	status         int
}

// command runs a command line inside the test, for commands that need no process.
func command(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := Main(t.Context(), Process{Args: args, Stdout: &stdout, Stderr: &stderr})
	return result{stdout.String(), stderr.String(), status}
}
