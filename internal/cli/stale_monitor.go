package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

type staleMonitorCmd struct{}

// Help shows how it is typed.
func (staleMonitorCmd) Help() string {
	return "It retires workers whose lease is over and gives their jobs back, and it takes jobs that make no progress from " +
		"workers that live. Any number of them may run: the work is done once. `all` and `work` run the same monitor beside their worker, " +
		"so that a fleet is never without one; run it alone where it shall outlive every worker. It also checks the books every minute, as they do, and sends alerts to the channels that are set, so that " +
		"the end of the dead letter monitor is told of.\n\n" +
		examples("DATABASE_URL=postgres://… directorybolt stale-monitor")
}

// Run watches until the context ends.
func (staleMonitorCmd) Run(ctx context.Context, a *app) error {
	h, err := a.house()
	if err != nil {
		return err
	}
	s, err := h.open(ctx)
	return closing(s, err, func(s backend) error {
		h.log.InfoContext(ctx, "started", "version", thisBuild().Version, "store", storeName(h.config),
			"interval", h.config.LivenessInterval(), "stall_after", h.config.StallAfter())
		defer h.log.InfoContext(ctx, "stopped")
		defer a.tellManager(ctx)()
		relay, err := h.relay(ctx, s)
		if err != nil {
			return err
		}
		alerting, err := h.alerting(ctx, s)
		if err != nil {
			return err
		}
		probes, err := h.probes(ctx, s, passing(s, job.MonitorStale), never)
		if err != nil {
			return err
		}
		return append(append(relay, h.monitor(s).Run, h.bookkeeper(s).Run, h.lookout(s).Run), append(alerting, probes...)...).run(ctx)
	})
}
