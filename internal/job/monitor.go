package job

import (
	"context"
	"time"
)

// Passes keeps, for each monitor and process, what its latest pass came to: the
// proof that somebody watches, which others can read.
type Passes interface {
	// RecordPass replaces what is kept of p's monitor and process. The store's clock
	// gives At and GoodAt.
	RecordPass(ctx context.Context, p MonitorPass) error

	// LeavePasses says that p's process looks no more because it was told to go: it is
	// not silent. A process that left and looks again is back.
	LeavePasses(ctx context.Context, monitor string, process ID) error

	// MonitorPasses lists what is kept, the latest first.
	MonitorPasses(ctx context.Context) ([]MonitorPass, error)
}

// Names of monitors.
const (
	MonitorStale = "stale" // of workers and stuck jobs
	MonitorDLQ   = "dlq"   // of dead letters
	MonitorBooks = "books" // of what was paid for, and where it is

	// MonitorDLQLook is the dead letter monitor's looks into the dead letter queue, where
	// there is one. A monitor that is well may see nothing. That is told as blindness, so
	// nobody misses passes of these looks.
	MonitorDLQLook = "dlq_look"
)

// MonitorPass is the latest pass of a monitor in one process.
type MonitorPass struct {
	Monitor string           `json:"monitor"`
	Process ID               `json:"process"` // random per boot
	Host    string           `json:"host"`
	PID     int              `json:"pid"`
	At      time.Time        `json:"at"`
	GoodAt  time.Time        `json:"good_at,omitzero"` // of the latest that had no error
	LeftAt  time.Time        `json:"left_at,omitzero"` // it left in order
	Every   time.Duration    `json:"every_ns"`         // between two passes, as it means to
	Took    time.Duration    `json:"took_ns"`
	Error   string           `json:"error,omitempty"` // empty: the pass was good
	Passes  int64            `json:"passes"`          // since the process began
	Failed  int64            `json:"failed"`          // of these
	Counts  map[string]int64 `json:"counts,omitempty"`
}
