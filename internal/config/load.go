package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// DefaultFile is read when no other file is named and it exists in the working
// directory.
const DefaultFile = ".env"

// FileVariable names the settings file in the environment.
const FileVariable = "CONFIG_FILE"

// fileSuffix makes the name of a secret the name of the file that holds it.
const fileSuffix = "_FILE"

// Sources is where settings come from, strongest first: Args, Env, the file,
// defaults. An empty value is the same as none.
type Sources struct {
	Args map[string]string // by flag ("database-url") or name
	Env  []string          // "KEY=VALUE", as os.Environ gives it
	File string            // a file that must be there; empty: CONFIG_FILE, or .env when it exists

	// ReadFile reads the settings file and the files of secrets; nil: os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// Warning is something the person who set it should know; nothing is wrong.
type Warning string

// Fault is one thing that is wrong with the settings.
type Fault struct {
	Name   string // setting; empty: a line of the file
	Value  string // redacted if secret; empty: the fault is not about a value
	Source string // "flag", "environment" or "PATH:LINE"
	Reason string // what is allowed, or what to do
}

func (f Fault) String() string {
	switch {
	case f.Name == "":
		return f.Source + ": " + f.Reason
	case f.Value == "":
		return fmt.Sprintf("%s (%s): %s", f.Name, f.Source, f.Reason)
	}
	return fmt.Sprintf("%s=%q (%s): %s", f.Name, f.Value, f.Source, f.Reason)
}

// Faults is everything that is wrong.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	if len(lines) == 1 {
		return "a setting is wrong: " + lines[0]
	}
	return fmt.Sprintf("%d settings are wrong:\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// Load reads the settings from their sources and checks them. The error is a
// [Faults] with everything that is wrong. Load changes nothing and reads nothing
// but s and the files it names.
func Load(s Sources) (Config, []Warning, error) {
	if s.ReadFile == nil {
		s.ReadFile = os.ReadFile
	}
	l := loader{read: s.ReadFile, config: Config{sources: map[string]string{}}}
	env := fromEnv(s.Env)
	l.layers = []layer{l.fromArgs(s.Args), env, l.fromFile(s.File, env)}
	for _, setting := range Settings {
		l.resolve(setting)
	}
	l.contradictions()
	if len(l.faults) > 0 {
		return Config{}, l.warnings(), l.faults
	}
	return l.config, l.warnings(), nil
}

// given is a value and where it was given.
type given struct{ value, source string }

// layer is what one source gives, by name.
type layer map[string]given

type loader struct {
	read   func(string) ([]byte, error)
	layers []layer
	config Config
	faults Faults
}

func (l *loader) fault(name, value, source, reason string) {
	l.faults = append(l.faults, Fault{name, value, source, reason})
}

func (l *loader) fromArgs(args map[string]string) layer {
	found := layer{}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		name := strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
		if !known(name) {
			l.fault(key, "", "flag", "there is no such setting"+suggestion(name))
		}
		found[name] = given{args[key], "flag"}
	}
	return found
}

// fromEnv takes the last value of a name, as a process does.
func fromEnv(env []string) layer {
	found := layer{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		found[name] = given{value, "environment"}
	}
	return found
}

// fromFile reads the file that was named, or .env if it is there. A key that is
// neither a setting nor one of the earlier backend is a fault.
func (l *loader) fromFile(path string, env layer) layer {
	if path == "" {
		path = env[FileVariable].value
	}
	optional := path == ""
	if optional {
		path = DefaultFile
	}
	text, err := l.read(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		l.fault("", "", path, "the settings file cannot be read: "+plain(err))
		return nil
	}
	entries, faults := parseFile(string(text))
	for _, reason := range faults {
		line, reason, _ := strings.Cut(reason, ": ")
		l.fault("", "", path+":"+line, reason)
	}
	found := layer{}
	for _, e := range entries {
		source := fmt.Sprintf("%s:%d", path, e.line)
		if _, was := earlierNamed(e.key); !known(e.key) && !was {
			l.fault(e.key, "", source, "there is no such setting"+suggestion(e.key))
		}
		found[e.key] = given{e.value, source}
	}
	return found
}

// resolve takes the setting from the strongest layer that gives it.
func (l *loader) resolve(s Setting) {
	for _, from := range l.layers {
		value, path := from[s.Name], given{}
		if s.Secret {
			path = from[s.Name+fileSuffix]
		}
		switch {
		case value.value != "" && path.value != "":
			l.fault(s.Name, "", value.source, "give it or "+s.Name+fileSuffix+", not both")
			return
		case path.value != "":
			value = l.secretIn(s, path)
		}
		if value.value != "" {
			l.set(s, value)
			return
		}
		if path.value != "" {
			return // its fault is reported
		}
	}
	if s.Default != "" {
		l.set(s, given{value: s.Default})
	}
}

func (l *loader) set(s Setting, g given) {
	if err := s.field.set(&l.config, g.value); err != nil {
		l.fault(s.Name, s.shown(g.value), g.source, "want "+s.field.want)
		return
	}
	if g.source != "" {
		l.config.sources[s.Name] = g.source
	}
}

// secretIn reads the file of a secret; a line break at its end is not part of it.
func (l *loader) secretIn(s Setting, path given) given {
	name := s.Name + fileSuffix
	b, err := l.read(path.value)
	if err != nil {
		l.fault(name, path.value, path.source, "the file cannot be read: "+plain(err))
		return given{}
	}
	value := strings.TrimRight(string(b), "\r\n")
	if value == "" {
		l.fault(name, path.value, path.source, "the file is empty")
	}
	return given{value, path.value}
}

// warnings names what was set to no effect.
func (l *loader) warnings() []Warning {
	var warnings []Warning
	if names := l.earlierNames(); len(names) > 0 {
		warnings = append(warnings, Warning("settings of the earlier backend have no effect: "+strings.Join(names, ", ")))
	}
	if c := l.config; c.CheckInterval > MaxLivenessInterval {
		warnings = append(warnings, Warning(fmt.Sprintf("CHECK_INTERVAL_SECONDS=%d: dead workers are looked for every %s all the same",
			c.CheckInterval/time.Second, MaxLivenessInterval)))
	}
	return warnings
}

// earlierNames lists the names of the earlier backend that are set, unless the
// setting that took their place is set as well.
func (l *loader) earlierNames() []string {
	env, file := l.layers[1], l.layers[2]
	var names []string
	for _, e := range earlierSettings {
		inEnv := env[e.name].value != "" && !e.elsewhere
		if (inEnv || file[e.name].value != "") && !l.given(e.now) {
			names = append(names, e.String())
		}
	}
	return names
}

func (l *loader) given(name string) bool {
	return name != "" && slices.ContainsFunc(l.layers, func(from layer) bool {
		return from[name].value != "" || from[name+fileSuffix].value != ""
	})
}

// known reports whether name may stand in a file or, as a flag, on the command line.
func known(name string) bool {
	if _, ok := Named(name); ok {
		return true
	}
	s, ok := Named(strings.TrimSuffix(name, fileSuffix))
	return ok && s.Secret && strings.HasSuffix(name, fileSuffix)
}

// plain is an error of the file system without the path, which stands beside it.
func plain(err error) string {
	if p := new(fs.PathError); errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
