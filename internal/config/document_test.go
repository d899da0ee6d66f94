package config_test

import (
	"flag"
	"os"
	"testing"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files that are made from the table of settings")

func TestDocumentsAreMadeFromTheTableOfSettings(t *testing.T) {
	for path, want := range map[string]string{
		"../../docs/configuration.md": config.Markdown(),
		"../../.env.example":          config.EnvExample(),
	} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the table says; run: go test ./internal/config -update\n(-want +got):\n%s", path, diff)
		}
	}
}

func TestEverySettingIsDescribedAndItsNameIsItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range config.Settings {
		if s.Meaning == "" || s.Group == "" || s.Allowed() == "" {
			t.Errorf("%s: meaning %q, group %q, allowed %q", s.Name, s.Meaning, s.Group, s.Allowed())
		}
		if seen[s.Name] {
			t.Errorf("%s stands twice", s.Name)
		}
		seen[s.Name] = true
	}
}

func TestTheExampleFileLoads(t *testing.T) {
	c := load(t, config.Sources{File: "example"}, files{"example": config.EnvExample()})
	for _, p := range c.Print() {
		if p.Source != "default" {
			t.Errorf("%s comes from %s; everything in the example is commented out", p.Name, p.Source)
		}
	}
}
