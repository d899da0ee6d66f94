package ratelimittest

import (
	"math/rand/v2"
	"testing"
)

// newRandom is random in each run; a failing test tells its seed.
func newRandom(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}
