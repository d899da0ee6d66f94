// Package verify proves that a deployment works: a list of checks against the running
// system, each a line that passes or fails, with what was seen and what mends it.
//
// The room runs the list and keeps the report; what is checked, and how, is handed in.
package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Check is one line of the list.
type Check struct {
	Name   string        // stable, for programs
	Title  string        // the promise, for people
	Cheap  bool          // it may be repeated all day
	Within time.Duration // of one run; zero: a minute
	// Run looks. The figure is what was seen, whether or not it is right. A check fails by
	// an error; a *FailedError carries what mends it.
	Run func(ctx context.Context) (figure string, err error)
}

// FailedError is why a check fails, and what mends it.
type FailedError struct {
	Reason string
	Remedy string
}

func (e *FailedError) Error() string { return e.Reason }

// Failed makes a [FailedError].
func Failed(remedy, reason string, args ...any) error {
	return &FailedError{fmt.Sprintf(reason, args...), remedy}
}

// Line is what a check came to.
type Line struct {
	Name   string        `json:"name"`
	Title  string        `json:"title"`
	Pass   bool          `json:"pass"`
	Figure string        `json:"figure,omitempty"`
	Reason string        `json:"reason,omitempty"` // why it fails
	Remedy string        `json:"remedy,omitempty"`
	At     time.Time     `json:"at"`
	Took   time.Duration `json:"took_ns"`
}

// Report is a whole run.
type Report struct {
	Pass    bool      `json:"pass"`
	Target  string    `json:"target"`
	By      string    `json:"by"`
	Version string    `json:"version"` // of who verifies
	At      time.Time `json:"at"`
	Lines   []Line    `json:"lines"`
}

// Failed lists the names of the lines that fail.
func (r Report) Failed() (names []string) {
	for _, l := range r.Lines {
		if !l.Pass {
			names = append(names, l.Name)
		}
	}
	return names
}

// Run runs the checks one after the other, and says each line as it comes. It ends early
// only when ctx does.
func Run(ctx context.Context, checks []Check, r Report, say func(Line)) (Report, error) {
	r.Pass, r.At, r.Lines = true, time.Now().UTC(), []Line{}
	for _, c := range checks {
		l := c.run(ctx)
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		r.Lines = append(r.Lines, l)
		r.Pass = r.Pass && l.Pass
		say(l)
	}
	return r, nil
}

// run never lasts longer than the check's time, and a moment to end in order.
func (c Check) run(ctx context.Context) Line {
	within := c.Within
	if within <= 0 {
		within = time.Minute
	}
	l := Line{Name: c.Name, Title: c.Title, At: time.Now().UTC()}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	figure, err := c.Run(limited)
	l.Took, l.Figure, l.Pass = time.Since(l.At), figure, err == nil
	if err != nil {
		l.Reason, l.Remedy = err.Error(), remedyOf(err)
		if limited.Err() != nil && ctx.Err() == nil {
			l.Reason = fmt.Sprintf("not done within %s: %s", within, l.Reason)
		}
	}
	return l
}

func remedyOf(err error) string {
	var failed *FailedError
	if errors.As(err, &failed) {
		return failed.Remedy
	}
	return ""
}
