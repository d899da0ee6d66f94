package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// section is a part of a report in words, the same for text and pages.
type section struct {
	Title string
	Lines []line
}

// line is one figure: what it is, how much, what it should be, and whether it is.
type line struct {
	Name, Value, Target string
	Missed              bool
}

// sections puts a report in words.
func (r *Report) sections() []section {
	return []section{r.scoreSection(), r.daily(), r.weekly(), r.business()}
}

func (r *Report) scoreSection() section {
	s := section{Title: "Health score"}
	value := "not known: nothing was recorded"
	if r.Score.Points != nil {
		value = fmt.Sprintf("%d of 100", *r.Score.Points)
	}
	s.Lines = append(s.Lines, line{"score", value, "> 90", r.Score.Points != nil && *r.Score.Points <= 90})
	for _, p := range r.Score.Parts {
		points := "not known"
		if p.Points != nil {
			points = fmt.Sprintf("%g", *p.Points)
		}
		s.Lines = append(s.Lines, line{p.Name, fmt.Sprintf("%s of %g: %s", points, p.Of, p.Evidence), "", false})
	}
	return s
}

func (r *Report) daily() section {
	oldest := ""
	if !r.Letters.Oldest.IsZero() {
		oldest = ", the oldest " + span(r.At.Sub(r.Letters.Oldest)) + " old"
	}
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(r.Stale.Recovered)) {
		causes = append(causes, fmt.Sprintf("%d %s", r.Stale.Recovered[cause], cause))
	}
	how := ""
	if len(causes) > 0 {
		how = ": " + strings.Join(causes, ", ")
	}
	lines := []line{
		{"stuck now", fmt.Sprint(r.Stale.Stuck), "0", r.Stale.Stuck > 0},
		{"jobs taken back", fmt.Sprintf("%d%s", r.Stale.Total, how), "", false},
		{"workers lost", fmt.Sprintf("%d, storms %d", r.Stale.Retired, r.Stale.Storms), "", false},
		{"dead letters open now", fmt.Sprintf("%d%s", r.Letters.Open, oldest), "0", r.Letters.Open > 0},
		{"dead letters arrived", fmt.Sprintf("%d, of these undecided %d; redriven %d, purged %d", r.Letters.Arrived, r.Letters.Undone, r.Letters.Redriven, r.Letters.Purged), "", false},
		{"requests refused (429)", fmt.Sprintf("%s, %d of %d", percent(r.Limits.Share), r.Limits.Refused, r.Limits.Decisions), "< 1 %", r.Limits.Share != nil && *r.Limits.Share >= refusedGood},
		{"healthy", fmt.Sprintf("%s of the time, %d changes", percent(r.Health.Share), r.Health.Changes), "100 %", missed(r.Health.Share, 1)},
	}
	if len(r.Health.Days) > 1 {
		for _, d := range r.Health.Days {
			lines = append(lines, line{"healthy on " + d.Day, percent(d.Share), "", false})
		}
	}
	return section{"Recovery, dead letters, limits, health", lines}
}

func missed(share *float64, least float64) bool { return share != nil && *share < least }

func (r *Report) weekly() section {
	s := section{"Work and watch", []line{
		{"jobs completed", fmt.Sprintf("%s, %d of %d", percent(r.Jobs.Share), r.Jobs.Completed, r.Jobs.Completed+r.Jobs.Failed), "> 95 %", r.Jobs.Share != nil && *r.Jobs.Share <= completedGood},
		{"workers up", percent(r.Uptime.Workers), "> 99 %", r.Uptime.Workers != nil && *r.Uptime.Workers <= 0.99},
	}}
	for _, name := range slices.Sorted(maps.Keys(r.Uptime.Monitors)) {
		s.Lines = append(s.Lines, line{name + " monitor up", percent(r.Uptime.Monitors[name]), "100 %", missed(r.Uptime.Monitors[name], 0.99)})
	}
	return section{s.Title, append(s.Lines,
		line{"alerts on time", fmt.Sprintf("%s, %d delivered, %d late, %d waiting", percent(r.Alerts.Share), r.Alerts.Delivered, r.Alerts.Late, r.Alerts.Waiting), "100 %", missed(r.Alerts.Share, 1)},
		line{"orders unbalanced now", fmt.Sprintf("%d, found %d", r.Books.Unbalanced, r.Books.Told), "0", r.Books.Unbalanced > 0},
	)}
}

func (r *Report) business() section {
	o, m := r.Orders, r.Money
	protected, missed := "", false
	if m.Promised > 0 {
		protected, missed = "≥ "+dollars(m.Promised), m.Protected.Total().ValueCents < m.Promised
	}
	times := "no order was completed"
	if o.Completed.Count > 0 {
		times = fmt.Sprintf("%s, 95 %% within %s", span(o.Median), span(o.P95))
	}
	return section{"Orders and money", []line{
		{"orders placed", fmt.Sprintf("%d, %s", o.Placed.Count, dollars(o.Placed.ValueCents)), "", false},
		{"orders completed", fmt.Sprintf("%d, %s; %d with fewer directories than bought", o.Completed.Count, dollars(o.Completed.ValueCents), o.Shortfall), "", false},
		{"median time per order", times, "", false},
		{"revenue protected", fmt.Sprintf("%s: %d recovered, %d redriven", dollars(m.Protected.Total().ValueCents), m.Protected.Recovered.Count, m.Protected.Redriven.Count), protected, missed},
		{"value at risk now", riskText(m.AtRisk), "$0.00", m.AtRisk.Total().ValueCents > 0},
	}}
}

func riskText(r job.Risk) string {
	return fmt.Sprintf("%s: %s stuck, %s failed, %s late", dollars(r.Total().ValueCents), dollars(r.Stuck.ValueCents), dollars(r.Failed.ValueCents), dollars(r.Late.ValueCents))
}

// title is the report's own line.
func (r *Report) title() string {
	name := strings.ToUpper(r.Period.Name[:1]) + r.Period.Name[1:]
	return fmt.Sprintf("%s report, %s to %s", name, stamp(r.Period.From), stamp(r.Period.To))
}

// WriteText writes the report for a terminal or a mail.
func (r *Report) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n", r.title()); err != nil {
		return err
	}
	for _, s := range r.sections() {
		if _, err := fmt.Fprintf(w, "\n%s\n", s.Title); err != nil {
			return err
		}
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, l := range s.Lines {
			fmt.Fprintf(tw, "  %s\t%s\n", l.Name, l.words())
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// words is the value with its target, and a mark where it is missed.
func (l line) words() string {
	switch {
	case l.Target == "":
		return l.Value
	case l.Missed:
		return fmt.Sprintf("%s (target %s: missed)", l.Value, l.Target)
	}
	return fmt.Sprintf("%s (target %s)", l.Value, l.Target)
}

func dollars(cents int64) string { return fmt.Sprintf("$%d.%02d", cents/100, cents%100) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// span is a duration as people say it.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.1f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}
