package telemetry

import (
	"sync"
	"time"
)

// seldom is the time between two lines of the same kind.
const seldom = time.Minute

// Seldom lets one line a minute through, so that what fails again and again while
// a store is away fills no log. The zero value is ready; it is safe for concurrent use.
type Seldom struct {
	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// Say reports whether the line is to be written now, and how many were not since
// the last one.
func (s *Seldom) Say() (unsaid int, now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.next) {
		s.unsaid++
		return 0, false
	}
	unsaid, s.unsaid = s.unsaid, 0
	s.next = time.Now().Add(seldom)
	return unsaid, true
}
