package cli

import (
	"context"
	"errors"

	"github.com/directorybolt/directorybolt/internal/queue/sqs"
)

type queueCheckCmd struct {
	All bool `help:"Also show what is well."`
}

// Help shows how it is typed.
func (queueCheckCmd) Help() string {
	return "It looks at the redrive policy, retention, kinds, encryption, and tries each permission. It changes nothing: one message of each " +
		"queue is received for a moment and given back, which counts as a receive. " +
		"Grades: good; weak, it works with less; bad, a promise cannot be kept; untold, only doing it would tell. The exit status is 5 when anything is bad.\n\n" +
		examples("directorybolt queue check", "directorybolt queue check --json")
}

// Run checks the queues of the settings.
func (c queueCheckCmd) Run(ctx context.Context, a *app) error {
	h, err := a.errand()
	if err != nil {
		return err
	}
	if !h.hints() {
		return usage(errors.New("SQS_QUEUE_URL is not set: the database wakes the workers, and there is no queue to check"),
			"make one with: directorybolt queue create")
	}
	client, err := h.sqs(ctx)
	if err != nil {
		return err
	}
	findings := client.Check(ctx, h.config.SQSDLQURL, h.config.SQSQueueURLs...)
	grades := map[string]int{}
	var shown []sqs.Finding
	for _, f := range findings {
		grades[f.Grade]++
		if c.All || a.JSON || f.Grade != sqs.Good {
			shown = append(shown, f)
		}
	}
	err = list(a, shown, []string{"QUEUE", "GRADE", "ASPECT", "SEEN", "REMEDY"}, func(f sqs.Finding) []string {
		return []string{f.Queue, f.Grade, f.Aspect, f.Seen, f.Remedy}
	})
	if err != nil {
		return err
	}
	a.say("%s: %d good, %d weak, %d bad, %d untold", count(len(findings), "aspect"), grades[sqs.Good], grades[sqs.Weak], grades[sqs.Bad], grades[sqs.Untold])
	if grades[sqs.Bad] > 0 {
		return exitWith(ExitUnhealthy)
	}
	return nil
}
