//go:build unix

package drill

import "syscall"

// stop freezes the process, as a machine that swaps or a debugger does.
func (c *child) stop() error { return c.signal(syscall.SIGSTOP) }

// goOn lets a stopped process run again.
func (c *child) goOn() error { return c.signal(syscall.SIGCONT) }
