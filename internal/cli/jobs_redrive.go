package cli

import (
	"context"
)

type jobsRedriveCmd struct {
	manyJobs
	Force bool `help:"Also jobs that were redriven REDRIVE_CAP times already."`
}

// Help shows how it is typed.
func (jobsRedriveCmd) Help() string {
	return "The same as dlq redrive. The history stays, and so do the submissions: what was sent is not sent again.\n\n" +
		examples(`directorybolt jobs redrive 01932f6c-… --reason "site is back"`)
}

// Run redrives the jobs.
func (c jobsRedriveCmd) Run(ctx context.Context, a *app) error {
	return dlqRedriveCmd{IDs: c.IDs, Force: c.Force, acting: c.acting}.Run(ctx, a)
}
