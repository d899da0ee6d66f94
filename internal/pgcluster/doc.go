// Package pgcluster starts Postgres servers of its own: for tests, and for drills
// that restart a database or jump its clock, which nobody may do to a database that
// others use.
//
// A cluster is thrown away. Nothing is left behind, however the process that started
// it ends: a guard process holds the end of a pipe, and when the pipe closes it stops
// the server and removes its directory.
package pgcluster
