package acceptance

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// TestOrderSurvivesTwentyKills places an order while the one process that serves
// it is killed by kill -9 at twenty random moments and started again.
func TestOrderSurvivesTwentyKills(t *testing.T) {
	const kills = 20
	onBoth(t, func(t *testing.T, s *stack) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 0))
		web := newSandbox(t, sandbox.Config{Count: 400, Seed: int64(seed >> 1), Scale: 0.3})
		s.useSandbox(web)
		s.set("SUBMIT_CONCURRENCY", "1") // long enough for twenty kills to hit it

		all := s.start("all")
		id := s.submit(1, "professional")
		for range kills {
			s.awaitRunning(id, all)
			time.Sleep(time.Duration(rnd.Int64N(int64(150 * time.Millisecond))))
			all.kill()
			all = s.start("all")
		}
		j := s.awaitFinal(id, 2*time.Minute, all)
		if j.State != job.Completed {
			t.Fatalf("order is %s: %s", j.State, j.Cause)
		}
		subs := s.results(id)
		checkWitness(t, web, 1, subs)
		checkBooks(t, j, subs)
		t.Logf("fence %d, crashes %d, %s", j.Fence, j.Crashes, tally(subs))
		if j.Crashes < 3 {
			t.Errorf("%d kills cost the order %d crashes; the kills hit nothing", kills, j.Crashes)
		}
		recovered := 0
		for _, e := range s.history(id) {
			if e.Type == job.EventJobRecovered {
				recovered++
			}
		}
		if recovered != j.Crashes {
			t.Errorf("the history tells of %d recoveries, the job counts %d crashes", recovered, j.Crashes)
		}
	})
}
