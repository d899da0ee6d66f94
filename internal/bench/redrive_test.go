package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/deadletter"
	"github.com/directorybolt/directorybolt/internal/job"
)

// BenchmarkRedrive brings 10 000 dead letters back, as dlq redrive --all does: each
// with its event, all of them journalled.
func BenchmarkRedrive(b *testing.B) {
	const n = 10_000
	each(b, func(b *testing.B, s store) {
		if _, err := s.Enqueue(b.Context(), slices.Repeat([]job.Spec{{Kind: job.KindNoop, CrashBudget: 1}}, n)...); err != nil {
			b.Fatal(err)
		}
		rounds := 0
		for b.Loop() {
			b.StopTimer()
			killPending(b, s)
			b.StartTimer()
			p, err := deadletter.Campaign{Store: s, By: job.By{Actor: "cli:bench"}}.Run(b.Context())
			if err != nil || p.Redriven != n {
				b.Fatalf("redriven %d letters, error %v", p.Redriven, err)
			}
			rounds++
		}
		b.ReportMetric(float64(rounds*n)/b.Elapsed().Seconds(), "letters/s")
	})
}

// killPending lets a worker die with every pending job.
func killPending(b *testing.B, s store) {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	w := job.Worker{ID: job.NewID(), Host: "gone", PID: 1, Version: "bench", Kinds: []string{job.KindNoop}, Capacity: 1000}
	must(s.Register(b.Context(), w, time.Hour))
	for {
		jobs, err := s.Claim(b.Context(), job.ClaimRequest{Worker: w.ID, Limit: 1000, Kinds: w.Kinds})
		must(err)
		if len(jobs) == 0 {
			break
		}
	}
	must(s.Retire(b.Context(), w.ID, job.RetiredToldToGo, job.By{}))
	for {
		r, err := s.Recover(b.Context(), 1000)
		must(err)
		if len(r.Jobs) == 0 {
			return
		}
	}
}
