// Bench measures the job engine beside River, on the same private Postgres and on
// SQLite files of the same directory, and prints ratios:
//
//	go run . -h
//	go run . -parts drain,enqueue -rounds 3 -md bench.md -json bench.json
//
// It is a module of its own, so that the peer is no dependency of the product.
//
// # Fairness
//
// Both sides get the same machine, the same server with fsync, synchronous_commit
// and full_page_writes on, a fresh database for each sample, and the same moment:
// a round is one sample of each side, back to back, and rounds change who begins.
// Ratios are taken within a round. Each sample runs in a process of its own. The
// clock of a drain stops when the database says that nothing is pending or running,
// not when the last handler returned.
//
// # Disturbance
//
// Machines are shared. Each sample measures how much of the machine others used
// meanwhile; a round in which that was too much is repeated, and what was thrown
// away stays in the JSON.
package main
