//go:build unix

package pgcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// FakeTime finds libfaketime, which makes a clock jump for one process alone; false
// when it is not on this machine.
func FakeTime() (string, bool) {
	for _, pattern := range []string{"/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0], true
		}
	}
	return "", false
}

// clockEnv has the server look up its clock's offset with every reading.
func (c *Cluster) clockEnv() []string {
	if c.clock == "" {
		return nil
	}
	return []string{
		"LD_PRELOAD=" + c.clock, "FAKETIME_TIMESTAMP_FILE=" + c.offset(),
		"FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1",
	}
}

func (c *Cluster) offset() string { return filepath.Join(c.dir, "clock") }

// Jump moves the server's clock so far from the machine's. It is nothing for a server
// with the machine's own clock, unless d says otherwise.
func (c *Cluster) Jump(d time.Duration) error {
	if c.clock == "" {
		if d != 0 {
			return fmt.Errorf("jump the clock of Postgres: it was started with the machine's own")
		}
		return nil
	}
	next := c.offset() + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+f\n", d.Seconds()), 0o644); err != nil {
		return fmt.Errorf("jump the clock of Postgres: %w", err)
	}
	if err := os.Rename(next, c.offset()); err != nil { // whole or not at all for who reads it now
		return fmt.Errorf("jump the clock of Postgres: %w", err)
	}
	return nil
}
