package config

import (
	"fmt"
	"strings"
)

// Markdown is docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Written from internal/config/settings.go by: go test ./internal/config -update -->

Each setting has one name. Where a command has a flag for it, that is the name in lower case with
dashes: ` + "`DATABASE_URL`" + ` is ` + "`--database-url`" + `. What is given in several places counts in this order:

1. the flag,
2. the environment,
3. the settings file: the one named by ` + "`--config`" + ` or ` + "`CONFIG_FILE`" + `, else ` + "`.env`" + ` in the
   working directory if there is one. Its lines are ` + "`NAME=value`" + `; a name that is no setting is
   an error,
4. the default.

An empty value is the same as none. A secret may be given as ` + "`NAME_FILE`" + `, the path of a file that
holds it, as container platforms mount them; it is never printed or logged.

` + "`directorybolt config print`" + ` shows each value and where it came from. ` + "`directorybolt config check`" + `
names everything that is wrong, all of it at once; so does every command at its start.
`)
	group := ""
	for _, s := range Settings {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		b.WriteString("\n" + s.markdown())
	}
	b.WriteString("\n" + earlierMarkdown())
	return b.String()
}

func (s Setting) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### `%s`\n\n%s\n\n", s.Name, s.Meaning)
	if s.Default != "" {
		fmt.Fprintf(&b, "- default: `%s`\n", s.Default)
	} else {
		b.WriteString("- default: not set\n")
	}
	fmt.Fprintf(&b, "- allowed: %s\n", s.Allowed())
	if s.Secret {
		fmt.Fprintf(&b, "- secret; also `%s%s`\n", s.Name, fileSuffix)
	}
	if s.Where != "" {
		fmt.Fprintf(&b, "- where to get it: %s\n", s.Where)
	}
	return b.String()
}

func earlierMarkdown() string {
	var b strings.Builder
	b.WriteString(`## Names of the earlier backend

Those that mean the same are valid and stand above. The others have no effect; when one is set, a
single warning at the start names it and what took its place.

| earlier | now |
|---|---|
`)
	for _, e := range earlierSettings {
		now := e.instead
		if e.now != "" {
			now = "`" + e.now + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", e.name, now)
	}
	return b.String()
}

// EnvExample is .env.example: every setting, commented out, with its default and
// where to get it.
func EnvExample() string {
	var b strings.Builder
	b.WriteString(`# Settings of DirectoryBolt. Copy to .env and take away the # where you set something.
# docs/configuration.md says more. Written by: go test ./internal/config -update
`)
	group := ""
	for _, s := range Settings {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		fmt.Fprintf(&b, "\n# %s\n", s.Meaning)
		if s.Where != "" {
			fmt.Fprintf(&b, "# Where to get it: %s\n", s.Where)
		}
		if s.Secret {
			fmt.Fprintf(&b, "# A secret; %s%s may name a file that holds it.\n", s.Name, fileSuffix)
		}
		fmt.Fprintf(&b, "#%s=%s\n", s.Name, s.Default)
	}
	return b.String()
}
