package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqJournalCmd struct {
	Limit  int    `default:"50" placeholder:"N" help:"At most so many, up to 1000; ${default} unless told."`
	Before string `placeholder:"ID" help:"Only entries older than this one: the next page."`
}

// Help shows how it is typed.
func (dlqJournalCmd) Help() string {
	return examples("directorybolt dlq journal", "directorybolt dlq journal --json | jq .reason")
}

// Run prints the entries, the latest first.
func (c dlqJournalCmd) Run(ctx context.Context, a *app) (err error) {
	if c.Limit < 1 || c.Limit > 1000 {
		return usage(fmt.Errorf("--limit %d is out of range", c.Limit), "1 to 1000; --before shows the next page")
	}
	before := job.ID{}
	if c.Before != "" {
		if before, err = parseID("a journal entry", c.Before); err != nil {
			return err
		}
	}
	return a.withStore(ctx, func(s backend) error {
		entries, err := s.Journal(ctx, before, c.Limit)
		if err != nil {
			return err
		}
		header := []string{"AT", "WHO", "ACT", "COUNT", "VALUE", "WHY", "WHAT", "ID"}
		return list(a, entries, header, func(e job.JournalEntry) []string {
			what := e.Subject
			if len(e.JobIDs) > 0 {
				what = e.JobIDs[0].String()
			}
			if len(e.JobIDs) > 1 {
				what += " …"
			}
			return []string{
				stamp(e.At), e.By.Actor, e.Act, strconv.FormatInt(e.Count, 10), dollars(e.ValueCents), cut(e.By.Reason, 60), what, e.ID.String(),
			}
		})
	})
}
