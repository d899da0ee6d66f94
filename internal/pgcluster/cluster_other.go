//go:build !unix

package pgcluster

import (
	"errors"
	"time"
)

var errUnixOnly = errors.New("a Postgres of our own can be started on Unix only")

// Cluster is a throwaway Postgres server; there are none on this system.
type Cluster struct{}

// Start says that there are none.
func Start(Config) (*Cluster, error) { return nil, errUnixOnly }

// FakeTime finds nothing.
func FakeTime() (string, bool) { return "", false }

// URL names a database of the cluster.
func (*Cluster) URL(string) string { return "" }

// Address is the server's host and port.
func (*Cluster) Address() string { return "" }

// Restart is Stop and Start.
func (*Cluster) Restart() error { return errUnixOnly }

// Jump moves the server's clock.
func (*Cluster) Jump(time.Duration) error { return errUnixOnly }

// Close ends the server.
func (*Cluster) Close() {}
