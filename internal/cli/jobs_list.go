package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/job"
)

type jobsListCmd struct {
	State    *string `enum:"pending,in_progress,completed,failed,cancelled" placeholder:"STATE" help:"Only jobs in this state: pending, in_progress, completed, failed or cancelled."`
	Kind     string  `placeholder:"KIND" help:"Only jobs of this kind: order, recheck, …"`
	Customer string  `placeholder:"CUSTOMER" help:"Only jobs of this customer, by id or e-mail address."`
	Canaries bool    `help:"Also show canaries."`
	Limit    int     `default:"50" placeholder:"N" help:"At most so many, up to 999; ${default} unless told."`
	Before   string  `placeholder:"ID" help:"Only jobs older than this one: the next page."`
}

// Help shows how it is typed.
func (jobsListCmd) Help() string {
	return examples(
		"directorybolt jobs list --state failed",
		"directorybolt jobs list --kind order --limit 200 --json",
		"directorybolt jobs list --before 01932f6c-…",
	)
}

// Run prints a page of jobs.
func (c jobsListCmd) Run(ctx context.Context, a *app) error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		if c.Customer != "" {
			if f.Customer, err = customerID(ctx, s, c.Customer); err != nil {
				return err
			}
		}
		// One more than asked for tells whether there is another page.
		f.Limit++
		jobs, err := s.Jobs(ctx, f)
		if err != nil {
			return err
		}
		more := len(jobs) > c.Limit
		if more {
			jobs = jobs[:c.Limit]
		}
		for i := range jobs {
			jobs[i].Payload = nil // a profile; jobs show --payload has it
		}
		header := []string{"ID", "KIND", "STATE", "PRIORITY", "PACKAGE", "FAILURES", "CRASHES", "CREATED", "CAUSE"}
		if err := list(a, jobs, header, jobRow); err != nil {
			return err
		}
		switch {
		case len(jobs) == 0:
			a.say("no jobs")
		case more:
			a.say("more: add --before %s", jobs[len(jobs)-1].ID)
		}
		return nil
	})
}

// filter is what the flags say, but for the customer, whom the store knows.
func (c jobsListCmd) filter() (f job.Filter, err error) {
	f = job.Filter{State: job.State(valueOf(c.State)), Kind: c.Kind, Canaries: c.Canaries, Limit: c.Limit}
	if c.Limit < 1 || c.Limit > 999 {
		return f, usage(fmt.Errorf("--limit %d is out of range", c.Limit), "1 to 999; --before shows the next page")
	}
	if c.Before != "" {
		f.Before, err = parseID("a job", c.Before)
	}
	return f, err
}

func jobRow(j job.Job) []string {
	return []string{
		j.ID.String(), j.Kind, string(j.State), strconv.Itoa(j.Priority), j.Package,
		fmt.Sprintf("%d/%d", j.Failures, j.MaxAttempts), fmt.Sprintf("%d/%d", j.Crashes, j.CrashBudget),
		stamp(j.CreatedAt), cut(plain(causeOf(j)), 60),
	}
}

// causeOf is why a job is in its state, as far as the job knows. A job that got
// through keeps its last failure, which is not why it is completed.
func causeOf(j job.Job) string {
	if j.State == job.Completed {
		return ""
	}
	return j.Cause
}
