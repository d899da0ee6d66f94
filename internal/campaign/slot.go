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
	// aimPatience is how long a fault waits for its moment.
	aimPatience = 1500 * time.Millisecond
	// cutPatience is how long a cut waits for a connection.
	cutPatience = 10 * time.Second
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
	switch f.class {
	case Kill:
		s.strike(ctx, f, func() { _ = s.cmd.Process.Kill() })
		<-s.exited
		return s.begin()
	case Freeze:
		s.strike(ctx, f, func() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) })
		sleep(ctx, s.front.lease+f.extra)
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		return nil
	default:
		return s.cut(ctx, f)
	}
}

// strike does it, at the moment a post arrives if the fault is aimed.
func (s *slot) strike(ctx context.Context, f fault, do func()) {
	if !f.aimed {
		do()
		s.front.ledger.count(f.class, false, false)
		return
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
		s.front.ledger.count(f.class, false, true)
		return
	}
	<-t.struck
	s.front.ledger.count(f.class, true, false)
}

// cut ends connections of the worker; it needs one to cut.
func (s *slot) cut(ctx context.Context, f fault) error {
	for deadline := time.Now().Add(cutPatience); ctx.Err() == nil; {
		n := 0
		once := func() { n = s.proxy.Cut(s.rnd, f.one) }
		if s.proxy.Links() == 0 {
			if time.Now().After(deadline) {
				return errors.New("its worker has no connection to the database")
			}
			if err := s.ensure(); err != nil {
				return err
			}
			sleep(ctx, 20*time.Millisecond)
			continue
		}
		s.strikeCounted(ctx, f, once, &n)
		if n > 0 {
			return nil
		}
	}
	return nil
}

// strikeCounted strikes, and takes the fault back from the ledger if it hit nothing.
func (s *slot) strikeCounted(ctx context.Context, f fault, do func(), n *int) {
	s.strike(ctx, f, do)
	if *n == 0 {
		s.front.ledger.mu.Lock()
		t := s.front.ledger.faults[f.class]
		t.Struck--
		s.front.ledger.faults[f.class] = t
		s.front.ledger.mu.Unlock()
	}
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

// end kills the slot's process, by its own handle.
func (s *slot) end() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
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
