// Testpg runs a command with a throwaway Postgres, which all test packages below
// it share:
//
//	go run ./internal/dbtest/cmd/testpg -- go test ./...
//
// It ends the server when the command ends, when it is told to stop, and when
// its own parent is gone. Its exit status is the command's.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: testpg -- COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	status, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testpg:", err)
	}
	os.Exit(status)
}

func run(args []string) (int, error) {
	told := make(chan os.Signal, 8)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go watchParent(told)

	cluster, err := dbtest.StartCluster()
	if err != nil {
		return 1, err
	}
	defer cluster.Close()

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), dbtest.EnvURL+"="+cluster.URL("postgres"))
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-told:
			// An interrupt from the terminal reaches the command without us; passing
			// it on once more does no harm.
			_ = cmd.Process.Signal(sig)
		case err := <-ended:
			return exitStatus(err)
		}
	}
}

// watchParent passes the parent's end on as a request to stop: `go run` does not
// hand its own death to what it started.
func watchParent(told chan<- os.Signal) {
	parent := os.Getppid()
	for os.Getppid() == parent {
		time.Sleep(time.Second)
	}
	told <- syscall.SIGTERM
}

func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	case errors.As(err, &exit):
		return 130, nil
	default:
		return 1, err
	}
}
