// Package postgres keeps jobs, the effect ledger and the turns of hosts in
// Postgres. [Store] implements job.Store, submit.Ledger and submit.Pacer.
//
// # Statements
//
// Each change is one statement of queries/*.sql, also where it touches several
// tables: the change, its event and its outbox row are common table expressions of
// one command. So no transaction waits for its client, and a process that freezes
// holds no lock; only a bulk enqueue is a transaction of several steps, and it
// locks nothing but its own new rows. Conditions are repeated on the row that is changed, which
// Postgres reads again after it waited for a lock; a condition on a joined row is
// not read again, so such a condition is used only where it cannot become false.
//
// # Poolers
//
// Behind a pooler in transaction mode a connection is another server session from
// one transaction to the next: LISTEN, session locks, session settings and prepared
// statements do not work, and some of them fail in silence. Open finds out which
// mode it got, see [Mode], and does without where it must.
//
// # Clock
//
// Deciding times are the database's. Statements call statement_timestamp() and
// clock_timestamp() unqualified, so that a test can put a clock of its own into a
// schema that stands before pg_catalog in the search path.
package postgres
