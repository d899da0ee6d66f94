package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/directorybolt/directorybolt/internal/drill"
)

const (
	// aimPatience is how long a fault waits for its moment. Orders that back off, and
	// those that wait for a lease of somebody dead, leave a worker idle for that long.
	aimPatience = 5 * time.Second
	// cutPatience is how long a cut waits for a connection.
	cutPatience = 20 * time.Second
)

// slot is a place for one worker process, which is replaced whenever it dies.
type slot struct {
	front  *front
	number int
	proxy  *drill.Proxy // to the database; nil: SQLite
	env    []string
	rnd    *rand.Rand
	aim    atomic.Pointer[target]

	cmd    *exec.Cmd
	exited chan struct{}
}

// target is a fault that waits for a post.
type target struct {
	strike func()
	struck chan struct{}
}

// posted is told that a post of the slot's worker arrived: if a fault waits, it strikes
// now, before the directory has read a byte.
func (s *slot) posted() {
	if t := s.aim.Swap(nil); t != nil {
		t.strike()
		close(t.struck)
	}
}

// run strikes the slot's worker again and again.
func (s *slot) run(ctx context.Context, faults []fault) error {
	if err := s.begin(); err != nil {
		return err
	}
	for _, f := range faults {
		if !sleep(ctx, f.pause) {
			return nil
		}
		if err := s.ensure(); err != nil {
			return err
		}
		if err := s.suffer(ctx, f); err != nil {
			return fmt.Errorf("slot %d of %s: %w", s.number, s.front.name, err)
		}
	}
	return nil
}

// suffer is one fault and its end.
func (s *slot) suffer(ctx context.Context, f fault) error {
	f.aimed = f.aimed || s.front.ledger.missed(f.class)
	switch f.class {
	case Kill:
		return s.kill(ctx, f)
	case Freeze:
		s.front.ledger.count(Freeze, s.strike(ctx, f, func() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }))
		sleep(ctx, s.front.lease+f.extra)
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		return nil
	default:
		return s.cut(ctx, f)
	}
}

// kill ends the process and begins another; one that had ended by itself does not count.
func (s *slot) kill(ctx context.Context, f fault) error {
	for ctx.Err() == nil {
		aimed := s.strike(ctx, f, func() { _ = s.cmd.Process.Kill() })
		<-s.exited
		status, _ := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if err := s.begin(); err != nil {
			return err
		}
		if status.Signaled() {
			s.front.ledger.count(Kill, aimed)
			return nil
		}
		s.front.ledger.unasked.Add(1)
	}
	return nil
}

// strike does it, at the moment a post arrives if the fault is aimed and one comes; then
// it reports true.
func (s *slot) strike(ctx context.Context, f fault, do func()) (aimed bool) {
	if !f.aimed {
		do()
		return false
	}
	t := &target{do, make(chan struct{})}
	s.aim.Store(t)
	select {
	case <-t.struck:
	case <-ctx.Done():
	case <-time.After(aimPatience):
	}
	if s.aim.CompareAndSwap(t, nil) { // nobody came, or it is over
		do()
		return false
	}
	<-t.struck
	return true
}

// cut ends connections of the worker, as soon as there are any: only what hits counts.
func (s *slot) cut(ctx context.Context, f fault) error {
	for lonely := time.Now(); ctx.Err() == nil; sleep(ctx, 20*time.Millisecond) {
		if s.proxy.Links() > 0 {
			n := 0
			aimed := s.strike(ctx, f, func() { n = s.proxy.Cut(s.rnd, f.one) })
			if n > 0 {
				s.front.ledger.count(Cut, aimed)
				return nil
			}
			lonely = time.Now() // they went while the fault waited for its moment
		}
		if time.Since(lonely) > cutPatience {
			return errors.New("its worker has no connection to the database")
		}
		if err := s.ensure(); err != nil {
			return err
		}
	}
	return nil
}

// ensure begins a new process where the last one ended by itself, as a supervisor would:
// a worker that finds no database at its start gives up.
func (s *slot) ensure() error {
	select {
	case <-s.exited:
		s.front.ledger.unasked.Add(1)
		return s.begin()
	default:
		return nil
	}
}

func (s *slot) begin() error {
	log, err := os.OpenFile(filepath.Join(s.front.dir, fmt.Sprintf("worker-%02d.log", s.number)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.front.binary, "work")
	s.cmd.Env, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.env, s.front.dir, log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	s.front.ledger.begun.Add(1)
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) { _ = cmd.Wait(); close(exited) }(s.cmd, s.exited)
	return nil
}

// end kills the slot's process, by its own handle, and closes its wire.
func (s *slot) end() {
	if s.exited != nil {
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	if s.proxy != nil {
		s.proxy.Close()
	}
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
