package check

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/directorybolt/directorybolt/internal/config"
)

// blueprint is what we use of Render's format.
type blueprint struct {
	Databases []struct {
		Name                 string
		Plan                 string
		PostgresMajorVersion string   `yaml:"postgresMajorVersion"`
		IPAllowList          []string `yaml:"ipAllowList"`
	}
	EnvVarGroups []struct {
		Name    string
		EnvVars []variable `yaml:"envVars"`
	} `yaml:"envVarGroups"`
	Services []struct {
		Type                    string
		Name                    string
		Runtime                 string
		Plan                    string
		DockerfilePath          string     `yaml:"dockerfilePath"`
		DockerCommand           string     `yaml:"dockerCommand"`
		PreDeployCommand        string     `yaml:"preDeployCommand"`
		HealthCheckPath         string     `yaml:"healthCheckPath"`
		NumInstances            int        `yaml:"numInstances"`
		MaxShutdownDelaySeconds int        `yaml:"maxShutdownDelaySeconds"`
		EnvVars                 []variable `yaml:"envVars"`
	}
}

type variable struct {
	Key          string
	Value        string
	Sync         *bool
	FromGroup    string                          `yaml:"fromGroup"`
	FromDatabase struct{ Name, Property string } `yaml:"fromDatabase"`
}

func TestTheBlueprintOfRenderFitsTheBinary(t *testing.T) {
	var b blueprint
	if err := yaml.UnmarshalWithOptions([]byte(read(t, "render.yaml")), &b, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, s := range b.Services {
		for _, command := range []string{s.DockerCommand, s.PreDeployCommand} {
			if command == "" {
				continue
			}
			program, words, _ := strings.Cut(command, " ")
			if program != installed {
				t.Errorf("%s starts %s, want %s", s.Name, program, installed)
			}
			checkCommand(t, s.Name, strings.Fields(words))
			roles = append(roles, words)
		}
		read(t, filepath.Join(".", s.DockerfilePath))
		for _, v := range s.EnvVars {
			b.checkVariable(t, s.Name, v)
		}
		if grace := time.Duration(s.MaxShutdownDelaySeconds) * time.Second; s.NumInstances > 1 && grace < 45*time.Second {
			t.Errorf("%s: killed after %s, before it has drained", s.Name, grace)
		}
		if s.Type == "web" && s.HealthCheckPath != "/readyz" {
			t.Errorf("%s: health is asked at %q", s.Name, s.HealthCheckPath)
		}
	}
	slices.Sort(roles)
	if want := []string{"api", "dlq-monitor", "migrate up", "stale-monitor", "work"}; !slices.Equal(roles, want) {
		t.Errorf("it runs %v, want %v", roles, want)
	}
}

func (b blueprint) checkVariable(t *testing.T, where string, v variable) {
	t.Helper()
	if v.FromGroup != "" {
		for _, g := range b.EnvVarGroups {
			if g.Name == v.FromGroup {
				for _, v := range g.EnvVars {
					b.checkVariable(t, where, v)
				}
				return
			}
		}
		t.Errorf("%s: there is no group %s", where, v.FromGroup)
		return
	}
	s, ok := config.Named(v.Key)
	if !ok {
		t.Errorf("%s: %s is no setting", where, v.Key)
	}
	if s.Secret && v.Value != "" {
		t.Errorf("%s: the secret %s stands in the file", where, v.Key)
	}
	if name := v.FromDatabase.Name; name != "" && (len(b.Databases) != 1 || b.Databases[0].Name != name) {
		t.Errorf("%s: there is no database %s", where, name)
	}
}

// release is what we use of GoReleaser's format.
type release struct {
	Builds []struct {
		Main         string
		Env          []string
		Flags        []string
		Ldflags      []string
		ModTimestamp string `yaml:"mod_timestamp"`
		Goos, Goarch []string
	}
	Archives []struct {
		Files []any
	}
}

// A release has the bytes of `make build`: same flags, same stamps.
func TestReleasesAreBuiltAsTheScriptBuilds(t *testing.T) {
	var r release
	if err := yaml.Unmarshal([]byte(read(t, ".goreleaser.yaml")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Builds) != 1 || len(r.Builds[0].Ldflags) != 1 {
		t.Fatalf("%d builds: %+v", len(r.Builds), r.Builds)
	}
	build, script := r.Builds[0], read(t, "scripts/build.sh")
	for _, word := range append(slices.Concat(build.Env, build.Flags), build.Main) {
		if !strings.Contains(script, word) {
			t.Errorf("scripts/build.sh does not say %s", word)
		}
	}
	for _, word := range regexp.MustCompile(`-[a-z]+`).FindAllString(script[strings.Index(script, "go build"):strings.Index(script, `-o "$out"`)], -1) {
		known := func(flag string) bool { return strings.HasPrefix(flag, word) }
		if word != "-ldflags" && word != "-s" && word != "-w" && !slices.ContainsFunc(build.Flags, known) {
			t.Errorf(".goreleaser.yaml does not say %s", word)
		}
	}
	stamp := regexp.MustCompile(`-X \S*?(?:internal/cli|\$cli)\.(\w+)=(.*?)(?:"|$| -X)`)
	found := func(text string) (names []string) {
		for text != "" {
			m := stamp.FindStringSubmatchIndex(text)
			if m == nil {
				return names
			}
			names = append(names, text[m[2]:m[3]])
			text = text[m[3]:]
		}
		return names
	}
	want, got := found(script), found(build.Ldflags[0])
	if len(want) != 3 || !slices.Equal(want, got) || !strings.HasPrefix(build.Ldflags[0], "-s -w ") {
		t.Errorf("the script stamps %v, the release %v: %s", want, got, build.Ldflags[0])
	}
	for _, file := range r.Archives[0].Files {
		pattern, ok := file.(string)
		if !ok {
			continue // made by a hook
		}
		if found, err := filepath.Glob(filepath.Join(root, pattern)); err != nil || len(found) == 0 {
			t.Errorf("no file is like %s", pattern)
		}
	}
}
