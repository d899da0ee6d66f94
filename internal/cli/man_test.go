package cli

import (
	"strings"
	"testing"

	"github.com/directorybolt/directorybolt/internal/config"
)

func TestTheManualHasEveryCommandFlagAndSetting(t *testing.T) {
	got := command(t, "man")
	if got.status != ExitOK || got.stderr != "" {
		t.Fatalf("status %d, stderr %q", got.status, got.stderr)
	}
	_, commands, _ := strings.Cut(got.stdout, ".SH COMMANDS\n")
	commands, environment, _ := strings.Cut(commands, ".SH ENVIRONMENT\n")
	for _, leaf := range leaves(t) {
		_, section, found := strings.Cut(commands, ".SS "+quotedRoff(leaf.FullPath())+"\n")
		section, _, _ = strings.Cut(section, ".SS ")
		if !found || !strings.Contains(section, roff(leaf.Help)) || !strings.Contains(section, roff("directorybolt "+leaf.Path())) {
			t.Errorf("%s: no section, help or example", leaf.FullPath())
		}
		for _, f := range leaf.Flags {
			if !strings.Contains(section, roff("--"+f.Name)) {
				t.Errorf("%s: --%s is missing", leaf.FullPath(), f.Name)
			}
		}
	}
	for _, s := range config.Settings {
		if !strings.Contains(environment, ".B "+s.Name+"\n"+roff(s.Meaning)) {
			t.Errorf("%s is missing", s.Name)
		}
	}
	for i, line := range strings.Split(got.stdout, "\n") {
		if word, _, _ := strings.Cut(line, " "); strings.HasPrefix(word, ".") && !strings.Contains(" .\\\" .TH .SH .SS .TP .PP .B .I .RI .IR .nf .fi ", " "+word+" ") {
			t.Errorf("line %d: %q is no request", i+1, line)
		}
		if strings.HasPrefix(line, "'") {
			t.Errorf("line %d begins with a quote: %q", i+1, line)
		}
	}
}
