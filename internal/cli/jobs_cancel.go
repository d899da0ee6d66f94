package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

type jobsCancelCmd struct{ manyJobs }

// Help shows how it is typed.
func (jobsCancelCmd) Help() string {
	return "A running job's worker learns with its next heartbeat; what it sent already is not taken back.\n\n" +
		examples(`directorybolt jobs cancel 01932f6c-… --reason "customer asked"`)
}

// Run cancels the jobs.
func (c jobsCancelCmd) Run(ctx context.Context, a *app) error {
	return c.each(ctx, a, "cancelled", func(s backend, id job.ID) error { return s.Cancel(ctx, id, c.by()) })
}
