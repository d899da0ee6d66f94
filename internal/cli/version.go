package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Stamped by the build with -ldflags "-X …/internal/cli.version=v1.2.3"; what is
// not stamped comes from the build info that Go keeps.
var (
	version  = ""
	revision = ""
	built    = ""
)

type versionCmd struct{}

// Help shows how it is typed.
func (versionCmd) Help() string {
	return examples("directorybolt version", "directorybolt version --json")
}

// Run prints the build.
func (versionCmd) Run(a *app) error {
	b := thisBuild()
	if a.JSON {
		return a.object(b)
	}
	return a.printf("%s\n", b)
}

// build is what is known of this binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Built    string `json:"built,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (b build) String() string {
	s := "directorybolt " + b.Version
	if b.Revision != "" {
		s += fmt.Sprintf(" (%.12s)", b.Revision)
	}
	return fmt.Sprintf("%s %s %s", s, b.Go, b.Platform)
}

func thisBuild() build {
	b := build{Version: version, Revision: revision, Built: built, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && b.Revision == "":
			b.Revision = s.Value
		case s.Key == "vcs.time" && b.Built == "":
			b.Built = s.Value
		case s.Key == "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	return b
}
