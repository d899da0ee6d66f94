package bootclock

import (
	"time"

	"golang.org/x/sys/unix"
)

// now reads CLOCK_BOOTTIME, which goes on while the machine is suspended.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return monotonic()
	}
	return time.Duration(ts.Nano())
}
