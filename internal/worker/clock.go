package worker

import "time"

var processStart = time.Now()

// monotonic is the time since the process began.
func monotonic() time.Duration { return time.Since(processStart) }
