package cli

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/directorybolt/directorybolt/internal/api"
)

// probes answer for a process that has no API: whether it lives, whether it can do its
// work, and its metrics. Where PROBE_ADDRESS is not set there are none. The port is taken
// at once: who cannot have it must learn so before it begins to work.
func (h house) probes(ctx context.Context, s backend, working func(ctx context.Context) error, draining func() bool) (services, error) {
	if h.config.ProbeAddress == "" {
		return nil, nil
	}
	bind, port, err := net.SplitHostPort(h.config.ProbeAddress)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	ln, err := listen(ctx, bind, number)
	if err != nil {
		return nil, remedied(err, "set PROBE_ADDRESS to a free one")
	}
	stored := readiness(s)
	handler := api.New(api.Deps{
		Ready: func(ctx context.Context) error {
			if err := stored(ctx); err != nil {
				return err
			}
			return working(ctx)
		},
		Draining: draining, MetricsPage: h.metrics.Handler(), Log: h.log,
	})
	h.log.InfoContext(ctx, "probes answer", "url", "http://"+ln.Addr().String())
	return services{func(ctx context.Context) error { return api.Serve(ctx, ln, handler, h.log) }}, nil
}

// leased reports why this process's worker may not work.
func leased(s backend) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		now, err := s.Now(ctx)
		if err != nil {
			return err
		}
		all, err := s.Workers(ctx, 0)
		if err != nil {
			return err
		}
		host, pid := thisProcess()
		for _, w := range all {
			if w.Host == host && w.PID == pid && w.RetiredAt.IsZero() && w.LeaseUntil.After(now) {
				return nil
			}
		}
		return &api.NotReadyError{Reason: "the worker has no lease"}
	}
}

// passing reports why this process's monitor is not at work.
func passing(s backend, monitor string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		now, err := s.Now(ctx)
		if err != nil {
			return err
		}
		all, err := s.MonitorPasses(ctx)
		if err != nil {
			return err
		}
		host, pid := thisProcess()
		for _, p := range all {
			if p.Monitor == monitor && p.Host == host && p.PID == pid && p.LeftAt.IsZero() && now.Sub(p.GoodAt) < 2*p.Every+5*time.Second {
				return nil
			}
		}
		return &api.NotReadyError{Reason: "the " + monitor + " monitor has ended no good pass lately"}
	}
}

// thisProcess is the name under which its worker and monitors are known.
func thisProcess() (host string, pid int) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host, os.Getpid()
}

// never drains.
func never() bool { return false }
