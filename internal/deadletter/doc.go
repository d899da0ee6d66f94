// Package deadletter watches the dead letters and brings them back.
//
// The store is the truth: the statement that fails a job leaves its letter, and
// commits the notice that people get. So no failure needs to be caught by a look, and
// what arrived and left between two looks has been told all the same. What the
// [Monitor] adds is everything that happens after: it sends a copy of each letter to the
// dead letter queue, looks what else that queue holds and keeps it before the queue's
// retention deletes it, finds out how redriven letters ended, and tells when the last
// of a group has met its fate. When it cannot look it says so: an error is never an
// empty queue.
//
// A [Campaign] redrives many letters: at a rate, or carefully, a few first and the
// rest only when these did not come back. What it did is in the store before the next
// batch begins, so it may be interrupted and begun again at any moment.
package deadletter
