package cli

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/directorybolt/directorybolt/internal/queue/sqs"
)

type queueCreateCmd struct {
	Name       string `arg:"" optional:"" default:"directorybolt" help:"Name of the queue; that of its dead letters gets -dlq."`
	Priorities int    `default:"1" placeholder:"N" help:"A queue for each of N priorities, 1 to 4, so that a flood of starters delays no enterprise."`
	FIFO       bool   `name:"fifo" help:"Make FIFO queues. Hints need no order; standard queues are cheaper and faster."`
	KMSKey     string `name:"kms-key" placeholder:"KEY" help:"Encrypt with this key of KMS instead of the key of SQS."`
	DryRun     bool   `help:"Only show what would be made."`
}

// Help shows how it is typed.
func (queueCreateCmd) Help() string {
	return "Messages are kept 4 days, dead letters 14, the longest there is; a message that was received 20 times is dead. " +
		"A queue that is there already is left as it is. It ends with the settings to use.\n\n" +
		examples("directorybolt queue create directorybolt --dry-run", "directorybolt queue create directorybolt --priorities 2")
}

// queueName is what SQS takes, with room for the endings that are added.
var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,70}$`)

// Run makes the queues.
func (c queueCreateCmd) Run(ctx context.Context, a *app) error {
	if !queueName.MatchString(c.Name) {
		return usage(fmt.Errorf("%q is no name of a queue", c.Name), "letters, digits, - and _, at most 70")
	}
	if c.Priorities < 1 || c.Priorities > 4 {
		return usage(fmt.Errorf("--priorities %d is not from 1 to 4", c.Priorities), "there are 4 priorities")
	}
	h, err := a.errand()
	if err != nil {
		return err
	}
	client, err := h.sqs(ctx)
	if err != nil {
		return err
	}
	steps, err := client.Create(ctx, sqs.Plan{Name: c.Name, Lanes: c.Priorities, FIFO: c.FIFO, KMSKey: c.KMSKey}, c.DryRun)
	if shown := c.show(a, steps); err == nil {
		err = shown
	}
	if err != nil || c.DryRun {
		return err
	}
	var urls []string
	for _, s := range steps[1:] {
		urls = append(urls, s.URL)
	}
	a.say("SQS_QUEUE_URL=%s\nSQS_DLQ_URL=%s", strings.Join(urls, ","), steps[0].URL)
	return nil
}

// show prints each queue and its attributes.
func (c queueCreateCmd) show(a *app, steps []sqs.Step) error {
	return list(a, steps, []string{"QUEUE", "ACT", "URL", "ATTRIBUTES"}, func(s sqs.Step) []string {
		var attributes []string
		for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
			attributes = append(attributes, name+"="+s.Attributes[name])
		}
		act := "left as it is"
		switch {
		case c.DryRun:
			act = "would be made"
		case s.Made:
			act = "made"
		}
		return []string{s.Queue, act, s.URL, strings.Join(attributes, " ")}
	})
}
