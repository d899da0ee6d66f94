// Package drill breaks things on purpose and looks whether the promises held: nothing
// lost, nothing done twice, no write of a worker that lost its lease, the job in other
// hands within its time.
//
// # What a drill touches
//
// A drill starts workers of its own, which perform canaries and nothing else, and
// strikes one of them while it performs one: between the intent of an effect and its
// outcome. It signals only processes that it started, by their handle, and places only
// canaries: they carry no money and are not counted among the orders of customers. That
// is why it may run on a system that serves. What strikes the database, or the way to
// it, runs only on a stack that the drill started itself.
//
// # What it looks at
//
// The witness of canaries knows no fence and counts what arrives; one arrival for each
// directory is right, whatever happened to the workers. Times are measured on the
// drill's own clock, by asking the store again and again, so that a database whose
// clock jumps cannot lie about them.
package drill
