package drill

import (
	"os/exec"
	"syscall"
)

// dieWithUs has the kernel kill the child when we are gone, even while it is stopped,
// and keeps the terminal's interrupt from it: we end it ourselves, in order.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
