package bench

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/dbtest"
	"github.com/directorybolt/directorybolt/internal/job"
	migrations "github.com/directorybolt/directorybolt/internal/store"
	"github.com/directorybolt/directorybolt/internal/store/postgres"
	"github.com/directorybolt/directorybolt/internal/store/sqlite"
	"github.com/directorybolt/directorybolt/internal/worker"
)

type store interface {
	job.Store
	Migrate(ctx context.Context) ([]migrations.Migration, error)
	Close() error
}

// dialects are the stores, each fresh and migrated.
var dialects = []struct {
	name string
	open func(b *testing.B) store
}{
	{"sqlite", func(b *testing.B) store {
		s, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(b.TempDir(), "bench.db"), Log: quiet})
		return ready(b, s, err)
	}},
	{"postgres", func(b *testing.B) store {
		s, err := postgres.Open(context.Background(), postgres.Config{URL: dbtest.Postgres(b), Log: quiet})
		return ready(b, s, err)
	}},
}

var quiet = slog.New(slog.DiscardHandler)

func ready(b *testing.B, s store, err error) store {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// each runs a benchmark on every store.
func each(b *testing.B, f func(b *testing.B, s store)) {
	for _, d := range dialects {
		b.Run(d.name, func(b *testing.B) { f(b, d.open(b)) })
	}
}

func rate(b *testing.B, jobs int) {
	b.ReportMetric(float64(jobs)/b.Elapsed().Seconds(), "jobs/s")
}

// BenchmarkEnqueueOne is one caller, one job a call.
func BenchmarkEnqueueOne(b *testing.B) {
	each(b, func(b *testing.B, s store) {
		for b.Loop() {
			if _, err := s.Enqueue(b.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, b.N)
	})
}

// BenchmarkEnqueueEight is eight callers at once, one job a call.
func BenchmarkEnqueueEight(b *testing.B) {
	each(b, func(b *testing.B, s store) {
		share := make(chan struct{}, b.N)
		for range b.N {
			share <- struct{}{}
		}
		close(share)
		b.ResetTimer()
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for range share {
					if _, err := s.Enqueue(b.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		callers.Wait()
		rate(b, b.N)
	})
}

// BenchmarkEnqueueBatch is one caller, 1000 jobs a call.
func BenchmarkEnqueueBatch(b *testing.B) {
	each(b, func(b *testing.B, s store) {
		specs := slices.Repeat([]job.Spec{{Kind: job.KindNoop}}, 1000)
		for b.Loop() {
			if _, err := s.Enqueue(b.Context(), specs...); err != nil {
				b.Fatal(err)
			}
		}
		rate(b, 1000*b.N)
	})
}

// BenchmarkDrain is one pool at its defaults that empties a queue of no-op jobs:
// fence, priorities and history on. One op is one job.
func BenchmarkDrain(b *testing.B) {
	each(b, func(b *testing.B, s store) {
		fill(b, s, b.N)
		done := make(chan struct{}, b.N)
		b.ResetTimer()
		stop := run(b, s, worker.Config{}, func(context.Context, job.Attempt) error {
			done <- struct{}{}
			return nil
		})
		for range b.N {
			<-done
		}
		stop() // the last completions are committed when the pool has left
		b.StopTimer()
		rate(b, b.N)
		counts, err := s.Counts(context.Background())
		if err != nil || counts[job.Completed] != int64(b.N) {
			b.Fatalf("completed %d of %d jobs, error %v", counts[job.Completed], b.N, err)
		}
	})
}

// BenchmarkInsertToStart is the time from the call of Enqueue to the start of the
// handler, on an idle system with one pool at its defaults.
func BenchmarkInsertToStart(b *testing.B) {
	each(b, func(b *testing.B, s store) {
		started := make(chan time.Time)
		stop := run(b, s, worker.Config{}, func(context.Context, job.Attempt) error {
			started <- time.Now()
			return nil
		})
		defer stop()
		var took []time.Duration
		for b.Loop() {
			begun := time.Now()
			if _, err := s.Enqueue(b.Context(), job.Spec{Kind: job.KindNoop}); err != nil {
				b.Fatal(err)
			}
			took = append(took, (<-started).Sub(begun))
			time.Sleep(5 * time.Millisecond) // let the system fall idle; not measured below
		}
		b.ReportMetric(0, "ns/op")
		slices.Sort(took)
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
		}
	})
}

// fill enqueues n no-op jobs over all priorities.
func fill(b *testing.B, s store, n int) {
	b.Helper()
	for n > 0 {
		specs := make([]job.Spec, min(n, 5000))
		for i := range specs {
			specs[i] = job.Spec{Kind: job.KindNoop, Priority: 1 + i%4}
		}
		if _, err := s.Enqueue(b.Context(), specs...); err != nil {
			b.Fatal(err)
		}
		n -= len(specs)
	}
}

// run starts a pool with one handler; the returned function drains it.
func run(b *testing.B, s store, c worker.Config, h job.HandlerFunc) (stop func()) {
	b.Helper()
	c.Store, c.Log, c.Handlers = s, quiet, map[string]job.Handler{job.KindNoop: h}
	p, err := worker.New(c)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = p.Run(ctx)
	}()
	return func() { cancel(); <-left }
}
