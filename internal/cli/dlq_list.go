package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqListCmd struct {
	letterFlags
	All    bool   `help:"Also letters that were decided, with what became of them."`
	Groups bool   `help:"Count by reason instead: how many, since when, worth what."`
	Limit  int    `default:"50" placeholder:"N" help:"At most so many, up to 999; ${default} unless told."`
	Before string `placeholder:"ID" help:"Only letters older than this one, by the letter's id: the next page."`
}

// Help shows how it is typed.
func (dlqListCmd) Help() string {
	return examples(
		"directorybolt dlq list",
		"directorybolt dlq list --groups",
		"directorybolt dlq list --signature 5f2c81d09a --since 24h --json",
	)
}

// Run prints a page of letters, or the groups.
func (c dlqListCmd) Run(ctx context.Context, a *app) error {
	if c.Limit < 1 || c.Limit > 999 {
		return usage(fmt.Errorf("--limit %d is out of range", c.Limit), "1 to 999; --before shows the next page")
	}
	return a.withStore(ctx, func(s backend) error {
		f, err := c.filter(ctx, s)
		if err != nil {
			return err
		}
		f.Decided = c.All
		if c.Groups {
			return c.groups(ctx, a, s, f)
		}
		if c.Before != "" {
			if f.Before, err = parseID("a letter", c.Before); err != nil {
				return err
			}
		}
		return c.page(ctx, a, s, f)
	})
}

func (c dlqListCmd) page(ctx context.Context, a *app, s backend, f job.LetterFilter) error {
	f.Limit = c.Limit + 1 // one more than asked for tells whether there is another page
	letters, err := s.Letters(ctx, f)
	if err != nil {
		return err
	}
	more := len(letters) > c.Limit
	letters = letters[:min(len(letters), c.Limit)]
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	for i := range letters {
		letters[i].Body = nil // dlq show has it
	}
	header := []string{"JOB", "KIND", "DIED", "AGO", "VALUE", "TRIES", "REDRIVES", "DONE", "GROUP", "CAUSE"}
	if c.All {
		header = append(header, "FATE")
	}
	if err := list(a, letters, header, func(l job.Letter) []string { return c.row(l, now) }); err != nil {
		return err
	}
	switch {
	case len(letters) == 0:
		a.say("no dead letters")
	case more:
		a.say("more: add --before %s", letters[len(letters)-1].ID)
	case !c.All:
		a.say("%s, %s at risk", count(len(letters), "dead letter"), dollars(valueOfLetters(letters)))
	}
	return nil
}

// valueOfLetters is what was paid for their jobs. Canaries carry no money.
func valueOfLetters(letters []job.Letter) (cents int64) {
	for _, l := range letters {
		if !l.Canary {
			cents += l.ValueCents
		}
	}
	return cents
}

func (c dlqListCmd) row(l job.Letter, now time.Time) []string {
	row := []string{
		nameOf(l), l.Kind, stamp(l.At), span(now.Sub(l.At)), dollars(l.ValueCents), strconv.Itoa(l.Attempts), strconv.Itoa(l.Redrives),
		directoriesOf(l), l.GroupID(), cut(plain(l.Cause), 60),
	}
	if c.All {
		row = append(row, string(l.Fate))
	}
	return row
}

// nameOf is the id by which people ask for a letter: its job's, or its own.
func nameOf(l job.Letter) string {
	if l.JobID == (job.ID{}) {
		return l.ID.String()
	}
	return l.JobID.String()
}

// directoriesOf is "12 of 50", empty where there are none.
func directoriesOf(l job.Letter) string {
	if l.Done+l.Left == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", l.Done, l.Done+l.Left)
}

func (dlqListCmd) groups(ctx context.Context, a *app, s backend, f job.LetterFilter) error {
	groups, err := s.LetterGroups(ctx, f)
	if err != nil {
		return err
	}
	if err := tellGroups(a, groups); err != nil {
		return err
	}
	if len(groups) == 0 {
		a.say("no dead letters")
	}
	return nil
}

// tellGroups prints a histogram of reasons.
func tellGroups(a *app, groups []job.LetterGroup) error {
	header := []string{"GROUP", "COUNT", "VALUE", "CUSTOMERS", "OLDEST", "NEWEST", "EXAMPLE", "REASON"}
	return list(a, groups, header, func(g job.LetterGroup) []string {
		return []string{
			g.Group, strconv.FormatInt(g.Count, 10), dollars(g.ValueCents), strconv.FormatInt(g.Customers, 10), stamp(g.Oldest),
			stamp(g.Newest), idOrNone(g.JobID), cut(plain(g.Signature), 80),
		}
	})
}
