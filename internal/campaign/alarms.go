package campaign

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Alarms describes a run that looks for false alarms: nothing dies, everything is slow.
type Alarms struct {
	Binary   string // the program under test
	Dir      string // where logs and SQLite files go; it must exist
	Lease    time.Duration
	Duration time.Duration
	Stall    time.Duration // of the database, again and again
	Every    time.Duration // from one stall to the next
	Busy     int           // processes that do nothing but compute; zero: four for each processor
	Out      io.Writer
}

// Calm is what a run without any death came to, on one store.
type Calm struct {
	Store     string   `json:"store"`
	Stalls    int      `json:"stalls"`
	Orders    int      `json:"orders"` // completed
	Anew      int      `json:"anew"`   // workers that gave their lease up by themselves and registered again
	Retired   []string `json:"retired,omitempty"`
	Recovered int      `json:"recovered"` // jobs taken from workers that lived
	Verdict   Verdict  `json:"verdict"`
}

// False counts the alarms, and whatever else broke.
func (c Calm) False() int { return len(c.Retired) + c.Recovered + c.Verdict.Broken() }

// BusyEnv makes a program that calls [BeBusy] first thing a busy process.
const BusyEnv = "DIRECTORYBOLT_CAMPAIGN_BUSY"

// BeBusy computes until its input ends, and does not return, in a process that was
// started for it; in others it does nothing.
func BeBusy() {
	if os.Getenv(BusyEnv) == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for n := uint64(1); ; n = n*6364136223846793005 + 1442695040888963407 {
		if n == 0 {
			runtime.Gosched() // so that the loop has a reason to be
		}
	}
}

// FalseAlarms lets workers perform orders while the processors are saturated and the
// database stalls again and again. Nobody dies, so nobody may be retired and no job
// recovered.
func FalseAlarms(ctx context.Context, a Alarms) (calms []Calm, err error) {
	stop, err := saturate(a.Busy)
	if err != nil {
		return nil, err
	}
	defer stop()
	results := make([]Calm, 2)
	g, running := errgroup.WithContext(ctx)
	for i, name := range []string{"postgres", "sqlite"} {
		g.Go(func() (err error) {
			results[i], err = a.run(running, name)
			return err
		})
	}
	return results, g.Wait()
}

// saturate starts processes that compute, which end with us.
func saturate(n int) (stop func(), err error) {
	if n == 0 {
		n = 4 * runtime.NumCPU()
	}
	var all []*exec.Cmd
	var inputs []io.Closer
	stop = func() {
		for i, cmd := range all {
			_ = inputs[i].Close()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	for range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), BusyEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			stop()
			return nil, fmt.Errorf("start a busy process: %w", err)
		}
		all, inputs = append(all, cmd), append(inputs, in)
	}
	return stop, nil
}

func (a Alarms) run(ctx context.Context, name string) (c Calm, err error) {
	f, err := openFront(ctx, Config{Seed: 1, Binary: a.Binary, Dir: a.Dir, Lease: a.Lease}, name, Strength{Workers: 3, Orders: 8})
	if err != nil {
		return c, err
	}
	defer f.close()
	for _, s := range f.slots {
		if err := s.begin(); err != nil {
			return c, err
		}
	}
	c.Store = name
	feeding, full := context.WithCancel(ctx)
	fed := make(chan struct{})
	go func() { defer close(fed); f.feed(feeding) }()
	for end := time.Now().Add(a.Duration); time.Now().Before(end); {
		if !sleep(ctx, a.Every-a.Stall) {
			break
		}
		if err := f.stall(ctx, a.Stall); err != nil {
			full()
			<-fed
			return c, err
		}
		c.Stalls++
		fmt.Fprintf(a.Out, "%-8s  stall %d, orders %d\n", name, c.Stalls, f.ledger.placed.Load())
	}
	full()
	<-fed
	if err := f.drain(ctx, 5*time.Minute); err != nil {
		return c, err
	}
	return c, f.count(ctx, &c)
}

// stall makes the database answer nobody for a while.
func (f *front) stall(ctx context.Context, d time.Duration) error {
	if f.cluster != nil {
		if err := f.cluster.Freeze(); err != nil {
			return errors.Join(err, f.cluster.Thaw())
		}
		sleep(ctx, d)
		return f.cluster.Thaw()
	}
	// A SQLite file has no server to stop: somebody holds its write lock.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(f.dir, "directorybolt.db")+"?_txlock=immediate&_pragma=busy_timeout(30000)")
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("hold the write lock: %w", err)
	}
	sleep(ctx, d)
	return tx.Rollback()
}

// count looks for alarms.
func (f *front) count(ctx context.Context, c *Calm) error {
	workers, err := f.store.Workers(ctx, 24*time.Hour)
	if err != nil {
		return err
	}
	c.Anew = len(workers) - len(f.slots)
	for _, w := range workers {
		if !w.RetiredAt.IsZero() && w.RetiredCause != job.RetiredStopped {
			c.Retired = append(c.Retired, fmt.Sprintf("worker %s, pid %d: %s", w.ID, w.PID, w.RetiredCause))
		}
	}
	if c.Verdict, err = f.judge(ctx); err != nil {
		return err
	}
	c.Recovered = c.Verdict.Crashes
	c.Orders = c.Verdict.Orders - c.Verdict.Lost
	return nil
}

// Print tells people what a run came to.
func (c Calm) Print(out io.Writer) {
	fmt.Fprintf(out, "%-8s  %d stalls, %d orders, %d workers retired although they lived, %d jobs taken from workers that lived, %d workers that began anew by themselves\n",
		c.Store, c.Stalls, c.Orders, len(c.Retired), c.Recovered, c.Anew)
	for _, r := range c.Retired {
		fmt.Fprintf(out, "  FALSE ALARM %s\n", r)
	}
	for _, e := range c.Verdict.Examples {
		fmt.Fprintf(out, "  BROKEN %s\n", e)
	}
}
