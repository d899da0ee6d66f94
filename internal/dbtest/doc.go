// Package dbtest gives tests a real Postgres, and a real pgbouncer in front of it.
//
// Each test process starts one throwaway cluster when it first needs one, and
// each call of [Postgres] makes a fresh database in it. Where [EnvURL] names a
// superuser's URL, that cluster is used instead, so that all packages of one
// `go test ./...` share one; cmd/testpg starts such a cluster around a command.
// Tests that need a database which goes away start a [Cluster] of their own.
//
// Nothing is left behind, however the test process ends: a guard process holds
// the end of a pipe, and when the pipe closes it stops the server and removes
// its directory. A missing server is a failure with the remedy, never a skip.
//
// Only tests import this package.
package dbtest
