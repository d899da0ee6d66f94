package cli

import (
	"context"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/job"
)

type jobsHistoryCmd struct{ oneJob }

// Help shows how it is typed.
func (jobsHistoryCmd) Help() string {
	return examples("directorybolt jobs history 01932f6c-…", "directorybolt jobs history 01932f6c-… --json")
}

// Run prints the events of the job.
func (c jobsHistoryCmd) Run(ctx context.Context, a *app) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		if _, err := s.Job(ctx, id); err != nil {
			return missing(id, err)
		}
		events, err := s.History(ctx, id)
		if err != nil {
			return missing(id, err)
		}
		return list(a, events, []string{"AT", "EVENT", "FENCE", "DIRECTORY", "FROM → TO", "WHO", "CAUSE"}, eventRow)
	})
}

func eventRow(e job.Event) []string {
	fence := ""
	if e.Fence > 0 {
		fence = strconv.FormatInt(e.Fence, 10)
	}
	return []string{
		e.At.UTC().Format("2006-01-02 15:04:05.000Z"), e.Type, fence, e.Directory, fromTo(e.From, e.To), e.Actor,
		cut(plain(e.Cause), 80),
	}
}

func fromTo(from, to string) string {
	switch {
	case from == "":
		return to
	case to == "":
		return from
	}
	return from + " → " + to
}
