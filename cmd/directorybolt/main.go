// Command directorybolt submits businesses to web directories.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/directorybolt/directorybolt/internal/cli"
)

func main() {
	os.Exit(cli.Main(untilSignalled(), cli.Process{
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Stdin:   os.Stdin,
	}))
}

// untilSignalled ends with the first SIGINT or SIGTERM, so that running work
// drains; the second ends the process at once. A reader of our output that went
// away is an error of the write, not a signal that kills.
func untilSignalled() context.Context {
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		<-signals
		cancel(cli.Interrupted())
		<-signals
		os.Exit(cli.ExitInterrupted)
	}()
	return ctx
}
