// Package queue is the contract of a wake-up queue and of the dead letter queue
// beside it.
//
// The store is the truth about jobs; a message is only a [Hint] that wakes a
// worker. Everything follows from that. A lost hint costs one poll of the store, a
// doubled one finds nothing to claim, a late one finds its job done. Nothing about a
// job is believed because a message says so: of a hint only the job's id is used.
//
// A message is received for a time, not for ever. Whoever receives it keeps it by
// extending that time, and deletes it when the job's attempt is settled in the
// store. A receiver that dies lets the time run out, and the message comes back.
// The transport counts receives, and moves to the dead letter queue what comes
// back too often: messages that nobody can read ([PoisonError]).
//
// queue/local keeps the contract with the outbox of a database, queue/sqs with AWS SQS, and
// queue/queuetest is the suite that both pass.
package queue
