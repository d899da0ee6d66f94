package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/user"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/directorybolt/directorybolt/internal/config"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/telemetry"
)

// app is what commands share: where they print, and what was set for all of them.
type app struct {
	globals
	model  *kong.Application
	env    []string
	flags  map[string]string // settings given as flags
	loaded *config.Config    // nil before settings were asked for
	stdout io.Writer         // data
	stderr io.Writer         // chatter
	stdin  io.Reader         // what a person types
}

func newApp(p Process) *app {
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	return &app{env: p.Environ, stdout: p.Stdout, stderr: p.Stderr, stdin: p.Stdin}
}

// screen is what stderr can show.
func (a *app) screen() terminal { return terminalOf(a.stderr, a.getenv, a.NoColor) }

// getenv is the last value of name in the environment; empty when there is none.
func (a *app) getenv(name string) string {
	value := ""
	for _, kv := range a.env {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			value = v
		}
	}
	return value
}

// valueOf is what an optional flag says; empty when it was not given.
func valueOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// complain tells why the command failed. A driver may have put into its error
// what it was given, so secrets are taken out.
func (a *app) complain(err error) {
	var secrets []string
	if a.loaded != nil {
		secrets = a.loaded.Secrets()
	}
	if text := sentence(err); text != "" {
		fmt.Fprintln(a.stderr, telemetry.NewScrubber(secrets).Scrub(text))
	}
}

// confirmed has a word typed.
func (a *app) confirmed(word string) bool {
	fmt.Fprintf(a.stderr, "type %s to go on: ", word)
	line, _ := bufio.NewReader(a.stdin).ReadString('\n')
	return strings.TrimSpace(line) == word
}

// say prints a line of chatter.
func (a *app) say(format string, args ...any) {
	if !a.Quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// printf prints data.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
}

// object prints one object as a line of JSON.
func (a *app) object(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// list prints items: a line of JSON each, or a table.
func list[T any](a *app, items []T, header []string, row func(T) []string) error {
	if a.JSON {
		for _, item := range items {
			if err := a.object(item); err != nil {
				return err
			}
		}
		return nil
	}
	if len(items) == 0 {
		return nil
	}
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	return table(a.stdout, header, rows)
}

// acting is embedded by commands that change something.
type acting struct {
	Actor  string `placeholder:"WHO" help:"Who acts, for the history; by default cli:USER."`
	Reason string `short:"r" placeholder:"TEXT" help:"Why, for the history."`
}

func (c acting) by() job.By {
	by := job.By{Actor: c.Actor, Reason: c.Reason}
	if by.Actor == "" {
		by.Actor = defaultActor()
	}
	return by
}

func defaultActor() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "cli:" + u.Username
	}
	return "cli:unknown"
}
