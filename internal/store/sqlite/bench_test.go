package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
)

func benchStore(b *testing.B) *sqlite.Store {
	b.Helper()
	return openStore(b, sqlite.Config{Path: filepath.Join(b.TempDir(), "directorybolt.db")})
}

func benchWorker(b *testing.B, s *sqlite.Store) job.ID {
	b.Helper()
	id := job.NewID()
	if err := s.Register(b.Context(), job.Worker{ID: id, Host: "h", Capacity: 200}, time.Hour); err != nil {
		b.Fatal(err)
	}
	return id
}

func enqueueNoops(b *testing.B, s *sqlite.Store, n int) {
	b.Helper()
	for n > 0 {
		batch := min(n, 1000)
		if _, err := s.Enqueue(b.Context(), slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, batch)...); err != nil {
			b.Fatal(err)
		}
		n -= batch
	}
}

// BenchmarkDrain claims and completes no-op jobs in batches, one job an iteration.
func BenchmarkDrain(b *testing.B) {
	for _, batch := range []int{1, 20, 200} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			s := benchStore(b)
			w := benchWorker(b, s)
			enqueueNoops(b, s, b.N)
			b.ResetTimer()
			for done := 0; done < b.N; {
				jobs, err := s.Claim(b.Context(), job.ClaimRequest{Worker: w, Limit: batch, Kinds: []string{job.KindNoop}})
				if err != nil || len(jobs) == 0 {
					b.Fatalf("claimed %d jobs after %d of %d: %v", len(jobs), done, b.N, err)
				}
				leases := make([]job.Lease, len(jobs))
				for i := range jobs {
					leases[i] = jobs[i].Lease()
				}
				if lost, err := s.Complete(b.Context(), leases...); err != nil || len(lost) > 0 {
					b.Fatalf("%d lost: %v", len(lost), err)
				}
				done += len(jobs)
			}
			report(b)
		})
	}
}

// BenchmarkEnqueue adds jobs one at a time by so many callers, or in batches.
func BenchmarkEnqueue(b *testing.B) {
	for _, callers := range []int{1, 8} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := benchStore(b)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for n := i; n < b.N; n += callers {
						if _, err := s.Enqueue(b.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			report(b)
		})
	}
	b.Run("batch=1000", func(b *testing.B) {
		s := benchStore(b)
		b.ResetTimer()
		enqueueNoops(b, s, b.N)
		report(b)
	})
}

// BenchmarkRecover moves the jobs of a dead worker, one job an iteration.
func BenchmarkRecover(b *testing.B) {
	s := benchStore(b)
	enqueueNoops(b, s, b.N)
	w := benchWorker(b, s)
	if _, err := s.Claim(b.Context(), job.ClaimRequest{Worker: w, Limit: b.N, Kinds: []string{job.KindNoop}}); err != nil {
		b.Fatal(err)
	}
	if err := s.Retire(b.Context(), w, job.RetiredLockLost, job.By{Actor: job.ActorSystem}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for moved := 0; moved < b.N; {
		r, err := s.Recover(b.Context(), 1000)
		if err != nil || len(r.Jobs) == 0 {
			b.Fatalf("recovered %d after %d of %d: %v", len(r.Jobs), moved, b.N, err)
		}
		moved += len(r.Jobs)
	}
	report(b)
}

func report(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
