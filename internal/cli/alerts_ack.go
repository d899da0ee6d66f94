package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

type alertsAckCmd struct {
	IDs []string `arg:"" name:"id" help:"Ids of alerts, as alerts list shows them."`
	acting
}

// Help shows how it is typed.
func (alertsAckCmd) Help() string {
	return "The channels hear who took it. When the alert grows they are told all the same. " +
		"Acknowledging an alert about parked messages gives these up.\n\n" +
		examples(`directorybolt alerts ack 01932f6c-… --reason "on it"`)
}

// Run acknowledges.
func (c alertsAckCmd) Run(ctx context.Context, a *app) error {
	return c.on(ctx, a, c.IDs, func(s alert.Store, id job.ID, by job.By) (alert.Alert, error) { return alert.Ack(ctx, s, id, by) })
}
