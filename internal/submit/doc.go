// Package submit performs an order: it selects the directories, submits the
// business to each of them at most once, and keeps the evidence.
//
// # The effect ledger
//
// Posting a form is an effect that no database can roll back. So its intent is
// committed before the first byte can leave (planned → submitting, with the
// claim's fence and a deadline after which nothing is sent), and its outcome
// after. Whoever finds an intent without an outcome asks the directory's lookup
// instead of posting again:
//
//	found               → submitted
//	absent, with proof  → planned, to be posted again
//	anything else       → uncertain, for a person
//
// Absence counts only once the effect's deadline and the directory's settle time
// are over, and only where the directory says that nothing hides in a queue.
//
// # Waiting
//
// A directory whose turn has not come is not waited for with a lease in hand: when
// an order has nothing to do for longer than a moment it is snoozed.
package submit
