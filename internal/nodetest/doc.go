// Package nodetest brings packages of npm to tests, at the versions of a lock file.
//
// The first test on a machine that wants them installs them, with npm ci, into the
// user's cache, outside of every checkout; scripts of packages do not run.
package nodetest
