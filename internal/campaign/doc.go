// Package campaign breaks a whole fleet thousands of times over, at random and on
// purpose at the worst moment, and holds the witness, the books and the history
// against the promises afterwards. It is a tool for the developers of the engine;
// cmd/campaign runs it, and its tests run a short one.
//
// Workers are real processes of the built binary. They submit short orders to a
// sandbox of directories, which counts what arrives. Meanwhile they are killed, frozen
// past their lease and cut off from the database, and the database is restarted. A third of the
// faults is aimed: the sandbox tells at the moment a post arrives, and the fault
// strikes there, between the intent and its outcome.
//
// The choices come from a seed: which faults, in which order, aimed or not, after which
// pause, how long. What they meet is up to the machine.
package campaign
