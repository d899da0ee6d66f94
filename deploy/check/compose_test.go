package check

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/directorybolt/directorybolt/internal/config"
)

// project is deploy/ as somebody sets it up: with a .env, with files of secrets.
type project struct {
	*types.Project
	dir string
}

// compose loads compose files of a copy of deploy/ with these lines in its .env; every
// profile is on. Secrets are given by name.
func compose(t *testing.T, env string, secrets map[string]string, files ...string) project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deploy")
	for _, name := range files {
		if err := copyFile(filepath.Join(root, "deploy", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, ".env"), env)
	for name, value := range secrets {
		write(t, filepath.Join(dir, "secrets", name), value)
	}
	interpolated := types.Mapping{}
	for line := range strings.Lines(env) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			interpolated[name] = value
		}
	}
	paths := make([]string, len(files))
	for i, name := range files {
		paths[i] = filepath.Join(dir, name)
	}
	loaded, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: types.ToConfigFiles(paths), Environment: interpolated,
	}, loader.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	return project{loaded, dir}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ours are the services that run this binary.
func (p project) ours() map[string]types.ServiceConfig {
	found := map[string]types.ServiceConfig{}
	for name, s := range p.Services {
		if s.Build != nil {
			found[name] = s
		}
	}
	return found
}

var composeFiles = [][]string{{"compose.yaml"}, {"compose.yaml", "compose.alerts.yaml"}}

func TestTheComposeFileHasEveryRole(t *testing.T) {
	p := compose(t, "", nil, "compose.yaml")
	for name, want := range map[string]string{
		"api": "api", "worker": "work", "stale-job-monitor": "stale-monitor", "dlq-monitor": "dlq-monitor", "migrate": "migrate up",
	} {
		s, ok := p.ours()[name]
		if got := strings.Join(s.Command, " "); !ok || got != want {
			t.Errorf("%s: command %q, want %q", name, got, want)
		}
	}
	for name, profile := range map[string]string{"postgres": "", "proxy": "proxy", "sqs": "sqs", "prometheus": "observe", "grafana": "observe"} {
		s, ok := p.Services[name]
		if got := strings.Join(s.Profiles, ","); !ok || got != profile {
			t.Errorf("%s: profiles %q, want %q", name, got, profile)
		}
	}
	if n := p.scale("worker"); n < 2 {
		t.Errorf("%d workers: a restart of the only one leaves work waiting", n)
	}
}

func TestOurContainersMayDoNothingButTheirWork(t *testing.T) {
	for _, files := range composeFiles {
		p := compose(t, "", nil, files...)
		for name, s := range p.ours() {
			if !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.Privileged ||
				!slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("%s: read-only %t, user %q, capabilities dropped %v, options %v", name, s.ReadOnly, s.User, s.CapDrop, s.SecurityOpt)
			}
			if s.Build.Dockerfile != "deploy/Dockerfile" || s.Image != p.Services["api"].Image {
				t.Errorf("%s: its image is %s, of %s; want one image for all roles", name, s.Image, s.Build.Dockerfile)
			}
		}
		for name, s := range p.Services {
			if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 || s.Deploy.Resources.Limits.NanoCPUs == 0 {
				t.Errorf("%s has no limit of memory and processors", name)
			}
			if s.Restart == "" {
				t.Errorf("%s has no restart policy", name)
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" && name != "proxy" {
					t.Errorf("%s: port %s is open to %q; it is for who stands before it to open it", name, port.Published, port.HostIP)
				}
			}
		}
	}
}

// Who is killed has not drained, and whoever drains answers and works meanwhile.
func TestContainersHaveTheTimeToDrain(t *testing.T) {
	c, _, err := config.Load(config.Sources{File: "none", ReadFile: func(string) ([]byte, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range compose(t, "", nil, "compose.yaml").ours() {
		if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < c.DrainGrace+c.DrainDelay+10*time.Second {
			t.Errorf("%s: stop_grace_period %v, DRAIN_GRACE %s and DRAIN_DELAY %s", name, s.StopGracePeriod, c.DrainGrace, c.DrainDelay)
		}
	}
}

func TestSettingsOfTheComposeFilesAreSettings(t *testing.T) {
	for _, files := range composeFiles {
		for name, s := range compose(t, "", nil, files...).ours() {
			for key, value := range s.Environment {
				setting, ok := config.Named(strings.TrimSuffix(key, "_FILE"))
				if !ok || strings.HasSuffix(key, "_FILE") && !setting.Secret {
					t.Errorf("%s: %s is no setting", name, key)
				}
				if setting.Secret && !strings.HasSuffix(key, "_FILE") && value != nil && *value != "test" {
					t.Errorf("%s: the secret %s stands in the environment", name, key)
				}
			}
		}
	}
}

// A secret that a service names is handed to it, and to nobody who does not name it.
func TestSecretsReachWhoNamesThemAlone(t *testing.T) {
	for _, files := range composeFiles {
		p := compose(t, "", nil, files...)
		for name, s := range p.Services {
			handed, named := map[string]bool{}, map[string]bool{}
			for _, secret := range s.Secrets {
				handed[secret.Source] = true
				if file := p.Secrets[secret.Source].File; !strings.HasPrefix(file, filepath.Join(p.dir, "secrets")+"/") {
					t.Errorf("the secret %s comes from %s", secret.Source, file)
				}
			}
			for key, value := range s.Environment {
				if value != nil && strings.HasPrefix(*value, "/run/secrets/") {
					if !strings.HasSuffix(key, "_FILE") {
						t.Errorf("%s: %s names a file", name, key)
					}
					named[strings.TrimPrefix(*value, "/run/secrets/")] = true
				}
			}
			if !maps.Equal(handed, named) {
				t.Errorf("%s is handed %v and names %v", name, handed, named)
			}
		}
	}
	if ignored := read(t, ".gitignore"); !strings.Contains(ignored, "\n/deploy/secrets/\n") || !strings.Contains(ignored, "\n.env\n") {
		t.Error("git does not ignore deploy/secrets or .env")
	}
}

// Nothing starts before the schema is there.
func TestRolesWaitForTheMigrations(t *testing.T) {
	for name, s := range compose(t, "", nil, "compose.yaml").ours() {
		if name == "migrate" || name == "queues" {
			continue
		}
		if d, ok := s.DependsOn["migrate"]; !ok || d.Condition != types.ServiceConditionCompletedSuccessfully {
			t.Errorf("%s does not wait for migrate", name)
		}
	}
}
