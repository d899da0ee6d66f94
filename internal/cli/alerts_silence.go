package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

type alertsSilenceCmd struct {
	named
	For time.Duration `placeholder:"DURATION" required:"" help:"How long: 30m, 8h; 720h at most."`
}

// longestSilence bounds a silence: what nobody remembers must end by itself.
const longestSilence = 720 * time.Hour

// Help shows how it is typed.
func (alertsSilenceCmd) Help() string {
	return "The silence is about the group: if the trouble ends and comes back meanwhile, nothing is said either. " +
		"What is still open when it ends is told then.\n\n" +
		examples(`directorybolt alerts silence 01932f6c-… --for 8h --reason "directory is rebuilt tonight"`)
}

// Run silences.
func (c alertsSilenceCmd) Run(ctx context.Context, a *app) error {
	if c.For <= 0 || c.For > longestSilence {
		return usage(fmt.Errorf("--for %s is out of range", c.For), "more than nothing, 720h at most")
	}
	if c.Reason == "" {
		return usage(errors.New("a silence needs a reason"), `add --reason "…": whoever finds it in a week must know why`)
	}
	return c.act(ctx, a, func(s alert.Store, id job.ID, by job.By) (alert.Alert, error) {
		return alert.SilenceFor(ctx, s, id, c.For, by)
	})
}

type alertsUnsilenceCmd struct{ named }

// Help shows how it is typed.
func (alertsUnsilenceCmd) Help() string {
	return examples("directorybolt alerts unsilence 01932f6c-…")
}

// Run ends a silence.
func (c alertsUnsilenceCmd) Run(ctx context.Context, a *app) error {
	return c.act(ctx, a, func(s alert.Store, id job.ID, by job.By) (alert.Alert, error) {
		return alert.Unsilence(ctx, s, id, by)
	})
}
