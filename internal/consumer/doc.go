// Package consumer receives hints from the queue for a worker of the same process.
//
// A hint wakes the worker, which claims from the store as it always does; the
// message is then held, by extending it with each beat, until the job it names is
// settled in the store: ended, or pending for later with a fresh hint of its own.
// Only then is it deleted. A process that dies lets its messages come back; a
// process that freezes extends nothing.
//
// What the store knows decides, never the message: a hint whose job is unknown, has
// ended or is not due is deleted and counted. A hint of a failed job that somebody moved
// back by hand is deleted too, since messages do not run dead letters, and a person
// learns the command that does. A poison message is given back, again and again,
// until the queue's own count of receives brings it to the dead letter queue; it
// stops nothing.
//
// The worker polls the store all the while. A queue that is away costs it the
// difference between a wake-up and a poll, and is said loudly.
package consumer
