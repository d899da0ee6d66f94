package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/directorybolt/directorybolt/internal/config"
)

type manCmd struct{}

// Help shows how it is typed.
func (manCmd) Help() string {
	return examples("directorybolt man | man -l -", "directorybolt man > /usr/local/share/man/man1/directorybolt.1")
}

// Run prints the manual, made from the same tables as the help and the settings.
func (manCmd) Run(a *app) error { return a.printf("%s", manual(a.model.Node)) }

// manual is the page, in the language of man(7).
func manual(app *kong.Node) string {
	var b strings.Builder
	b.WriteString(".\\\" Written by: directorybolt man\n")
	fmt.Fprintf(&b, ".TH DIRECTORYBOLT 1 \"\" %s \"User Commands\"\n", quotedRoff("directorybolt "+thisBuild().Version))
	b.WriteString(".SH NAME\ndirectorybolt \\- submit businesses to web directories\n")
	b.WriteString(".SH SYNOPSIS\n.B directorybolt\n.I command\n.RI [ flags ]\n")
	b.WriteString(".SH DESCRIPTION\n" + roff(description) + "\n")
	b.WriteString(".SH GLOBAL FLAGS\n")
	manualFlags(&b, app.Flags)
	b.WriteString(".SH COMMANDS\n")
	for _, leaf := range app.Leaves(true) {
		manualCommand(&b, leaf)
	}
	b.WriteString(".SH ENVIRONMENT\nEach setting is a variable of the environment; a secret may be given as\n.IR NAME _FILE,\nthe path of a file that holds it.\n")
	for _, s := range config.Settings {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(s.Name), roff(s.Meaning))
		if s.Default != "" {
			fmt.Fprintf(&b, "Default: %s.\n", roff(s.Default))
		}
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, e := range []struct {
		status  int
		meaning string
	}{
		{ExitOK, "It went well."}, {ExitFailure, "It failed."}, {ExitUsage, "The command line or the settings are wrong."},
		{ExitNotFound, "Not found, or nothing to do."}, {ExitPartly, "A part of it failed."}, {ExitUnhealthy, "A promise broke."},
		{ExitInterrupted, "It was interrupted."},
	} {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", e.status, e.meaning)
	}
	return b.String()
}

func manualCommand(b *strings.Builder, n *kong.Node) {
	fmt.Fprintf(b, ".SS %s\n%s\n", quotedRoff(n.FullPath()), roff(n.Help))
	example := false
	for line := range strings.Lines(n.Detail) {
		line = strings.TrimRight(line, "\n")
		if code := strings.HasPrefix(line, "    "); code != example {
			example = code
			b.WriteString(fill(!code))
		}
		if line == "" {
			line = ".PP"
		} else {
			line = roff(line)
		}
		b.WriteString(line + "\n")
	}
	if example {
		b.WriteString(fill(true))
	}
	for _, p := range n.Positional {
		fmt.Fprintf(b, ".TP\n.I %s\n%s\n", roff(p.Summary()), roff(p.Help))
	}
	manualFlags(b, n.Flags)
}

func manualFlags(b *strings.Builder, flags []*kong.Flag) {
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name := "--" + f.Name
		if f.Short != 0 {
			name = "-" + string(f.Short) + ", " + name
		}
		fmt.Fprintf(b, ".TP\n.B %s", roff(name))
		if !f.IsBool() {
			fmt.Fprintf(b, "=%s", roff(f.FormatPlaceHolder()))
		}
		fmt.Fprintf(b, "\n%s\n", roff(f.Help))
	}
}

// fill has lines filled, as text is, or left as they are.
func fill(is bool) string {
	if is {
		return ".fi\n"
	}
	return ".PP\n.nf\n"
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, `-`, `\-`)

// roff is plain text as man(7) takes it: a dot or a quote at the begin of a line would
// be a request.
func roff(text string) string {
	lines := strings.Split(roffEscapes.Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// quotedRoff is one argument of a request.
func quotedRoff(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }
