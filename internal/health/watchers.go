package health

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

const (
	missed = 2 // intervals without a good pass: degraded
	gone   = 5 // and down
	// slack is what a pass may take beyond its time, at most.
	slack = 5 * time.Second
	// handover is how long nobody may fill a role whose last process left in order.
	handover = time.Minute
)

// watchers are the processes that fill the role of a monitor.
type watchers struct {
	last   job.MonitorPass // of the process that was heard of last
	goodAt time.Time       // of the latest good pass of any
	leftAt time.Time       // when the last one left in order; zero: somebody is there, or went without a word
}

func watchersOf(passes []job.MonitorPass, monitor string) (w watchers) {
	present := false
	for _, p := range passes { // the latest first
		if p.Monitor != monitor {
			continue
		}
		if w.last.Monitor == "" {
			w.last = p
		}
		if p.GoodAt.After(w.goodAt) {
			w.goodAt = p.GoodAt
		}
		present = present || p.LeftAt.IsZero() && p.At.After(w.last.At.Add(-gone*p.Every))
		if p.LeftAt.After(w.leftAt) {
			w.leftAt = p.LeftAt
		}
	}
	if present {
		w.leftAt = time.Time{}
	}
	return w
}

// missed reports whether nobody ended a good pass for n intervals.
func (w watchers) missed(n int, now time.Time) bool {
	every := w.last.Every
	return now.Sub(w.goodAt) > time.Duration(n)*every+min(every/2, slack)
}

// blind reports whether somebody looks, and sees nothing.
func (w watchers) blind(now time.Time) bool {
	return w.last.Error != "" && w.missed(missed, now) && now.Sub(w.last.At) <= time.Duration(gone)*w.last.Every
}

// since is when the latest good pass ended, in words.
func (w watchers) since() string {
	if w.goodAt.IsZero() {
		return "the beginning"
	}
	return stamp(w.goodAt)
}

// monitor looks whether anybody fills the role of a monitor.
func (i Installation) monitor(name string) func(ctx context.Context) (Finding, error) {
	command := "run: directorybolt " + name + "-monitor"
	return func(ctx context.Context) (Finding, error) {
		f := Finding{Status: Up}
		now, err := i.Store.Now(ctx)
		if err != nil {
			return f, err
		}
		passes, err := i.Store.MonitorPasses(ctx)
		if err != nil {
			return f, err
		}
		w := watchersOf(passes, name)
		if w.last.Monitor == "" {
			f.Worse(Down, "no "+name+" monitor ever looked", command)
			return f, nil
		}
		if !w.goodAt.IsZero() {
			f.Figures = map[string]float64{"last_pass_age_seconds": max(0, now.Sub(w.goodAt)).Seconds(), "interval_seconds": w.last.Every.Seconds()}
		}
		detail, remedy := w.detail(name, command)
		switch left := w.leftAt; {
		case w.missed(gone, now):
			f.Worse(Down, detail, remedy)
		case w.missed(missed, now), !left.IsZero() && now.Sub(left) > handover:
			f.Worse(Degraded, detail, remedy)
		}
		return f, nil
	}
}

func (w watchers) detail(name, command string) (detail, remedy string) {
	on := fmt.Sprintf("%s, pid %d", w.last.Host, w.last.PID)
	switch {
	case !w.leftAt.IsZero():
		return fmt.Sprintf("the last %s monitor was told to go at %s, on %s", name, stamp(w.leftAt), on), command
	case w.last.Error != "":
		return fmt.Sprintf("no good pass of a %s monitor since %s, on %s: %s", name, w.since(), on, w.last.Error), "read its log; docs/runbook.md, it runs, and still a monitor is silent"
	}
	return fmt.Sprintf("no pass of a %s monitor since %s, on %s", name, w.since(), on), command
}
