package check

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// stages are those of deploy/Dockerfile, by the parser that builds it.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, "deploy/Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	all, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// of are the instructions of a stage that are of one kind.
func of[T instructions.Command](s instructions.Stage) []T {
	var found []T
	for _, c := range s.Commands {
		if c, ok := c.(T); ok {
			found = append(found, c)
		}
	}
	return found
}

func TestTheImageIsTheBinaryAloneAndNobodyIsRoot(t *testing.T) {
	all := stages(t)
	last := all[len(all)-1]
	if len(all) < 2 || last.BaseName != "scratch" {
		t.Errorf("%d stages, the last from %s; want the binary alone, from scratch", len(all), last.BaseName)
	}
	const program = "/usr/local/bin/directorybolt"
	users := of[*instructions.UserCommand](last)
	if len(users) != 1 || !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(users[0].User) {
		t.Errorf("users are %v; want one, by number, not root", users)
	}
	entry := of[*instructions.EntrypointCommand](last)
	if len(entry) != 1 || entry[0].PrependShell || !slices.Equal(entry[0].CmdLine, []string{program}) {
		t.Errorf("entrypoint is %v; want the binary without a shell, so that it gets the signals", entry)
	}
	if words := healthCheck(t, last); !slices.Equal(words, []string{"health", "--ready"}) {
		t.Errorf("the health check is directorybolt %v; want its own, about this process alone", words)
	}
	for _, cmd := range of[*instructions.CmdCommand](last) {
		checkCommand(t, "CMD", cmd.CmdLine)
	}
	var arrives bool
	for _, c := range of[*instructions.CopyCommand](last) {
		arrives = arrives || c.DestPath == program && c.From == all[0].Name
	}
	if !arrives {
		t.Errorf("no COPY brings %s", program)
	}
}

// healthCheck is what the image asks the binary for.
func healthCheck(t *testing.T, s instructions.Stage) []string {
	t.Helper()
	checks := of[*instructions.HealthCheckCommand](s)
	if len(checks) != 1 || len(checks[0].Health.Test) < 2 || checks[0].Health.Test[0] != "CMD" || checks[0].Health.Test[1] != "/usr/local/bin/directorybolt" {
		t.Fatalf("%d health checks: %+v; want one, without a shell", len(checks), checks)
	}
	return checks[0].Health.Test[2:]
}

func TestTheImageIsBuiltWithTheGoOfTheModule(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if base := stages(t)[0].BaseName; version == nil || !strings.HasPrefix(base, "golang:"+version[1]+"-") {
		t.Errorf("the image is built from %s, go.mod says %v", base, version)
	}
}

// TestBuildsOfOneCommitAreTheSame builds once as `make build` does, here and with git,
// and once as the Dockerfile does: its own lines, elsewhere, without git, on what its
// ignore file lets through.
func TestBuildsOfOneCommitAreTheSame(t *testing.T) {
	build := stages(t)[0]
	context, out := buildContext(t), t.TempDir()
	args := map[string]string{
		"VERSION":  git(t, "describe", "--tags", "--always", "--dirty"),
		"COMMIT":   git(t, "rev-parse", "HEAD"),
		"DATE":     git(t, "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"),
		"TARGETOS": runtime.GOOS, "TARGETARCH": runtime.GOARCH,
	}
	env := append(os.Environ(), "GIT_DIR=/nonexistent")
	for _, declared := range of[*instructions.ArgCommand](build) {
		for _, arg := range declared.Args {
			value, known := args[arg.Key]
			if !known {
				t.Fatalf("ARG %s: nobody gives it", arg.Key)
			}
			env = append(env, arg.Key+"="+value)
			delete(args, arg.Key)
		}
	}
	if len(args) > 0 {
		t.Errorf("the Dockerfile takes no %v", args)
	}
	built := false
	for _, r := range of[*instructions.RunCommand](build) {
		line := strings.Join(r.CmdLine, " ")
		if !strings.Contains(line, "scripts/build.sh") {
			continue
		}
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(line, "/out/", out+"/"))
		cmd.Dir, cmd.Env = context, env
		run(t, cmd)
		built = true
	}
	if !built {
		t.Fatal("the Dockerfile does not call scripts/build.sh")
	}
	ours, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	images, err := os.ReadFile(filepath.Join(out, "directorybolt"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, images) {
		t.Errorf("make build: %s, the image: %s", run(t, exec.Command(binary, "version", "--json")),
			run(t, exec.Command(filepath.Join(out, "directorybolt"), "version", "--json")))
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{context, here + "/"} {
		if bytes.Contains(images, []byte(place)) || bytes.Contains(ours, []byte(place)) {
			t.Errorf("the binary tells where it was built: %s", place)
		}
	}
}

func TestTheBinarySaysVersionAndCommit(t *testing.T) {
	got := run(t, exec.Command(binary, "version", "--json"))
	for _, want := range []string{
		fmt.Sprintf(`"version":%q`, git(t, "describe", "--tags", "--always", "--dirty")),
		fmt.Sprintf(`"revision":%q`, git(t, "rev-parse", "HEAD")),
		`"built":"20`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("version says %s, want %s in it", got, want)
		}
	}
}

// buildContext is what an image build is given of the working tree.
func buildContext(t *testing.T) string {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, "deploy/Dockerfile.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() {
			if rel == ".git" || rel == "bin" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if skip, err := ignored.MatchesOrParentMatches(rel); skip || err != nil || !d.Type().IsRegular() {
			return err
		}
		return copyFile(path, filepath.Join(dir, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, info.Mode().Perm())
}
