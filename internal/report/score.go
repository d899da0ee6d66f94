package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Score is how well it went, from 0 to 100. A part of which nothing is known counts for
// nothing: the others share the hundred.
type Score struct {
	Points *int   `json:"points"` // nil: nothing is known
	Parts  []Part `json:"parts"`
}

// Part is one part of the score.
type Part struct {
	Name     string   `json:"name"`
	Of       float64  `json:"of"`     // points it can have
	Points   *float64 `json:"points"` // nil: not known
	Evidence string   `json:"evidence"`
}

// Targets of shares.
const (
	refusedGood, refusedBad     = 0.01, 0.05 // of decisions: all points up to the one, none from the other
	completedGood, completedBad = 0.95, 0.80
)

func score(r *Report) Score {
	s := Score{Parts: []Part{
		recovery(r), deadLetters(r), limits(r), checks(r), balance(r), delivery(r), completed(r),
	}}
	var got, of float64
	for _, p := range s.Parts {
		if p.Points != nil {
			got, of = got+*p.Points, of+p.Of
		}
	}
	if of > 0 {
		points := int(math.Round(100 * got / of))
		s.Points = &points
	}
	return s
}

// part gives a share of the points.
func part(name string, of float64, share *float64, format string, args ...any) Part {
	p := Part{Name: name, Of: of, Evidence: fmt.Sprintf(format, args...)}
	if share != nil {
		points := math.Round(10*of*min(max(*share, 0), 1)) / 10
		p.Points = &points
	}
	return p
}

func sure(share float64) *float64 { return &share }

// between is 1 at good, 0 at bad, and in between by the way.
func between(share *float64, good, bad float64) *float64 {
	if share == nil {
		return nil
	}
	return sure((*share - bad) / (good - bad))
}

func recovery(r *Report) Part {
	watched := r.Uptime.Monitors[job.MonitorStale]
	if r.Stale.Stuck > 0 {
		watched = sure(0)
	}
	return part("recovery", 20, watched, "%d stuck now; %d taken back; the stale monitor looked %s of the time",
		r.Stale.Stuck, r.Stale.Total, percent(r.Uptime.Monitors[job.MonitorStale]))
}

func deadLetters(r *Report) Part {
	l := r.Letters
	decided := sure(1)
	if l.Arrived == 0 && l.Open == 0 && r.Uptime.Monitors == nil {
		decided = nil // nobody was there to see one
	}
	if l.Open > 0 {
		// What came earlier and is open still weighs as much as what came now.
		decided = sure(1 - float64(l.Open)/float64(max(l.Arrived, l.Open)))
	}
	return part("dead letters", 20, decided, "%d arrived, %d open now", l.Arrived, l.Open)
}

func limits(r *Report) Part {
	return part("limits", 10, between(r.Limits.Share, refusedGood, refusedBad), "%d of %d requests refused, %s", r.Limits.Refused, r.Limits.Decisions, percent(r.Limits.Share))
}

func checks(r *Report) Part {
	return part("health checks", 10, r.Health.Share, "healthy %s of the time", percent(r.Health.Share))
}

func balance(r *Report) Part {
	watched := r.Uptime.Monitors[job.MonitorBooks]
	if r.Books.Unbalanced > 0 {
		watched = sure(0)
	}
	return part("books", 15, watched, "%d unbalanced now, %d found; checked %s of the time", r.Books.Unbalanced, r.Books.Told, percent(r.Uptime.Monitors[job.MonitorBooks]))
}

func delivery(r *Report) Part {
	a := r.Alerts
	return part("delivery of alerts", 10, a.Share, "%d delivered, %d of them later than 5 min, %d waiting for longer", a.Delivered, a.Late, a.Waiting)
}

func completed(r *Report) Part {
	return part("jobs completed", 15, between(r.Jobs.Share, completedGood, completedBad), "%d completed, %d failed, %s", r.Jobs.Completed, r.Jobs.Failed, percent(r.Jobs.Share))
}

// percent is a share as people read it.
func percent(share *float64) string {
	if share == nil {
		return "not known"
	}
	text := fmt.Sprintf("%.2f", 100**share)
	return strings.TrimSuffix(strings.TrimSuffix(text, "0"), ".0") + " %"
}
