package bootclock

import (
	"os"
	"strings"
	"sync"
)

// Boot names the boot of this machine, the same for all its processes and another
// after each reboot. Empty: the system does not tell.
var Boot = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})
