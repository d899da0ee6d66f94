// Package backoff computes the delay before the n-th attempt: exponential, with
// full jitter and a cap. It is pure; nothing here waits.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Policy is a growing delay. The zero value is the default policy.
type Policy struct {
	Base time.Duration // ceiling of the first delay; zero means 30 s
	Cap  time.Duration // no ceiling is above it; zero means 15 min

	// Jitter picks the share of the ceiling, in [0, 1); nil means random. Tests set it.
	Jitter func() float64
}

// Ceiling is the longest delay after n failures, n counted from 1:
// Base·2ⁿ⁻¹, at most Cap.
func (p Policy) Ceiling(n int) time.Duration {
	base, limit := p.Base, p.Cap
	if base <= 0 {
		base = 30 * time.Second
	}
	if limit <= 0 {
		limit = 15 * time.Minute
	}
	d := base
	for i := 1; i < n && d < limit; i++ {
		d *= 2
	}
	return min(d, limit)
}

// Delay is a random share of the ceiling ("full jitter", after M. Brooker,
// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): callers that
// failed together do not come back together.
func (p Policy) Delay(n int) time.Duration {
	jitter := p.Jitter
	if jitter == nil {
		jitter = rand.Float64
	}
	return time.Duration(jitter() * float64(p.Ceiling(n)))
}
