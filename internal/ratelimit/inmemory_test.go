package ratelimit_test

import (
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/ratelimit"
	"github.com/directorybolt/directorybolt/internal/ratelimit/ratelimittest"
)

func TestInMemory(t *testing.T) {
	ratelimittest.Run(t, func(testing.TB) ratelimittest.Subject {
		var mu sync.Mutex
		var now time.Time
		m := &ratelimit.InMemory{Clock: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}}
		return ratelimittest.Subject{
			Storage: m,
			Set: func(t time.Time) {
				mu.Lock()
				defer mu.Unlock()
				now = t
			},
			Reopen: func(testing.TB) ratelimit.Storage { return m },
			Logs:   func(testing.TB) int { return m.Len() },
		}
	})
}
