package drill

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// child is a process that the drill started. Nobody else's is ever signalled.
type child struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser // its end is the child's
	exited chan struct{}
	ids    map[job.ID]bool // the identities it registered
}

// start begins a command that ends with us, however we end.
func (d *drill) start(cmd *exec.Cmd) (*child, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	c := &child{cmd: cmd, in: in, exited: make(chan struct{}), ids: map[job.ID]bool{}}
	go func() {
		defer close(c.exited)
		_ = cmd.Wait()
	}()
	d.children = append(d.children, c)
	return c, nil
}

// recruit starts a worker and waits until the store knows it.
func (d *drill) recruit(role string, w Worker) (*child, error) {
	w.Name = role + "/" + job.NewID().String()
	c, err := d.start(d.Worker(w))
	if err != nil {
		return nil, err
	}
	c.name = w.Name
	err = d.until(startup, "our worker to register", func() (bool, error) {
		if c.gone() {
			return false, &stopError{fmt.Errorf("our worker, the %s, ended by itself", role)}
		}
		return d.identify(c)
	})
	if err != nil {
		return nil, err
	}
	d.say("%s started, pid %d", role, c.pid())
	return c, nil
}

// identify notes under which identities the child is known, and reports whether one
// of them lives.
func (d *drill) identify(c *child) (lives bool, err error) {
	workers, err := d.Store.Workers(d.ctx, time.Hour)
	if err != nil {
		return false, err
	}
	host, _ := os.Hostname()
	for _, w := range workers {
		if w.PID == c.pid() && w.Host == host && !w.StartedAt.IsZero() {
			c.ids[w.ID] = true
			lives = lives || w.RetiredAt.IsZero()
		}
	}
	return lives, nil
}

// role is the name without what makes it unlike others.
func (c *child) role() string {
	role, _, _ := strings.Cut(c.name, "/")
	return role
}

func (c *child) pid() int           { return c.cmd.Process.Pid }
func (c *child) is(id job.ID) bool  { return c.ids[id] }
func (c *child) tell(line string)   { _, _ = io.WriteString(c.in, line+"\n") }
func (c *child) gone() (ended bool) { return isClosed(c.exited) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (c *child) signal(sig syscall.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal our process %d: %w", c.pid(), err)
	}
	return nil
}

// end kills the process and waits for it; twice is harmless.
func (c *child) end() {
	if !c.gone() {
		_ = c.cmd.Process.Kill() // reaches a stopped process too
	}
	_ = c.in.Close()
	<-c.exited
}
