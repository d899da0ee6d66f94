package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

type jobsRedriveCmd struct{ manyJobs }

// Help shows how it is typed.
func (jobsRedriveCmd) Help() string {
	return "The history stays, and so do the submissions: what was sent is not sent again.\n\n" +
		examples(`directorybolt jobs redrive 01932f6c-… --reason "site is back"`)
}

// Run redrives the jobs.
func (c jobsRedriveCmd) Run(ctx context.Context, a *app) error {
	return c.each(ctx, a, "redriven", func(s backend, id job.ID) error { return s.Redrive(ctx, id, c.by()) })
}
