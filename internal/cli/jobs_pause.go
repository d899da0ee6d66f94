package cli

import (
	"context"

	"github.com/directorybolt/directorybolt/internal/job"
)

// scoped is embedded by commands about a pause.
type scoped struct {
	All      bool   `xor:"scope" required:"" help:"Every job."`
	Kind     string `xor:"scope" required:"" placeholder:"KIND" help:"Jobs of this kind."`
	Customer string `xor:"scope" required:"" placeholder:"CUSTOMER" help:"Jobs of this customer, by id or e-mail address."`
	acting
}

func (c scoped) scope(ctx context.Context, s backend) (scope job.Scope, err error) {
	scope = job.Scope{All: c.All, Kind: c.Kind}
	if c.Customer != "" {
		if scope.Customer, err = customerID(ctx, s, c.Customer); err != nil {
			return scope, err
		}
	}
	if err := scope.Validate(); err != nil {
		return scope, usage(err, "give one of --all, --kind or --customer")
	}
	return scope, nil
}

type jobsPauseCmd struct {
	Scoped scoped `embed:""`
}

// Help shows how it is typed.
func (jobsPauseCmd) Help() string {
	return "Running jobs finish. Pausing twice is no error; the first pause stands, with its reason.\n\n" +
		examples(`directorybolt jobs pause --all --reason "database move"`, "directorybolt jobs pause --kind recheck")
}

// Run pauses the scope.
func (c jobsPauseCmd) Run(ctx context.Context, a *app) error {
	return a.withStore(ctx, func(s backend) error {
		scope, err := c.Scoped.scope(ctx, s)
		if err != nil {
			return err
		}
		before, err := pauseOf(ctx, s, scope)
		if err != nil {
			return err
		}
		if err := s.Pause(ctx, scope, c.Scoped.by()); err != nil {
			return err
		}
		if before != nil {
			a.say("%s was paused already, since %s by %s%s; that stands, and nothing is kept of this pause (jobs resume ends it)",
				scope.Key(), stamp(before.At), plain(before.By.Actor), because(before.By.Reason))
		}
		return tellScope(a, scope, "paused", before)
	})
}

// pauseOf is the pause of a scope, nil when it has none.
func pauseOf(ctx context.Context, s backend, scope job.Scope) (*job.Pause, error) {
	pauses, err := s.Pauses(ctx)
	for _, p := range pauses {
		if p.Scope == scope {
			return &p, err
		}
	}
	return nil, err
}

// tellScope says what was done; before is the pause that the scope had already.
func tellScope(a *app, s job.Scope, done string, before *job.Pause) error {
	if a.JSON {
		return a.object(struct {
			Scope  string     `json:"scope"`
			Done   string     `json:"done"`
			Before *job.Pause `json:"before,omitempty"`
		}{s.Key(), done, before})
	}
	return a.printf("%s %s\n", done, s.Key())
}
