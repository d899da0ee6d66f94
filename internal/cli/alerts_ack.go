package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

type alertsAckCmd struct{ named }

// Help shows how it is typed.
func (alertsAckCmd) Help() string {
	return "The channels hear who took it. When the alert grows they are told all the same. " +
		"Acknowledging an alert about parked messages gives these up.\n\n" +
		examples(`directorybolt alerts ack 01932f6c-… --reason "on it"`)
}

// Run acknowledges.
func (c alertsAckCmd) Run(ctx context.Context, a *app) error {
	return c.act(ctx, a, func(s alert.Store, id job.ID, by job.By) (alert.Alert, error) { return alert.Ack(ctx, s, id, by) })
}
