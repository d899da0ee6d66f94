package directory

import (
	"fmt"
	"strings"
)

// Severity says whether a finding keeps a catalog from being loaded.
type Severity string

const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning" // loads; a person should look
)

// Finding is one thing wrong with a catalog: where, what, and what to do.
type Finding struct {
	File      string   `json:"file,omitempty"`
	Line      int      `json:"line,omitempty"`
	Directory string   `json:"directory,omitempty"` // slug, or name where there is none
	Key       string   `json:"key,omitempty"`       // form.steps[0].submit
	Message   string   `json:"message"`
	Remedy    string   `json:"remedy"`
	Severity  Severity `json:"severity"`
}

// String is the finding as one line, in the shape that editors jump by:
//
//	catalog.yaml:41: directory "acme": success: no rule — add at least one
func (f Finding) String() string {
	var s strings.Builder
	if f.File != "" {
		s.WriteString(f.File + ":")
		if f.Line > 0 {
			fmt.Fprintf(&s, "%d:", f.Line)
		}
		s.WriteByte(' ')
	}
	if f.Severity == SeverityWarning {
		s.WriteString("warning: ")
	}
	if f.Directory != "" {
		s.WriteString("directory " + oneLine(f.Directory) + ": ")
	}
	if f.Key != "" {
		s.WriteString(f.Key + ": ")
	}
	s.WriteString(f.Message)
	if f.Remedy != "" {
		s.WriteString(" — " + f.Remedy)
	}
	return s.String()
}

// CatalogError is a catalog that was refused, with every finding of severity
// error.
type CatalogError struct {
	Findings []Finding
}

// Error is the one finding, or how many there are and each on its own line.
func (e *CatalogError) Error() string {
	if len(e.Findings) == 1 {
		return e.Findings[0].String()
	}
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return fmt.Sprintf("the catalog has %d faults:\n%s", len(e.Findings), strings.Join(lines, "\n"))
}
