// Package store is what the stores of both dialects share: the runner of their
// migrations and the loader of their named statements. The stores themselves are
// in the rooms below, postgres and sqlite; the contract they keep is [job.Store].
//
// This room names no database driver; a dialect brings its own connection, its
// files and its lock.
//
// [job.Store]: https://pkg.go.dev/github.com/directorybolt/directorybolt/internal/job#Store
package store
