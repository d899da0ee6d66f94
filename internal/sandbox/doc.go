// Package sandbox is a small web of directories on loopback, for the demo, for
// tests with real processes and for drills. Each directory is an origin of its
// own and behaves in one of the ways of [Behaviours]: some are pleasant, some
// fail once, some cut the connection after they listed the business, some ask
// for a person.
//
// The sandbox is an independent witness of "once": it counts what arrived and
// what it listed, at the moment it did so, and knows nothing of who sent it. A
// directory lists a business as often as it is told to, unless refusing doubles
// is its behaviour; so whatever was sent twice stands there twice.
//
// It keeps everything in memory and listens on loopback only.
package sandbox
