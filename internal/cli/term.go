package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminal is where people watch. Its zero value is no terminal.
type terminal struct {
	live  bool // lines may be redrawn
	color bool
	width func() int
}

// terminalOf tells what w can show. NO_COLOR, --no-color and TERM=dumb are honoured.
func terminalOf(w io.Writer, getenv func(string) string, noColor bool) terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || getenv("TERM") == "dumb" {
		return terminal{width: func() int { return 80 }}
	}
	return terminal{
		live:  true,
		color: !noColor && getenv("NO_COLOR") == "",
		width: func() int {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				return w
			}
			return 80
		},
	}
}

// Colours, as the parameters of an SGR sequence.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
)

// paint colours s where colour is wanted.
func (t terminal) paint(sgr, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}
