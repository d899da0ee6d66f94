// Package seldom bounds how often a log says the same: what fails again and again
// while a store is away for an hour must not bury what matters.
package seldom

import (
	"sync"
	"time"
)

const interval = time.Minute

// Line is a line of the log that is written once a minute at most. The zero value
// is ready; it is safe for concurrent use.
type Line struct {
	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// Say reports whether the line is to be written now, and how often it was not
// since the last time.
func (l *Line) Say() (unsaid int, now bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.next) {
		l.unsaid++
		return 0, false
	}
	unsaid, l.unsaid = l.unsaid, 0
	l.next = time.Now().Add(interval)
	return unsaid, true
}
