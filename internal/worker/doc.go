// Package worker runs jobs. A [Pool] is one process's share of the fleet: one
// fetcher claims for all its slots, one heartbeat renews the lease of them all,
// completions are batched.
//
// # Tenure
//
// A pool serves under an identity that is random per tenure. A tenure begins
// with registration and ends when the pool drains, when the store says that the
// worker was retired, or when the pool's own clock says that its lease is over
// (it fences itself). After the last two the pool begins a new tenure. The jobs of
// a tenure that fenced itself are given back as soon as the store takes them back;
// those of a retired one belong to others.
//
// # Deadline
//
// The lease that a worker may rely on began when the good beat was sent, not when
// its answer came, and ends a margin early: deadline = sent + lease − margin, on a
// clock that runs through suspend (CLOCK_BOOTTIME on Linux). The pool stops
// claiming when less than half of its lease is left and lets no effect begin or
// go on after the deadline.
//
// # Prefetch
//
// Short jobs are claimed ahead of free slots, as many as the pool finishes in
// about 50 ms, so that a claim's round trip does not idle the slots. Long jobs are
// claimed one by one as slots get free: a job never waits in one worker's memory
// while another worker is idle, for longer than that.
package worker
