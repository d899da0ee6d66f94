//go:build unix

package pgcluster

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// guardScript waits for the end of its input, which comes when the process that
// started it lets go of the pipe or dies. Then it stops the server named by the pid file and
// removes the directory; a server that is frozen goes on first, and ends its sessions.
// The wait is bounded, because a server that was orphaned may stay a zombie where
// nothing reaps it.
const guardScript = `
read -r _
pid=$(head -n 1 "$2" 2>/dev/null)
if [ -n "$pid" ]; then
	kill -CONT "$pid" 2>/dev/null
	kill -QUIT "$pid" 2>/dev/null
	n=0
	while kill -0 "$pid" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
	kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
`

// Guard outlives the process that started it just long enough to clean up after it. A
// parent-death signal would not do: it is tied to a thread, stops no server that
// was restarted, and removes no directory.
type Guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

// guards keeps every guard reachable: a pipe that nothing refers to any more is
// closed by the garbage collector, and the server would end too soon.
var guards sync.Map

// StartGuard guards the directory and the server whose pid file it is.
func StartGuard(dir, pidFile string) (*Guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "guard", dir, pidFile)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no signal of the terminal reaches it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start guard: %w", err)
	}
	g := &Guard{cmd, pipe}
	guards.Store(g, true)
	return g, nil
}

// Release ends the server and removes the directory, and returns when it is done.
func (g *Guard) Release() {
	guards.Delete(g)
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
}
