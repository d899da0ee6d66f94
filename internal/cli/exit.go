package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Exit statuses. Scripts rely on them.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2 // usage or settings
	ExitNotFound    = 3 // not found, nothing to do
	ExitPartly      = 4 // partly failed
	ExitUnhealthy   = 5 // a promise broke
	ExitInterrupted = 130
)

// exitError chooses an exit status, and tells what to do about the error.
type exitError struct {
	status int
	err    error  // nil: everything has been said
	remedy string // empty: none known
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is an error in what was typed or set.
func usage(err error, remedy string) error { return &exitError{ExitUsage, err, remedy} }

// notFound is an error about something that is not there.
func notFound(err error, remedy string) error { return &exitError{ExitNotFound, err, remedy} }

// remedied adds what to do about err. The status stays what err's kind says.
func remedied(err error, remedy string) error {
	if err == nil {
		return nil
	}
	return &exitError{statusOf(err), err, remedy}
}

// exitWith ends with a status when everything has been said.
func exitWith(status int) error {
	if status == ExitOK {
		return nil
	}
	return &exitError{status: status}
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// Interrupted is the cause to give the context of [Main] when a signal ends it.
func Interrupted() error { return errInterrupted }

// statusOf says how an error ends the process.
func statusOf(err error) int {
	var exit *exitError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // the reader of our output has seen enough
		return ExitOK
	case errors.As(err, &exit):
		return exit.status
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.Is(err, job.ErrNotFound):
		return ExitNotFound
	}
	return ExitFailure
}

// sentence is what a person reads about err; empty when all has been said.
func sentence(err error) string {
	var exit *exitError
	if err == nil || errors.Is(err, syscall.EPIPE) || errors.As(err, &exit) && exit.err == nil {
		return ""
	}
	text := "directorybolt: " + strings.TrimSpace(err.Error())
	remedy := remedyOf(err)
	switch {
	case remedy == "":
		return text
	case strings.Contains(text, "\n"): // a list of faults, one a line
		return text + "\n" + remedy
	}
	return text + " (" + remedy + ")"
}

// remedyOf is what to do about err, where its text does not say so already.
func remedyOf(err error) string {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.remedy
	}
	return ""
}
