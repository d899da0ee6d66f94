package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
)

type alertsCmd struct {
	List      alertsListCmd      `cmd:"" help:"List alerts, and what is still on its way to a channel."`
	Test      alertsTestCmd      `cmd:"" help:"Send a test message on each channel and say what came of it."`
	Ack       alertsAckCmd       `cmd:"" help:"Say that somebody takes care of an alert: no more reminders."`
	Silence   alertsSilenceCmd   `cmd:"" help:"Say nothing about a group of alerts for a while."`
	Unsilence alertsUnsilenceCmd `cmd:"" help:"End a silence before its time."`
}

// Help says what all of them have in common.
func (alertsCmd) Help() string {
	return "An alert is a trouble that a person must know of; equal ones are one alert. `all`, `dlq-monitor` and `stale-monitor` send alerts to the channels " +
		"that are set, each until the channel has accepted it.\n\n" +
		examples("directorybolt alerts test", "directorybolt alerts list", `directorybolt alerts ack ID --reason "on it"`)
}

// named is embedded by commands about one alert.
type named struct {
	ID string `arg:"" name:"id" help:"Id of the alert, as alerts list shows it."`
	acting
}

// act changes the alert and says what it is now.
func (c named) act(ctx context.Context, a *app, change func(s alert.Store, id job.ID, by job.By) (alert.Alert, error)) error {
	return c.on(ctx, a, []string{c.ID}, change)
}

// on changes alerts, each for itself, and says what they are now.
func (c acting) on(ctx context.Context, a *app, texts []string, change func(s alert.Store, id job.ID, by job.By) (alert.Alert, error)) error {
	ids := make([]job.ID, len(texts))
	for i, text := range texts {
		var err error
		if ids[i], err = parseID("an alert", text); err != nil {
			return err
		}
	}
	return a.withStore(ctx, func(s backend) error {
		var faults []error
		for _, id := range ids {
			changed, err := change(s, id, c.by())
			switch {
			case errors.Is(err, job.ErrNotFound):
				faults = append(faults, notFound(fmt.Errorf("no alert %s", id), "see: directorybolt alerts list --all"))
				continue
			case errors.Is(err, job.ErrState):
				faults = append(faults, remedied(fmt.Errorf("alert %s is resolved", id), "there is nothing left to do about it"))
				continue
			case err != nil:
				return err
			}
			if err := c.tell(a, changed); err != nil {
				return err
			}
		}
		return summed(a, faults, len(ids))
	})
}

func (acting) tell(a *app, changed alert.Alert) error {
	if a.JSON {
		return a.object(changed)
	}
	return a.printf("%s\n", outlookOf(changed))
}

// outlookOf says in a sentence how an alert stands.
func outlookOf(a alert.Alert) string {
	switch {
	case a.State == alert.Silenced:
		return fmt.Sprintf("alert %s is silenced until %s", a.ID, stamp(a.Silence.Until))
	case a.State == alert.Acked:
		return fmt.Sprintf("alert %s is acknowledged by %s", a.ID, a.AckedBy)
	}
	return fmt.Sprintf("alert %s is %s", a.ID, a.State)
}
