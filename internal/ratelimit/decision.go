package ratelimit

import "time"

// Outcome is what became of a request.
type Outcome uint8

const (
	Allowed Outcome = iota
	Refused
	// Unavailable: refused by a policy that is closed while the storage is down.
	Unavailable
	outcomes = iota
)

func (o Outcome) String() string { return [...]string{"allow", "deny", "unavailable"}[o] }

// Source is who decided.
type Source uint8

const (
	// Memory refused what was known to be full, without asking.
	Memory Source = iota
	// Stored is the storage's answer.
	Stored
	// Alone: the storage is down, the policy decided.
	Alone
	sources = iota
)

func (s Source) String() string { return [...]string{"memory", "store", "local"}[s] }

// Decision is the answer to one request.
type Decision struct {
	Policy    *Policy // not to be changed
	Outcome   Outcome
	Source    Source
	Remaining int           // more requests that would pass now
	Wait      time.Duration // until there is room for more than now; a refused request passes then
}

// Allowed reports whether the request may go on.
func (d Decision) Allowed() bool { return d.Outcome == Allowed }

// RetryAfter is Wait in whole seconds, rounded up, and never less than one.
func (d Decision) RetryAfter() int { return max(1, d.WaitSeconds()) }

// WaitSeconds is Wait in whole seconds, rounded up. The millisecond by which Wait may
// be too long does not make a minute 61 seconds.
func (d Decision) WaitSeconds() int {
	return int((max(0, d.Wait-time.Millisecond) + time.Second - 1) / time.Second)
}

// Tally is how many requests were decided in one way.
type Tally struct {
	Policy  string
	Outcome Outcome
	Source  Source
	Count   uint64
}

// tallies counts decisions of each policy. Its owner's lock guards it.
type tallies [][outcomes * sources]uint64

func (t tallies) add(policy int, o Outcome, s Source, n int) {
	t[policy][int(o)*sources+int(s)] += uint64(n)
}
