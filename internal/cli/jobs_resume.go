package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/job"
)

type jobsResumeCmd struct {
	Scoped scoped `embed:""`
}

// Help shows how it is typed.
func (jobsResumeCmd) Help() string {
	return examples("directorybolt jobs resume --all", "directorybolt jobs resume --kind recheck")
}

// Run ends the pause.
func (c jobsResumeCmd) Run(ctx context.Context, a *app) error {
	return a.withStore(ctx, func(s backend) error {
		scope, err := c.Scoped.scope(ctx, s)
		if err != nil {
			return err
		}
		switch err := s.Resume(ctx, scope, c.Scoped.by()); {
		case errors.Is(err, job.ErrNotFound):
			return notFound(fmt.Errorf("%s is not paused", scope.Key()), "")
		case err != nil:
			return err
		}
		return tellScope(a, scope, "resumed", nil)
	})
}
