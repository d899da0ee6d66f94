package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Statements are named pieces of SQL, read from files in which each begins with
// a line "-- name: ClaimJobs" and ends where the next one begins. Comments that
// explain a statement stand below its name; those above it are passed over.
type Statements struct {
	texts map[string]string
	files map[string]string // the file that each name stands in
}

var statementName = regexp.MustCompile(`^-- name: ([A-Z][A-Za-z0-9]*)$`)

// ReadStatements reads every .sql file at the root of files. A name that occurs
// twice, a statement without a name and a name without a statement are errors
// that name file and line.
func ReadStatements(files fs.FS) (*Statements, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	s := &Statements{texts: map[string]string{}, files: map[string]string{}}
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read statements: %w", err)
		}
		if err := s.add(name, string(body)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// MustReadStatements is [ReadStatements] for files that are embedded in the
// binary, where an error is a mistake of ours that every test would find.
func MustReadStatements(files fs.FS, dir string) *Statements {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		panic(err)
	}
	s, err := ReadStatements(sub)
	if err != nil {
		panic(err)
	}
	return s
}

func (s *Statements) add(file, body string) error {
	name := ""
	var text []string
	flush := func(line int) error {
		sql := trimmed(text)
		text = nil
		switch {
		case name == "" && sql != "":
			return fmt.Errorf("%s:%d: a statement without a name; begin it with \"-- name: Name\"", file, line)
		case name == "":
			return nil // a comment at the head of the file
		case sql == "":
			return fmt.Errorf("%s:%d: statement %s is empty", file, line, name)
		}
		s.texts[name], s.files[name] = sql, path.Base(file)
		return nil
	}
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		found := statementName.FindStringSubmatch(strings.TrimRight(line, " \r"))
		if found == nil {
			text = append(text, line)
			continue
		}
		if err := flush(i); err != nil {
			return err
		}
		name = found[1]
		if before, double := s.files[name]; double {
			return fmt.Errorf("%s:%d: statement %s is in %s already", file, i+1, name, before)
		}
	}
	return flush(len(lines))
}

// trimmed joins lines without blank lines and comments at the end, which belong to
// the statement that follows, and without the last semicolon. Drivers take such a
// text as one statement and can keep it prepared.
func trimmed(lines []string) string {
	last := len(lines)
	for last > 0 && !hasCode(lines[last-1]) {
		last--
	}
	return strings.TrimSuffix(strings.TrimSpace(strings.Join(lines[:last], "\n")), ";")
}

// hasCode reports whether sql has a line that is not a comment.
func hasCode(sql string) bool {
	return slices.ContainsFunc(strings.Split(sql, "\n"), func(l string) bool {
		l = strings.TrimSpace(l)
		return l != "" && !strings.HasPrefix(l, "--")
	})
}

// Names lists the statements in alphabetical order.
func (s *Statements) Names() []string { return slices.Sorted(maps.Keys(s.texts)) }

// File is the name of the file that the statement stands in.
func (s *Statements) File(name string) string { return s.files[name] }

// Get returns the text of a statement. It panics when there is none of that
// name, which is a mistake in this program.
func (s *Statements) Get(name string) string {
	text, ok := s.texts[name]
	if !ok {
		panic(fmt.Sprintf("store: no statement %q in the queries", name))
	}
	return text
}

// Bind sets each string field of the struct that dst points to, to the statement
// of that name. A field without a statement and a statement without a field are
// errors, all of them at once.
func (s *Statements) Bind(dst any) error {
	v := reflect.ValueOf(dst).Elem()
	var faults []error
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		text, ok := s.texts[name]
		if !ok {
			faults = append(faults, fmt.Errorf("no statement %s in the queries", name))
			continue
		}
		v.Field(i).SetString(text)
	}
	for _, name := range s.Names() {
		if !v.FieldByName(name).IsValid() {
			faults = append(faults, fmt.Errorf("%s: statement %s is used by nobody", s.files[name], name))
		}
	}
	return errors.Join(faults...)
}
