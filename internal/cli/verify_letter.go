package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/submit"
	"github.com/directorybolt/directorybolt/internal/verify"
)

// letterTrip is the way of one dead letter: a canary fails for good, people hear of it,
// it is redriven, it completes, and the dead letter monitor closes the letter.
type letterTrip struct {
	id      job.ID
	told    time.Duration // from its death until every channel had accepted it
	channel []string      // that took it
	done    time.Duration // from the redrive until it was completed
	closed  time.Duration // and until its letter had its fate

	failed  error // of the way as far as people go; nil: it went well
	settled error // of the monitor's part; nil: it went well
}

const (
	stepWithin  = 45 * time.Second
	closeWithin = 20 * time.Second // a monitor looks every second
)

func (v *verification) deadLetter(ctx context.Context) (string, error) {
	t := v.trip(ctx)
	if t.failed != nil {
		return "", t.failed
	}
	return fmt.Sprintf("%s accepted it after %s, redriven and completed after %s", strings.Join(t.channel, ", "), millis(t.told), millis(t.done)), nil
}

// dlqMonitor looks at the proof of passes, and at what the monitor did: between two looks
// a minute and more may pass, in which it may have died.
func (v *verification) dlqMonitor(ctx context.Context) (string, error) {
	s, err := v.store(ctx)
	if err != nil {
		return "", err
	}
	figure, err := v.watching(ctx, s, job.MonitorDLQ, false)
	if err != nil {
		return figure, err
	}
	t := v.trip(ctx)
	switch {
	case t.settled != nil:
		return figure, t.settled
	case t.closed > 0:
		figure += fmt.Sprintf("; it closed the letter %s after the redrive", millis(t.closed))
	}
	return figure, nil
}

// trip makes the way, once in a run.
func (v *verification) trip(ctx context.Context) *letterTrip {
	if v.letter == nil {
		v.letter = &letterTrip{}
		v.letter.failed = v.letter.make(ctx, v)
	}
	return v.letter
}

func (t *letterTrip) make(ctx context.Context, v *verification) error {
	s, id, err := v.place(ctx, submit.Canary{Directories: 1, Fail: true})
	if err != nil {
		return err
	}
	t.id = id
	j, err := ends(ctx, s, id, stepWithin)
	if err != nil {
		forget(ctx, s, id)
		return err
	}
	if j.State != job.Failed {
		return verify.Failed("deploy workers of this release: they fail canaries that are to fail", "the canary that was to fail is %s", j.State)
	}
	died := time.Now()
	untold := t.hear(ctx, s)
	t.told = time.Since(died)
	// Told or not, no canary is left behind.
	if err := t.redrive(ctx, s); err != nil {
		return err
	}
	return untold
}

// hear waits until people know.
func (t *letterTrip) hear(ctx context.Context, s backend) error {
	const remedy = "run: directorybolt alerts test; docs/runbook.md, Slack is silent"
	begun, err := s.Now(ctx)
	if err != nil {
		return err
	}
	why := "no alert speaks of it"
	for end := time.Now().Add(stepWithin); time.Now().Before(end); {
		a, waiting, err := t.alert(ctx, s)
		if err != nil {
			return err
		}
		backlogs, err := s.Backlogs(ctx)
		if err != nil {
			return err
		}
		t.channel = nil
		shut := map[string]bool{} // refuses everything until a person mends it
		if !slices.ContainsFunc(backlogs, func(b alert.Backlog) bool { return b.Target != "" }) {
			return verify.Failed("set SLACK_WEBHOOK_URL where alerts are sent (all, stale-monitor, dlq-monitor), then: directorybolt alerts test", "no alert channel is set: nobody hears of anything")
		}
		for _, b := range backlogs {
			shut[b.Name] = !b.HeldAt.IsZero()
			// The letter is older than begun by the moment it took to see it.
			if b.GoodAt.After(begun.Add(-time.Second)) {
				t.channel = append(t.channel, b.Name)
			}
		}
		switch {
		case a == nil:
		case a.SaidAt.IsZero():
			why = "no channel is set, or no process sends alerts"
		case len(waiting) == 0 && len(t.channel) > 0:
			return nil
		case len(waiting) == 0:
			why = "no channel that is set hears of canaries: Slack, a webhook and mail do"
		default:
			why = fmt.Sprintf("%s has not accepted it", waiting[0].Channel)
			if waiting[0].Error != "" {
				why += ": " + waiting[0].Error
			}
			if waiting[0].Attempts >= 2 || shut[waiting[0].Channel] {
				return verify.Failed(remedy, "%s", why)
			}
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return verify.Failed(remedy, "nobody heard of the dead letter in %s: %s", stepWithin, why)
}

// alert is the one that speaks of the letter, nil: none does yet; and its messages that no
// channel has accepted.
func (t *letterTrip) alert(ctx context.Context, s backend) (*alert.Alert, []alert.Delivery, error) {
	all, err := s.Alerts(ctx, alert.Filter{Kind: job.AlertDeadLetters, All: true, Limit: 200})
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(all, func(a alert.Alert) bool {
		return a.Canary && slices.ContainsFunc(a.Samples, func(s alert.Sample) bool { return s.JobID == t.id })
	})
	if i < 0 {
		return nil, nil, nil
	}
	waiting, err := s.Undelivered(ctx, 1000)
	waiting = slices.DeleteFunc(waiting, func(d alert.Delivery) bool { return d.AlertID != all[i].ID })
	return &all[i], waiting, err
}

// redrive sends the letter's job back to work, and waits for its end and for its fate.
func (t *letterTrip) redrive(ctx context.Context, s backend) error {
	letter, err := s.Letter(ctx, t.id)
	if err != nil {
		return err
	}
	begun := time.Now()
	moved, err := s.RedriveLetters(ctx, []job.ID{letter.ID}, job.By{Actor: defaultActor(), Reason: "verify: this canary was to fail once"})
	if err != nil {
		return err
	}
	if len(moved) != 1 {
		return verify.Failed("run: directorybolt dlq show "+letter.ID.String(), "the letter was not redriven")
	}
	j, err := ends(ctx, s, t.id, stepWithin)
	if err != nil {
		forget(ctx, s, t.id)
		return err
	}
	t.done = time.Since(begun)
	if j.State != job.Completed {
		return verify.Failed("run: directorybolt jobs history "+t.id.String(), "redriven, the canary is %s: %s", j.State, j.Cause)
	}
	t.settled = t.close(ctx, s, letter.ID, begun)
	return nil
}

// close waits until the monitor has given the letter its fate.
func (t *letterTrip) close(ctx context.Context, s backend, letter job.ID, begun time.Time) error {
	for end := time.Now().Add(closeWithin); time.Now().Before(end); {
		l, err := s.Letter(ctx, letter)
		if err != nil {
			return err
		}
		if l.Fate == job.FateDone {
			t.closed = time.Since(begun)
			return nil
		}
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return verify.Failed("start one: directorybolt dlq-monitor", "no dead letter monitor closed the letter that was redriven and done")
}
