package job

import "slices"

// State says where a job is in its life. The words are the same in Go, SQL,
// JSON, logs, metrics and pages.
type State string

const (
	// Pending waits to be claimed, now or when it is due.
	Pending State = "pending"
	// InProgress is owned by the worker whose claim carries the job's fence.
	InProgress State = "in_progress"
	// Completed is final.
	Completed State = "completed"
	// Failed is a dead letter: it will not run unless a person redrives it.
	Failed State = "failed"
	// Cancelled is final.
	Cancelled State = "cancelled"
)

// States lists every state, in the order people expect to read them.
var States = []State{Pending, InProgress, Completed, Failed, Cancelled}

// Valid reports whether s is one of [States].
func (s State) Valid() bool { return slices.Contains(States, s) }

// Final reports whether no worker will ever run the job again by itself.
func (s State) Final() bool { return s == Completed || s == Failed || s == Cancelled }

// Arrow is one allowed transition and the store method that draws it.
type Arrow struct {
	Verb     string
	From, To State
}

// Arrows is the one transition table. docs/lifecycle.md and both schemas are
// checked against it.
var Arrows = []Arrow{
	{"claim", Pending, InProgress},
	{"complete", InProgress, Completed},
	{"fail", InProgress, Pending},
	{"fail", InProgress, Failed},
	{"release", InProgress, Pending},
	{"snooze", InProgress, Pending},
	{"recover", InProgress, Pending},
	{"recover", InProgress, Failed},
	{"cancel", Pending, Cancelled},
	{"cancel", InProgress, Cancelled},
	{"redrive", Failed, Pending},
}

// Allowed reports whether the transition table has an arrow from one state to
// the other.
func Allowed(from, to State) bool {
	return slices.ContainsFunc(Arrows, func(a Arrow) bool { return a.From == from && a.To == to })
}
