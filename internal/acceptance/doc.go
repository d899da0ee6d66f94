// Package acceptance proves the promises on real processes: the built binary, on
// a real SQLite file or a real Postgres, submits to the sandbox's directories and
// is killed and frozen meanwhile. The sandbox counts what arrived; its witness and
// the store's books must agree. The package holds tests only.
package acceptance
