package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// lineView prints a line for each outcome: for files and pipes.
type lineView struct {
	w        io.Writer
	lastNote string
}

func (v *lineView) show(l look) {
	for _, s := range l.news {
		fmt.Fprintf(v.w, "%s  %s\n", s.UpdatedAt.Local().Format(time.TimeOnly), newsLine(s))
	}
	if l.note != "" && l.note != v.lastNote {
		fmt.Fprintf(v.w, "%s  the order %s\n", time.Now().Format(time.TimeOnly), l.note)
	}
	v.lastNote = l.note
}

func (v *lineView) end() {}

// newsLine is one outcome on one line.
func newsLine(s directory.Submission) string {
	return fmt.Sprintf("%-13s %-32s %s", s.State, s.Directory, plain(whatCame(s)))
}
