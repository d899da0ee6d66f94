package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// liveLines is how many of the last outcomes stay in sight.
const liveLines = 8

// liveView redraws a few lines of a terminal.
type liveView struct {
	w      io.Writer
	screen terminal
	title  string
	news   []directory.Submission
	drawn  int // lines on the screen now
}

func (v *liveView) show(l look) {
	v.news = append(v.news, l.news...)
	if n := len(v.news) - liveLines; n > 0 {
		v.news = v.news[n:]
	}
	v.draw(v.lines(l))
}

// end leaves the last picture on the screen.
func (v *liveView) end() { v.drawn = 0 }

// draw puts lines where the last ones stood, in one write, so that nothing flickers.
func (v *liveView) draw(lines []string) {
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	for _, l := range lines {
		b.WriteString("\r" + l + "\x1b[K\n")
	}
	b.WriteString("\x1b[J") // what an earlier, longer picture left below
	_, _ = io.WriteString(v.w, b.String())
	v.drawn = len(lines)
}

// lines are the picture: no line is wider than the screen, or redrawing would lose count.
func (v *liveView) lines(l look) []string {
	width := v.screen.width() - 1
	b := booksOf(l.subs, l.job)
	head := fmt.Sprintf("%s  %s", v.title, l.elapsed.Round(100*time.Millisecond))
	lines := []string{v.screen.paint(bold, cut(head, width)), v.bar(b, width), v.tally(b, width)}
	for i := range liveLines {
		line := ""
		if i < len(v.news) {
			s := v.news[i]
			line = v.screen.paint(colorOf(s.State), cut("  "+newsLine(s), width))
		}
		lines = append(lines, line)
	}
	if l.note != "" {
		lines = append(lines, v.screen.paint(yellow, cut("the order "+l.note, width)))
	}
	return lines
}

// bar shows how the directories stand, each state with its share of the width.
func (v *liveView) bar(b orderBooks, width int) string {
	text := fmt.Sprintf(" %d of %d", b.done(), b.quota)
	width = min(width-len(text), 60)
	if width < 10 || b.quota == 0 {
		return cut(strings.TrimSpace(text), max(width, 10))
	}
	total := 0
	for _, n := range b.states {
		total += n
	}
	total = max(total, b.quota)
	var bar strings.Builder
	cells, sum := 0, 0
	for _, s := range barOrder {
		sum += b.states[s]
		n := sum*width/total - cells
		cells += n
		bar.WriteString(v.screen.paint(colorOf(s), strings.Repeat(glyphOf(s), n)))
	}
	bar.WriteString(strings.Repeat("·", width-cells))
	return bar.String() + text
}

func (v *liveView) tally(b orderBooks, width int) string {
	var words []string
	for _, s := range directory.SubmissionStates {
		if n := b.states[s]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, s))
		}
	}
	return v.screen.paint(dim, cut(strings.Join(words, "  "), width))
}

// barOrder draws what is done first and what is to come last.
var barOrder = []directory.SubmissionState{
	directory.Live, directory.Submitted, directory.NeedsAction, directory.Uncertain, directory.Rejected,
	directory.FailedState, directory.Skipped, directory.Submitting, directory.Planned,
}

func glyphOf(s directory.SubmissionState) string {
	switch s {
	case directory.Planned:
		return "·"
	case directory.Submitting:
		return "▒"
	}
	return "█"
}

func colorOf(s directory.SubmissionState) string {
	switch s {
	case directory.Submitted, directory.Live:
		return green
	case directory.NeedsAction, directory.Uncertain:
		return yellow
	case directory.FailedState, directory.Rejected:
		return red
	case directory.Submitting:
		return blue
	}
	return dim
}
