package job

import "time"

// The storm breaker. When a lease is over, and at least StormOwners workers and more than
// half of all are silent for half of theirs, the clock or the store is suspect rather than
// they; whoever was replaced by a later start on its host is not counted. Then nobody is
// retired by the lease for StormHold at most.
const (
	StormOwners = 4
	StormHold   = time.Minute
)

// Storm is one time at which the breaker held recovery.
type Storm struct {
	ID       ID        `json:"id"`
	OpenedAt time.Time `json:"opened_at"`
	Owners   int       `json:"owners"`             // workers not retired when it opened
	Dead     int       `json:"dead"`               // of these, silent for half of their lease
	CalmAt   time.Time `json:"calm_at,omitzero"`   // since when there are few enough again
	ClosedAt time.Time `json:"closed_at,omitzero"` // zero: it is open
	Ending   string    `json:"ending,omitempty"`   // a Storm constant
}

// Open reports whether s holds recovery.
func (s *Storm) Open() bool { return s != nil && s.ClosedAt.IsZero() }

// How a storm ends.
const (
	StormBeats = "beats"     // they beat again, for one full lease: nobody had died
	StormProof = "proof"     // so many are proved dead that the rest is no storm
	StormOver  = "time_over" // StormHold was over; those still silent were retired
)

// Judgement is what [Recoverer].Judge did.
type Judgement struct {
	Retired []Worker
	Storm   *Storm // the one that is open, or was closed by this call; nil: none
	Opened  bool   // by this call
}
