package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// report is everything that a run measured.
type report struct {
	Begun    time.Time               `json:"begun"`
	Machine  string                  `json:"machine"`
	Server   string                  `json:"server"`
	River    string                  `json:"river"`
	Load     string                  `json:"load"`
	Rounds   int                     `json:"rounds"`
	Foreign  float64                 `json:"foreign_limit"`
	Best     map[string]riverSetting `json:"river_best"`
	Tuning   []tuning                `json:"river_tuning"`
	Findings []*finding              `json:"findings"`
}

type tuning struct {
	Store   string       `json:"store"`
	Setting riverSetting `json:"setting"`
	Rate    float64      `json:"jobs_per_second"`
}

// finding is a series and its rounds, also those that were disturbed.
type finding struct {
	series
	Rounds []*round `json:"rounds"`
}

// round is one sample of each contender, in their order.
type round struct {
	Number    int      `json:"number"`
	Load      string   `json:"load"`  // average before it
	Quiet     float64  `json:"quiet"` // share of the machine that others used in the second before it
	Disturbed bool     `json:"disturbed"`
	Results   []result `json:"results"`
}

func (r *round) worst() (foreign float64) {
	for _, got := range r.Results {
		foreign = max(foreign, got.Usage.Foreign)
	}
	return foreign
}

func (r *round) summary(s series) string {
	var said []string
	for i, c := range s.Contenders {
		said = append(said, fmt.Sprintf("%s %s", c.Name, number(r.Results[i].Metrics[s.Metric])))
	}
	note := ""
	if r.Disturbed {
		note = ", disturbed"
	}
	return fmt.Sprintf("%s: %s (load %s, others used %.0f %%%s)", s.Metric, strings.Join(said, "; "), r.Load, 100*r.worst(), note)
}

// counted are the rounds that count: those nobody disturbed, or where there is
// none, the least disturbed of each number.
func (f *finding) counted() (rounds []*round, disturbed bool) {
	best := map[int]*round{}
	for _, r := range f.Rounds {
		if b := best[r.Number]; b == nil || r.worst() < b.worst() {
			best[r.Number] = r
		}
	}
	rounds = slices.SortedFunc(maps.Values(best), func(a, b *round) int { return a.Number - b.Number })
	calm := slices.DeleteFunc(slices.Clone(rounds), func(r *round) bool { return r.Disturbed })
	if len(calm) > 0 {
		return calm, false
	}
	return rounds, true
}

// markdown is the report: what docs/performance.md shows, and everything behind it.
func (r *report) markdown() string {
	var b strings.Builder
	r.summary(&b)
	b.WriteString("\n## In detail\n\n")
	fmt.Fprintf(&b, "Machine: %s. %s. River %s. Begun %s, load average %s.\n", r.Machine, r.Server, r.River, r.Begun.Format(time.RFC3339), r.Load)
	for _, st := range slices.Sorted(maps.Keys(r.Best)) {
		fmt.Fprintf(&b, "River's best setting on %s: %s.\n", storeName(st), r.Best[st])
	}
	b.WriteString("Each cell is the median of the rounds that count, with the lowest and the highest. Ratios are taken within a round.\n")
	part := ""
	for _, f := range r.Findings {
		if len(f.Rounds) == 0 || f.once != nil {
			continue
		}
		if f.Part != part {
			part = f.Part
			fmt.Fprintf(&b, "\n### %s\n", headings[part])
		}
		f.table(&b)
	}
	return b.String()
}

var headings = map[string]string{
	"drain":   "Drain",
	"enqueue": "Enqueue",
	"start":   "Insert to start",
	"backlog": "Drain beside finished jobs",
	"recover": "Recovery of a dead worker's jobs",
	"limits":  "Decisions of rate limiters",
}

func (f *finding) table(b *strings.Builder) {
	rounds, disturbed := f.counted()
	fmt.Fprintf(b, "\n**%s** (%s)\n\n", f.Title, f.note(rounds, disturbed))
	b.WriteString("| |")
	for _, c := range f.Contenders {
		fmt.Fprintf(b, " %s |", c.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(f.Contenders)) + "\n")
	for _, metric := range f.metrics(rounds) {
		fmt.Fprintf(b, "| %s |", metric)
		for i := range f.Contenders {
			b.WriteString(" " + spread(values(rounds, i, metric)) + " |")
		}
		b.WriteString("\n")
	}
	if len(f.Contenders) == 1 {
		return
	}
	f.ratioRow(b, rounds, f.Metric, f.Lower)
	if len(values(rounds, 0, cpuMetric)) > 0 {
		f.ratioRow(b, rounds, cpuMetric, true)
	}
}

func (f *finding) ratioRow(b *strings.Builder, rounds []*round, metric string, lower bool) {
	sense := "more is better"
	if lower {
		sense = "less is better"
	}
	fmt.Fprintf(b, "| ratio, %s : column, by %s (%s) | 1 |", nameOurs, metric, sense)
	for i := range f.Contenders[1:] {
		b.WriteString(" " + spread(ratios(rounds, i+1, metric)) + " |")
	}
	b.WriteString("\n")
}

func (f *finding) note(rounds []*round, disturbed bool) string {
	said := fmt.Sprintf("%d rounds", len(rounds))
	if thrown := len(f.Rounds) - len(rounds); thrown > 0 {
		said += fmt.Sprintf(", %d more thrown away", thrown)
	}
	if disturbed {
		said += ", all of them disturbed by others"
	}
	var loads []string
	for _, r := range rounds {
		one, _, _ := strings.Cut(r.Load, " ")
		loads = append(loads, one)
	}
	return said + ", load average before each " + strings.Join(loads, ", ")
}

// metrics are all that any contender has, the compared one first.
func (f *finding) metrics(rounds []*round) []string {
	seen := map[string]bool{}
	for _, r := range rounds {
		for _, got := range r.Results {
			for m := range got.Metrics {
				seen[m] = true
			}
		}
	}
	delete(seen, f.Metric)
	return append([]string{f.Metric}, slices.Sorted(maps.Keys(seen))...)
}

func values(rounds []*round, contender int, metric string) (v []float64) {
	for _, r := range rounds {
		if x, ok := r.Results[contender].Metrics[metric]; ok {
			v = append(v, x)
		}
	}
	return v
}

func ratios(rounds []*round, other int, metric string) (v []float64) {
	for _, r := range rounds {
		v = append(v, r.Results[0].Metrics[metric]/r.Results[other].Metrics[metric])
	}
	return v
}

// spread writes a median with its lowest and highest.
func spread(v []float64) string {
	switch len(v) {
	case 0:
		return "–"
	case 1:
		return number(v[0])
	}
	return fmt.Sprintf("%s (%s–%s)", number(median(v)), number(slices.Min(v)), number(slices.Max(v)))
}
