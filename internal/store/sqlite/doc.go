// Package sqlite keeps jobs, workers, history, outbox and the effect ledger in one
// SQLite file, in pure Go. It implements [job.Store], [submit.Ledger] and
// [submit.Pacer].
//
// # One writer
//
// SQLite lets one connection write at a time, and a commit that survives a power
// cut waits for the disk. Each process therefore has one writer: callers hand it
// what they want done and wait; it does all that is waiting in one transaction,
// each caller behind a savepoint of its own, and pays for one sync. A caller sees
// the result it would have had alone: a fault in one undoes that one only. Readers
// have connections of their own and are never blocked. The heartbeat has one too,
// and takes turns with the writer, so that no queue of work delays it.
//
// Any number of processes on one host may open the file. Between them the file's
// own lock decides; a process waits for it up to ten seconds.
//
// # Durability
//
// The journal is a write-ahead log with synchronous=FULL: what was answered is on
// disk. A process that is killed loses nothing that was answered, and a store that
// is full refuses writes, whole, until there is room again.
//
// # Time
//
// The clock is the host's, read by the writer inside the transaction: all
// processes on the file share it. Times are microseconds.
package sqlite
