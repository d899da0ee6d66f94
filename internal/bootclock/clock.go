// Package bootclock tells the time since the machine booted, on a clock that runs
// through suspend and that nobody sets. Leases and the deadlines of effects are
// measured on it: a machine that slept has lost its lease, and must know.
package bootclock

import (
	"sync/atomic"
	"time"
)

var processStart = time.Now()

// Now is the time since boot: CLOCK_BOOTTIME on Linux. Elsewhere it is the
// monotonic time since the process began. Only differences mean anything.
func Now() time.Duration { return now() + time.Duration(shift.Load()) }

// shift is what drills add to the clock of their own process.
var shift atomic.Int64

// Shift moves this process's clock forward, as a suspend does. Drills call it in the
// workers that they start; nobody else does.
func Shift(d time.Duration) { shift.Add(int64(d)) }

// monotonic is the time since the process began.
func monotonic() time.Duration { return time.Since(processStart) }
