package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/directorybolt/directorybolt/internal/directory"
)

type jobsResultsCmd struct {
	oneJob
	State *string `placeholder:"STATE" enum:"planned,submitting,submitted,live,rejected,failed,skipped,needs_action,uncertain" help:"Only directories in this state."`
}

// Help shows how it is typed.
func (jobsResultsCmd) Help() string {
	return examples(
		"directorybolt jobs results 01932f6c-…",
		"directorybolt jobs results 01932f6c-… --state needs_action",
		"directorybolt jobs results 01932f6c-… --json | jq -r .listing_url",
	)
}

// Run prints the submissions of the order.
func (c jobsResultsCmd) Run(ctx context.Context, a *app) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		j, err := s.Job(ctx, id)
		if err != nil {
			return missing(id, err)
		}
		subs, err := s.Submissions(ctx, id)
		if err != nil {
			return err
		}
		wanted := make([]directory.Submission, 0, len(subs))
		for _, sub := range subs {
			if c.State == nil || string(sub.State) == *c.State {
				wanted = append(wanted, sub)
			}
		}
		if err := results(a, wanted); err != nil {
			return err
		}
		a.say("%s", booksOf(subs, j))
		return nil
	})
}

// results prints submissions.
func results(a *app, subs []directory.Submission) error {
	return list(a, subs, []string{"#", "DIRECTORY", "OUTCOME", "TRIES", "LISTING OR REASON"}, resultRow)
}

func resultRow(s directory.Submission) []string {
	return []string{strconv.Itoa(s.Rank), s.Directory, outcomeWord(s), strconv.Itoa(s.Tries), cut(plain(whatCame(s)), 100)}
}

func outcomeWord(s directory.Submission) string {
	if s.Replaced {
		return string(s.State) + " (replaced)"
	}
	return string(s.State)
}

// whatCame is the most useful thing to say about a submission: where it stands,
// what a person must do, or why not.
func whatCame(s directory.Submission) string {
	switch {
	case s.Need != "":
		return strings.Join(slices.DeleteFunc([]string{s.Need, s.Reason, s.ListingURL}, func(w string) bool { return w == "" }), ", ")
	case s.ListingURL != "":
		return s.ListingURL
	case s.Reason != "":
		return s.Reason
	case s.Evidence != nil:
		return s.Evidence.Excerpt
	}
	return s.Class
}
