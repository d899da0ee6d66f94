// Package job is the language of work: jobs, their states, the leases under
// which workers run them, and the contract a store keeps about them.
//
// # Fence
//
// Each claim adds one to the job's fence, a number that only grows. It is not
// the attempt counter, which release and redrive take back. Every write about a
// running job names id, fence and state in its WHERE clause; when no row changed,
// the claim is no longer the job's latest and the error is [ErrLeaseLost]. A
// worker that froze, lost its lease and woke up can therefore change nothing.
//
// # Lease
//
// A worker is a row with an identity that is random per process boot and one
// lease. One heartbeat renews it, for all the jobs the worker runs. Expiry lives
// in that one place: whether a worker lives is never told by a clock in a job's own
// row. What such a row does tell is when its handler last got further; a live worker
// loses a job that makes no progress.
//
// # Recovery
//
// Recovery has two steps. First the owner is retired, by compare-and-set, with a
// cause. A retired worker's next beat fails, and it stops by itself. Then its
// jobs are moved in guarded batches: owner retired, same fence, still in progress.
//
// # Budgets
//
// Failures (the handler said no) and crashes (the process died) are counted
// apart and have budgets of their own. Release and snooze spend neither.
//
// This room imports no database, network or cloud library.
package job
