// Package alert makes sure that no failure goes unseen: what the rooms tell of in
// the outbox becomes alerts, and alerts become messages that reach people.
//
// # Gate
//
// The [Gate] reads notices (see [job.Notice]; any body, however malformed, is an
// [Observation]) and, in one transaction, brings the alerts up to date, creates a
// [Delivery] for each channel that must hear of it, and marks the notices read. So
// nothing is told twice by two instances or after a restart, and nothing is lost
// between the two. It speaks at first sight, when an alert has grown, as a reminder
// that comes ever more seldom until somebody acknowledges, and when the trouble is
// over. Alerts of one kind that would be told all at once are told as one digest.
//
// # Deliverer
//
// The [Deliverer] sends each delivery until its channel has accepted it: at least
// once, in order within the channel and the alert. A message that fails holds up
// nobody else's. Before it is sent, the row says that an attempt began; whoever finds
// such a row without an end may be repeating a message, and the message says so. That
// is the only repeat there is.
//
// # Notifiers
//
// A [Notifier] knows one service: how a [Post] looks there, and what its answers
// mean. They live in rooms of their own.
package alert
