// Package ratelimit decides whether a request may pass: at most so many of one
// client in any span of a window, exactly, across instances and restarts.
//
// The truth is a log of stamps for each key, in a [Storage] that all instances
// share: a request passes when fewer than the limit lie in the window before it.
// In front of the log a memory refuses what is known to be full, and concurrent
// requests ask together. When the storage fails, each policy says what happens.
//
// README.md in this folder has the contract, how to embed it, why it is exact, and
// where it is not.
package ratelimit
