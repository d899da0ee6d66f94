package pgcluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Freeze stops the server and all its sessions in the middle of whatever they do, as a
// machine that is out of memory or disk would. Thaw lets them go on. Both want Linux.
func (c *Cluster) Freeze() error { return c.signalAll(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (c *Cluster) Thaw() error { return c.signalAll(syscall.SIGCONT) }

// signalAll signals the server first, which then makes no more sessions, and those it has.
func (c *Cluster) signalAll(sig syscall.Signal) error {
	server := c.cmd.Process.Pid
	if err := syscall.Kill(server, sig); err != nil {
		return fmt.Errorf("signal Postgres: %w", err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", server))
	if err != nil {
		return fmt.Errorf("list the sessions of Postgres: %w", err)
	}
	for _, text := range bytes.Fields(children) {
		pid, err := strconv.Atoi(string(text))
		if err != nil {
			return fmt.Errorf("list the sessions of Postgres: %w", err)
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal session %d of Postgres: %w", pid, err)
		}
	}
	return nil
}
