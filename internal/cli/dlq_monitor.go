package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqMonitorCmd struct{}

// Help shows how it is typed.
func (dlqMonitorCmd) Help() string {
	return "It copies each dead letter to the dead letter queue, where there is one, keeps what else arrives there before the queue " +
		"deletes it, says when nobody sees the queue, tells what became of redriven letters, and sends alerts to the channels that are set. It also forgets what retention lets go. Any number of them may run: the work is done once. " +
		"`all` runs the same monitor.\n\n" +
		examples("DATABASE_URL=postgres://… directorybolt dlq-monitor")
}

// Run watches until the context ends.
func (dlqMonitorCmd) Run(ctx context.Context, a *app) error {
	h, err := a.house()
	if err != nil {
		return err
	}
	s, err := h.open(ctx)
	return closing(s, err, func(s backend) error {
		m, err := h.deadLetterMonitor(ctx, s)
		if err != nil {
			return err
		}
		relay, err := h.relay(ctx, s)
		if err != nil {
			return err
		}
		relay = append(relay, retention(s, job.Retention{Finished: h.config.Retention()}, h.log))
		h.log.InfoContext(ctx, "started", "version", thisBuild().Version, "store", storeName(h.config), "interval", h.config.DLQCheckInterval)
		defer h.log.InfoContext(ctx, "stopped")
		defer a.tellManager(ctx)()
		alerting, err := h.alerting(ctx, s)
		if err != nil {
			return err
		}
		probes, err := h.probes(ctx, s, passing(s, job.MonitorDLQ), never)
		if err != nil {
			return err
		}
		return append(append(relay, m.Run, h.lookout(s).Run), append(alerting, probes...)...).run(ctx)
	})
}
