package cli

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestEveryCommandHasHelpWithAnExampleThatParses(t *testing.T) {
	for _, leaf := range leaves(t) {
		path := strings.Fields(leaf.Path())
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			got := command(t, append(path, "--help")...)
			if got.status != ExitOK || got.stderr != "" {
				t.Fatalf("status %d, stderr %q", got.status, got.stderr)
			}
			_, example, found := strings.Cut(got.stdout, "Example:")
			if !found || !strings.Contains(example, "directorybolt "+strings.Join(path, " ")) {
				t.Errorf("no example in:\n%s", got.stdout)
			}
			if leaf.Help == "" || !strings.HasSuffix(leaf.Help, ".") {
				t.Errorf("help %q is not a sentence", leaf.Help)
			}
			for _, flags := range leaf.AllFlags(true) {
				for _, f := range flags {
					if f.Help == "" {
						t.Errorf("--%s has no help", f.Name)
					}
				}
			}
		})
	}
}

func TestUsageErrorsAreOneSentenceWithTheWayToTheHelp(t *testing.T) {
	for _, args := range []string{"nonsense", "jobs", "jobs list --state soon", "jobs show", "jobs list --nonsense", "jobs pause --all --kind order", "submit --package starter"} {
		t.Run(args, func(t *testing.T) {
			got := command(t, strings.Fields(args)...)
			if got.status != ExitUsage || got.stdout != "" {
				t.Errorf("status %d, stdout %q; want %d and nothing", got.status, got.stdout, ExitUsage)
			}
			if !strings.HasPrefix(got.stderr, "directorybolt: ") || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "--help)") {
				t.Errorf("stderr %q", got.stderr)
			}
		})
	}
}

func TestNoCommandAtAllShowsTheHelpOnStderr(t *testing.T) {
	got := command(t)
	if got.status != ExitUsage || got.stdout != "" || !strings.Contains(got.stderr, "Usage: directorybolt") {
		t.Errorf("status %d, stdout %q, stderr %q", got.status, got.stdout, got.stderr)
	}
}

func TestCompletionKnowsCommandsFlagsAndValues(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"", "all api work stale-monitor dlq-monitor demo sandbox submit jobs customers directories doctor verify health why dlq alerts stale audit report keys queue drill migrate config version completion"},
		{"m", "migrate"},
		{"jobs re", "results redrive resume"},
		{"jobs list --st", "--state"},
		{"jobs list --state f", "failed"},
		{"jobs --json list --state p", "pending"},
		{"jobs list --json --js", ""},
		{"submit --profile ", ":file"},
		{"submit --profile some.yaml --pack", "--package"},
		{"submit --package ", "starter growth professional enterprise"},
		{"completion ", "bash zsh fish"},
		{"jobs list --data-dir ", ":file"},
	} {
		t.Run(c.words, func(t *testing.T) {
			got := command(t, append([]string{"__complete", "--"}, strings.Split(c.words, " ")...)...)
			if have := strings.Join(strings.Fields(got.stdout), " "); have != c.want {
				t.Errorf("%q, want %q", have, c.want)
			}
		})
	}
}

func TestCompletionScriptsAreValidForTheirShells(t *testing.T) {
	for shell, script := range completionScripts {
		path, err := exec.LookPath(shell)
		if err != nil {
			if shell == "bash" {
				t.Fatal(err)
			}
			continue // not on this machine; its engine is tested above
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}

func leaves(t *testing.T) []*kong.Node {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Name("directorybolt"), kong.ExplicitGroups(groups))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Leaves(true)
}
