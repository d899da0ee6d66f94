package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
)

// durable is a store on a cluster of its own that keeps what it commits, as a real
// one does.
func durable(b *testing.B) *postgres.Store {
	b.Helper()
	c := dbtest.NewCluster(b)
	for _, set := range []string{"fsync = on", "full_page_writes = on"} {
		dbtest.Exec(b, c.URL("postgres"), "ALTER SYSTEM SET "+set)
	}
	dbtest.Exec(b, c.URL("postgres"), "SELECT pg_reload_conf()")
	s := open(b, postgres.Config{URL: c.URL("postgres"), Pooling: "session"})
	if _, err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkDrain claims and completes 100 000 no-op jobs.
func BenchmarkDrain(b *testing.B) {
	const jobs = 100_000
	for _, shape := range []struct{ claimers, batch int }{{4, 200}, {2, 1000}} {
		b.Run(fmt.Sprintf("claimers=%d/batch=%d", shape.claimers, shape.batch), func(b *testing.B) {
			s := durable(b)
			for b.Loop() {
				b.StopTimer()
				for range jobs / 1000 {
					enqueue(b, s, slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, 1000)...)
				}
				b.StartTimer()
				begun := time.Now()
				if n := drain(b, s, shape.claimers, shape.batch); n != jobs {
					b.Fatalf("drained %d jobs of %d", n, jobs)
				}
				b.ReportMetric(jobs/time.Since(begun).Seconds(), "jobs/s")
			}
		})
	}
}

func drain(t testing.TB, s *postgres.Store, claimers, batch int) int64 {
	worker := register(t, s)
	var done atomic.Int64
	var all sync.WaitGroup
	for range claimers {
		all.Go(func() {
			for {
				jobs, err := s.Claim(context.Background(), job.ClaimRequest{Worker: worker, Limit: batch, Kinds: []string{job.KindNoop}})
				if err != nil {
					t.Error(err)
				}
				if len(jobs) == 0 {
					return
				}
				leases := make([]job.Lease, len(jobs))
				for i := range jobs {
					leases[i] = jobs[i].Lease()
				}
				lost, err := s.Complete(context.Background(), leases...)
				if err != nil {
					t.Error(err)
				}
				done.Add(int64(len(jobs) - len(lost)))
			}
		})
	}
	all.Wait()
	return done.Load()
}

func register(t testing.TB, s *postgres.Store) job.ID {
	t.Helper()
	id := job.NewID()
	w := job.Worker{ID: id, Host: "here", PID: 1, Version: "test", Kinds: []string{job.KindNoop}, Capacity: 1}
	if err := s.Register(t.Context(), w, time.Hour); err != nil {
		t.Fatal(err)
	}
	return id
}

func enqueue(t testing.TB, s *postgres.Store, specs ...job.Spec) []job.Enqueued {
	t.Helper()
	got, err := s.Enqueue(context.WithoutCancel(t.Context()), specs...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// BenchmarkEnqueue adds jobs: one caller, eight callers, batches.
func BenchmarkEnqueue(b *testing.B) {
	spec := job.Spec{Kind: job.KindNoop}
	b.Run("callers=1", func(b *testing.B) {
		s := durable(b)
		for b.Loop() {
			enqueue(b, s, spec)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
	b.Run("callers=8", func(b *testing.B) {
		s := durable(b)
		b.SetParallelism(4)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				enqueue(b, s, spec)
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
	b.Run("batch=1000", func(b *testing.B) {
		s := durable(b)
		batch := slices.Repeat([]job.Spec{spec}, 1000)
		for b.Loop() {
			enqueue(b, s, batch...)
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "jobs/s")
	})
}

// BenchmarkRecover moves 100 000 jobs of a dead worker.
func BenchmarkRecover(b *testing.B) {
	const jobs = 100_000
	s := durable(b)
	for b.Loop() {
		b.StopTimer()
		for range jobs / 1000 {
			enqueue(b, s, slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, 1000)...)
		}
		worker := register(b, s)
		for claimed := 0; claimed < jobs; {
			got, err := s.Claim(context.Background(), job.ClaimRequest{Worker: worker, Limit: 5000, Kinds: []string{job.KindNoop}})
			if err != nil || len(got) == 0 {
				b.Fatalf("claimed %d jobs, error %v", claimed, err)
			}
			claimed += len(got)
		}
		if err := s.Retire(context.Background(), worker, job.RetiredLockLost, job.By{}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		begun := time.Now()
		for {
			r, err := s.Recover(context.Background(), 1000)
			if err != nil {
				b.Fatal(err)
			}
			if len(r.Jobs) == 0 {
				break
			}
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s/100k")
		b.StopTimer()
		drain(b, s, 4, 1000)
		b.StartTimer()
	}
}
