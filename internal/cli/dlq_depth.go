package cli

import (
	"context"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqDepthCmd struct{}

// Help shows how it is typed.
func (dlqDepthCmd) Help() string {
	return examples("directorybolt dlq depth", "directorybolt dlq depth --json | jq .open")
}

// Run prints the numbers.
func (dlqDepthCmd) Run(ctx context.Context, a *app) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		d, err := s.LetterDepth(ctx)
		if err != nil {
			return err
		}
		passes, err := s.MonitorPasses(ctx)
		if err != nil {
			return err
		}
		now, err := s.Now(ctx)
		if err != nil {
			return err
		}
		if err := tellDepth(a, d); err != nil {
			return err
		}
		a.say("%s", watchedBy(job.MonitorDLQ, passes, now, settings.DLQCheckInterval))
		if fault := blindness(passes); fault != "" {
			a.say("the dead letter queue is not seen: %s", fault)
		}
		return nil
	})
}

func tellDepth(a *app, d job.LetterDepth) error {
	if a.JSON {
		return a.object(d)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return table(a.stdout, []string{"open", number(d.Open)}, withoutBlank([][]string{
		{"value", dollars(d.ValueCents)},
		{"customers", number(d.Customers)},
		{"without a job", number(d.Messages)},
		{"canaries", number(d.Canaries)},
		{"redriven, outcome not known", number(d.InFlight)},
		{"oldest", stamp(d.Oldest)},
		{"newest", stamp(d.Newest)},
	}))
}

// blindness is why the latest look into the dead letter queue failed; empty: it did not,
// or there is no queue.
func blindness(passes []job.MonitorPass) string {
	for _, p := range passes { // the latest first
		if p.Monitor == job.MonitorDLQLook {
			return p.Error
		}
	}
	return ""
}
