// Package books proves that everything that was paid for is accounted for.
//
// Two equations must hold at every moment. Of the orders: paid = pending + in_progress +
// completed + failed + cancelled, where what was paid is told by the history and where it
// went by the orders' own rows. Of the directories of each order: quota = planned +
// submitting + submitted + live + rejected + failed + skipped + needs_action + uncertain
// − replaced + shortfall. And a failed order has a dead letter, and a completed one nothing
// left to do.
//
// The [Monitor] checks the orders that were touched lately, every minute, and walks over
// all the others a piece at a time, so that what somebody changed by hand is found too. It
// tells people once, and when it is over. [Prove] checks everything, for whoever wants to
// see the proof. The store judges an order in one statement, so work that goes on
// meanwhile never looks like a fault.
package books
