package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/directorybolt/directorybolt/internal/job"
)

type jobsCmd struct {
	List    jobsListCmd    `cmd:"" help:"List jobs, newest first."`
	Show    jobsShowCmd    `cmd:"" help:"Show one job and how far its directories are."`
	History jobsHistoryCmd `cmd:"" help:"Tell the story of a job, oldest first."`
	Results jobsResultsCmd `cmd:"" help:"Show what came of each directory of an order."`
	Cancel  jobsCancelCmd  `cmd:"" help:"Cancel pending or running jobs."`
	Redrive jobsRedriveCmd `cmd:"" help:"Give failed jobs new budgets and make them pending."`
	Pause   jobsPauseCmd   `cmd:"" help:"Stop handing out jobs of a customer, a kind, or all."`
	Resume  jobsResumeCmd  `cmd:"" help:"End a pause."`
}

// Help says what all of them have in common.
func (jobsCmd) Help() string {
	return examples("directorybolt jobs list --state failed", "directorybolt jobs history ID")
}

// oneJob is embedded by commands about one job.
type oneJob struct {
	ID string `arg:"" name:"id" help:"The job's id."`
}

func (c oneJob) id() (job.ID, error) { return parseID("a job", c.ID) }

// printers are the commands that print the ids of things.
var printers = map[string]string{
	"a job": "jobs list", "a letter": "dlq list --json", "a journal entry": "dlq journal", "an alert": "alerts list --json",
}

// parseID reads an id that a person typed.
func parseID(noun, s string) (job.ID, error) {
	id, err := uuid.Parse(s)
	if err != nil || id == uuid.Nil { // nobody's id would be no filter
		return job.ID{}, usage(fmt.Errorf("%q is not the id of %s", s, noun), "ids are printed by: directorybolt "+printers[noun])
	}
	return id, nil
}

// missing turns a store's ErrNotFound into a sentence about the job.
func missing(id job.ID, err error) error {
	if errors.Is(err, job.ErrNotFound) {
		return notFound(fmt.Errorf("no job %s", id), "see: directorybolt jobs list")
	}
	return err
}

// manyJobs is embedded by commands that act on jobs.
type manyJobs struct {
	IDs []string `arg:"" name:"id" help:"Ids of jobs."`
	acting
}

// each does the act to every job and says how it went. Acts that were refused do
// not keep the others from being done.
func (c manyJobs) each(ctx context.Context, a *app, done string, act func(backend, job.ID) error) error {
	ids := make([]job.ID, len(c.IDs))
	for i, s := range c.IDs {
		id, err := parseID("a job", s)
		if err != nil {
			return err
		}
		ids[i] = id
	}
	return a.withStore(ctx, func(s backend) error {
		var faults []error
		for _, id := range ids {
			if err := missing(id, act(s, id)); err != nil {
				faults = append(faults, refused(ctx, s, id, err))
				continue
			}
			if err := c.tell(a, id, done); err != nil {
				return err
			}
		}
		return summed(a, faults, len(ids))
	})
}

func (manyJobs) tell(a *app, id job.ID, done string) error {
	if a.JSON {
		return a.object(acted{id, done})
	}
	return a.printf("%s %s\n", done, id)
}

// acted answers an act in JSON.
type acted struct {
	ID   job.ID `json:"id"`
	Done string `json:"done"`
}

// refused explains ErrState: which state the job is in, where to read why.
func refused(ctx context.Context, s backend, id job.ID, err error) error {
	if !errors.Is(err, job.ErrState) {
		return err
	}
	j, found := s.Job(ctx, id)
	if found != nil {
		return err
	}
	return remedied(fmt.Errorf("job %s is %s: %w", id, j.State, job.ErrState), "see: directorybolt jobs history "+id.String())
}

// summed is the one error itself, or a status that tells all from some.
func summed(a *app, faults []error, of int) error {
	if len(faults) == 0 {
		return nil
	}
	if of == 1 {
		return faults[0]
	}
	for _, err := range faults {
		a.complain(err)
	}
	if len(faults) < of {
		return exitWith(ExitPartly)
	}
	return exitWith(statusOf(faults[0]))
}
