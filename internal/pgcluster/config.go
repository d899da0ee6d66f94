package pgcluster

import "errors"

// ErrMissing: the Postgres server programs are not on this machine.
var ErrMissing = errors.New("the Postgres server programs (initdb, postgres) are not on this machine")

// Config says how a cluster is made. The zero value is a plain one.
type Config struct {
	// Install is asked for the server programs when they are missing; nil: that is
	// an error.
	Install func() error
	// Clock is the path of libfaketime, for a server whose clock jumps; empty: the
	// machine's own clock.
	Clock string
}
