package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/directorybolt/directorybolt/internal/api"
	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/books"
	"github.com/directorybolt/directorybolt/internal/dashboard"
	"github.com/directorybolt/directorybolt/internal/deadletter"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/health"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/tally"
)

// process is what runs until it is told to go. When its context ends the worker
// drains; the services run until that is done, so that a drain is still watched.
type process struct {
	worker   func(ctx context.Context) error
	services services
	close    func()        // at the very end
	delay    time.Duration // that requests are taken while it drains, if somebody asks whether it is ready
	draining atomic.Bool
	probed   atomic.Bool // somebody asked whether it is ready
}

// run returns when everything has ended. The first service that fails ends the
// rest in order.
func (p *process) run(ctx context.Context) error {
	defer p.close()
	working, halt := context.WithCancelCause(ctx)
	lingered := make(chan struct{})
	context.AfterFunc(working, func() {
		defer close(lingered)
		p.draining.Store(true)
		if ctx.Err() != nil && p.probed.Load() {
			time.Sleep(p.delay)
		}
	})
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	for _, service := range p.services {
		g.Go(func() error {
			err := service(serving)
			halt(err)
			return err
		})
	}
	err := p.worker(working)
	halt(err)
	<-lingered
	stop()
	return errors.Join(err, g.Wait())
}

// leaving makes a drain known to those who ask h, and has it last so long if they ask
// for it: whoever probes learns of it in time, and who keeps a connection open comes by
// another next time.
func (p *process) leaving(h http.Handler, delay time.Duration) http.Handler {
	p.delay = delay
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			p.probed.Store(true)
		}
		if p.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// during runs the process while act lasts.
func (p *process) during(ctx context.Context, act func() error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	err := act()
	stop()
	return errors.Join(err, <-ended)
}

// pruneEvery is the time between two passes of retention.
const pruneEvery = time.Hour

// retention forgets what is no longer needed, again and again until ctx ends.
func retention(s job.Keeper, r job.Retention, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for {
			pruned, err := s.Prune(ctx, r)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				log.WarnContext(ctx, "retention failed, will try again", "error", err.Error())
			case pruned != job.Pruned{}:
				log.InfoContext(ctx, "retention pruned", "jobs", pruned.Jobs, "events", pruned.Events,
					"workers", pruned.Workers, "outbox", pruned.Outbox)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pruneEvery):
			}
		}
	}
}

// listen opens the HTTP port. Whoever cannot have it must learn so before it
// claims any work.
func listen(ctx context.Context, bind string, port int) (net.Listener, error) {
	address := net.JoinHostPort(bind, strconv.Itoa(port))
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, remedied(fmt.Errorf("listen on %s: the port is in use", address), "choose another with --port, or end the process that has it")
	case err != nil:
		return nil, remedied(fmt.Errorf("listen on %s: %w", address, cause(err)), "set --bind and --port to an address of this machine")
	}
	return ln, nil
}

// cause is the system's own word inside a network error, whose text would repeat
// the address.
func cause(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

// http serves on ln.
func (p *process) http(ln net.Listener, s backend, h house, catalog *directory.Catalog, limits *limits, watch *health.Monitor) []func(ctx context.Context) error {
	keys := auth.NewVerifier(s, s)
	secure := strings.HasPrefix(h.config.PublicURL, "https:")
	work := new(tally.Tally)
	handler := api.New(api.Deps{
		Ready:       readiness(s),
		Draining:    p.draining.Load,
		Tracer:      h.tracer,
		Store:       s,
		Clerk:       clerk{s, h.config},
		Keys:        keys,
		Catalog:     catalog,
		Stall:       h.config.StallAfter(),
		MaxAttempts: h.config.MaxAttempts,
		CrashBudget: h.config.CrashBudget,
		Secure:      secure,
		Tally:       work,
		Pages:       dashboard.New(secure),
		Balance:     func(ctx context.Context) (job.Balance, error) { return books.Stand(ctx, s, h.config.StallAfter()) },
		Erase:       func(ctx context.Context, id job.ID, by job.By) (auth.Erasure, error) { return h.erase(ctx, s, id, by) },
		RedriveCap:  h.config.RedriveCap,
		NextStep:    deadletter.NextStep,
		Limiter:     limits,
		Metrics:     h.metrics,
		Lease:       h.config.Lease,
		Heartbeat:   h.config.Heartbeat,
		Backoff:     h.backoff(),
		MetricsPage: h.metrics.Handler(),
		Health:      func() api.Health { return h.healthOf(watch.Report()) },
		Log:         h.log,
	})
	return []func(ctx context.Context) error{
		func(ctx context.Context) error {
			err := api.Serve(ctx, ln, p.leaving(handler, h.config.DrainDelay), h.log)
			h.handOver(context.WithoutCancel(ctx), work, s) // the end has come; what was counted is still to be told
			return err
		},
		func(ctx context.Context) error { return keys.Run(ctx, h.log) },
		limits.run,
		watch.Run,
	}
}

// handOver adds what was counted to the store's sums.
func (h house) handOver(ctx context.Context, counts *tally.Tally, s job.Rollups) {
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	if err := counts.HandOver(ctx, s.AddFacts); err != nil {
		h.log.DebugContext(ctx, "counts not handed over", "error", err.Error())
	}
}

// readiness reports why the store cannot serve. Migrations go one way, so they
// are asked about only until they are done.
func readiness(s backend) func(ctx context.Context) error {
	var migrated atomic.Bool
	return func(ctx context.Context) error {
		if err := s.Ping(ctx); err != nil || migrated.Load() {
			return err
		}
		pending, err := pendingMigrations(ctx, s)
		if err != nil {
			return err
		}
		if len(pending) > 0 {
			return fmt.Errorf("%s pending: %w", count(len(pending), "migration"), api.ErrMigrations)
		}
		migrated.Store(true)
		return nil
	}
}
