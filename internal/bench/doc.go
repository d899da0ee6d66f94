// Package bench measures the job engine on both stores: enqueue, drain, and the
// time from insert to start. It holds benchmarks only; run them with `make bench`
// and read docs/performance.md. Figures of one run compare with each other,
// never with those of another machine or day.
package bench
