package job

import (
	"bytes"
	"cmp"
	"time"
)

// MostInLine bounds what a [Reader] tells of a line.
const MostInLine = 100_000

// Place is where a pending job stands in the order in which claims take jobs.
type Place struct {
	ID       ID
	Priority int
	DueAt    time.Time
}

// Place is where the job stands, if it waits.
func (j *Job) Place() Place { return Place{ID: j.ID, Priority: j.Priority, DueAt: j.DueAt} }

// Compare is negative when claims come to p before they come to q. Every tenth claim
// goes by due time alone; that is left out.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Priority, q.Priority), p.DueAt.Compare(q.DueAt), bytes.Compare(p.ID[:], q.ID[:]))
}

// Orders tells how the orders of a customer stand; canaries are left out.
type Orders struct {
	Counts map[State]int // an entry for every state

	// Current is the order that people ask about: one that runs, else the first that
	// claims come to, else the newest. It has no payload.
	Current Job
}

// EventFilter selects events, oldest first.
type EventFilter struct {
	From     time.Time // only events at this moment or after
	After    ID        // of those at From itself, only ids above this one; zero: all
	Customer ID        // zero: any
	Limit    int       // must be positive
}
