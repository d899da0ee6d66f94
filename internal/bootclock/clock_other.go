//go:build !linux

package bootclock

import "time"

// now falls back to the monotonic clock where there is no CLOCK_BOOTTIME.
func now() time.Duration { return monotonic() }
