package main

import (
	"fmt"
	"slices"
	"strings"
)

// column is a contender's place in the summary.
type column int

const (
	noColumn column = iota
	oursColumn
	bestColumn
	defaultColumn
)

// row is a line of the summary, by the medians of the rounds that count.
type row struct {
	what    string   // with the unit
	metrics []string // in one cell; the ratio is of the last
	target  string
	itself  bool // what is told is the ratio of the first contender to the second
}

// summary writes the tables of docs/performance.md.
func (r *report) summary(b *strings.Builder) {
	b.WriteString("| what | DirectoryBolt | River, best | River, defaults | ours : best | target |\n|---|---:|---:|---:|---:|---:|\n")
	notes := map[string]string{}
	var killed []*finding
	for _, f := range r.Findings {
		switch {
		case len(f.Rounds) == 0:
		case f.once != nil:
			killed = append(killed, f)
		default:
			mark := f.mark(r.Rounds, notes)
			for _, line := range f.rows {
				f.line(b, line, mark)
			}
		}
	}
	for _, mark := range []string{"¹", "²"} {
		if notes[mark] != "" {
			fmt.Fprintf(b, "\n%s %s\n", mark, notes[mark])
		}
	}
	killTable(b, killed)
}

// mark is the footnote of a finding that is not what it should be.
func (f *finding) mark(wanted int, notes map[string]string) string {
	rounds, disturbed := f.counted()
	switch {
	case disturbed:
		notes["²"] = "every round was disturbed"
		return " ²"
	case len(rounds) < wanted:
		notes["¹"] = "fewer rounds than were to be, the others were disturbed"
		return " ¹"
	}
	return ""
}

func (f *finding) line(b *strings.Builder, line row, mark string) {
	rounds, _ := f.counted()
	last := line.metrics[len(line.metrics)-1]
	what := line.what
	if !strings.HasPrefix(what, "…") {
		what += ", " + storeName(f.Contenders[0].Task.Store)
	}
	cells := []string{what + mark, "", "", "", "", line.target}
	for i, c := range f.Contenders {
		if c.column != noColumn && !line.itself {
			cells[c.column] = cell(rounds, i, line.metrics)
		}
	}
	other := slices.IndexFunc(f.Contenders, func(c contender) bool { return c.column == bestColumn })
	if line.itself {
		other = 1
	}
	if other > 0 && len(values(rounds, other, last)) > 0 {
		cells[4] = number(median(ratios(rounds, other, last)))
		if !f.Lower && last == f.Metric && !line.itself {
			cells[4] += " ×"
		}
	}
	if line.itself {
		cells[1], cells[4] = cells[4], ""
	}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func cell(rounds []*round, contender int, metrics []string) string {
	var said []string
	for _, m := range metrics {
		said = append(said, number(median(values(rounds, contender, m))))
	}
	return strings.Join(said, " / ")
}

func killTable(b *strings.Builder, killed []*finding) {
	if len(killed) == 0 {
		return
	}
	columns := []string{"kills", "p50, s", "p99, s", "min, s", "max, s"}
	b.WriteString("\n**kill -9 of a worker process to the start of the next attempt**\n\n| |")
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, f := range killed {
		fmt.Fprintf(b, "| %s, %s |", f.Contenders[0].Name, storeName(f.Contenders[0].Task.Store))
		for _, c := range columns {
			fmt.Fprintf(b, " %s |", number(f.Rounds[0].Results[0].Metrics[c]))
		}
		b.WriteString("\n")
	}
}
