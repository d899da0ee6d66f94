package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/deadletter"
)

// messages moves what names no job back to the queue it came from.
func (c dlqRedriveCmd) messages(ctx context.Context, a *app) error {
	h, err := a.errand()
	if err != nil {
		return err
	}
	q, err := h.deadLetters(ctx)
	if err != nil {
		return err
	}
	if q == nil {
		return usage(errors.New("there is no SQS dead letter queue"), "set SQS_DLQ_URL")
	}
	return a.withStore(ctx, func(s backend) error {
		if c.DryRun {
			d, err := s.LetterDepth(ctx)
			if err != nil {
				return err
			}
			return a.printf("would move %s\n", count(int(d.Messages), "message"))
		}
		said := time.Now()
		moved, err := deadletter.Move{Store: s, Queue: q, By: c.by(), Rate: c.Rate, Log: h.log, Tell: func(n int64) {
			if time.Since(said) >= time.Second {
				said = time.Now()
				a.say("moved %s", count(int(n), "message"))
			}
		}}.Run(ctx)
		return c.moved(a, moved, err)
	})
}

func (dlqRedriveCmd) moved(a *app, n int64, err error) error {
	switch {
	case errors.Is(err, deadletter.ErrNamesJobs):
		return remedied(fmt.Errorf("nothing was moved: %w", err), "redrive or purge those first; the dead letter monitor then takes their messages away")
	case err != nil:
		return err
	case n == 0:
		return notFound(errors.New("no messages to move"), "see: directorybolt dlq depth")
	case a.JSON:
		return a.object(struct {
			Moved int64 `json:"moved"`
		}{n})
	}
	return a.printf("moved %s\n", count(int(n), "message"))
}
