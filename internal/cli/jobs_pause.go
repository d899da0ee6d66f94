package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

// scoped is embedded by commands about a pause.
type scoped struct {
	All      bool   `xor:"scope" required:"" help:"Every job."`
	Kind     string `xor:"scope" required:"" placeholder:"KIND" help:"Jobs of this kind."`
	Customer string `xor:"scope" required:"" placeholder:"ID" help:"Jobs of this customer."`
	acting
}

func (c scoped) scope() (job.Scope, error) {
	s := job.Scope{All: c.All, Kind: c.Kind}
	if c.Customer != "" {
		id, err := parseID("customer", c.Customer)
		if err != nil {
			return s, err
		}
		s.Customer = id
	}
	if err := s.Validate(); err != nil {
		return s, usage(err, "give one of --all, --kind or --customer")
	}
	return s, nil
}

type jobsPauseCmd struct {
	Scoped scoped `embed:""`
}

// Help shows how it is typed.
func (jobsPauseCmd) Help() string {
	return "Running jobs finish. Pausing twice is no error.\n\n" +
		examples(`directorybolt jobs pause --all --reason "database move"`, "directorybolt jobs pause --kind recheck")
}

// Run pauses the scope.
func (c jobsPauseCmd) Run(ctx context.Context, a *app) error {
	scope, err := c.Scoped.scope()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		if err := s.Pause(ctx, scope, c.Scoped.by()); err != nil {
			return err
		}
		return tellScope(a, scope, "paused")
	})
}

func tellScope(a *app, s job.Scope, done string) error {
	if a.JSON {
		return a.object(struct {
			Scope string `json:"scope"`
			Done  string `json:"done"`
		}{s.Key(), done})
	}
	return a.printf("%s %s\n", done, s.Key())
}
