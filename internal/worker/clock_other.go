//go:build !linux

package worker

import "time"

// bootClock falls back to the monotonic clock where there is no CLOCK_BOOTTIME.
func bootClock() time.Duration { return monotonic() }
