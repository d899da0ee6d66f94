package alert

import (
	"context"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Ack records that somebody takes care of an alert: no more reminders. ErrState when
// it is resolved.
func Ack(ctx context.Context, s Store, id job.ID, by job.By) (Alert, error) {
	return act(ctx, s, job.EventAlertAcknowledged, id, by, func(a *Alert, now time.Time) {
		a.AckedAt, a.AckedBy, a.AckReason, a.AckSaid = now, job.OneLine(by.Actor, 100), job.OneLine(by.Reason, mostText), false
		if a.State == Open {
			a.State = Acked
		}
	})
}

// SilenceFor keeps the alert's group quiet for a while. ErrState when it is resolved.
func SilenceFor(ctx context.Context, s Store, id job.ID, d time.Duration, by job.By) (Alert, error) {
	return act(ctx, s, job.EventAlertSilenced, id, by, func(a *Alert, now time.Time) {
		a.State, a.Silence = Silenced, &Silence{Until: now.Add(d), By: job.OneLine(by.Actor, 100), Reason: job.OneLine(by.Reason, mostText)}
	})
}

// Unsilence ends a silence before its time.
func Unsilence(ctx context.Context, s Store, id job.ID, by job.By) (Alert, error) {
	return act(ctx, s, job.EventAlertUnsilenced, id, by, func(a *Alert, _ time.Time) {
		a.Silence = nil
		if a.State == Silenced && a.AckedAt.IsZero() {
			a.State = Open
		} else if a.State == Silenced {
			a.State = Acked
		}
	})
}

// act changes one alert and writes into the history who did so, and why.
func act(ctx context.Context, s Store, typ string, id job.ID, by job.By, change func(*Alert, time.Time)) (a Alert, err error) {
	err = s.Update(ctx, func(tx Tx) error {
		if a, err = tx.Alert(id); err != nil {
			return err
		}
		if a.State == Resolved {
			return job.ErrState
		}
		change(&a, tx.Now())
		a.SayAt = tx.Now()
		if err := tx.SaveAlert(a); err != nil {
			return err
		}
		if typ == job.EventAlertAcknowledged { // a person has seen what was parked
			if err := tx.DropParked(id, a.parkedChannel()); err != nil {
				return err
			}
		}
		return tx.Tell(eventOf(typ, a, by), nil)
	})
	if err != nil {
		return Alert{}, fmt.Errorf("record %s of %s: %w", typ, id, err)
	}
	return a, nil
}
