package cli

import (
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
)

// verdict is what the sandbox, which knows nothing of us, saw of one business.
type verdict struct {
	Directories int              `json:"directories"` // of the sandbox
	Posts       int              `json:"posts"`       // that began to arrive
	Accepted    int              `json:"accepted"`    // times a directory took the business in
	Doubles     []sandbox.Double `json:"doubles"`     // directories that took it in more than once
	Missing     []string         `json:"missing"`     // reported as submitted, but the directory does not have it
	Once        bool             `json:"once"`        // neither doubles nor missing ones
}

func judge(w sandbox.Witness, b *directory.Business, subs []directory.Submission) verdict {
	key := sandbox.Key(b.Website, b.Phone)
	v := verdict{Directories: len(w.Directories), Doubles: w.Doubles(), Missing: []string{}}
	if v.Doubles == nil {
		v.Doubles = []sandbox.Double{}
	}
	for _, d := range w.Directories {
		v.Posts += len(d.Posts)
		v.Accepted += w.Count(d.Slug, key)
	}
	for _, s := range subs {
		if (s.State == directory.Submitted || s.State == directory.Live) && w.Count(s.Directory, key) == 0 {
			v.Missing = append(v.Missing, s.Directory)
		}
	}
	v.Once = len(v.Doubles) == 0 && len(v.Missing) == 0
	return v
}

func (v verdict) String() string {
	switch {
	case len(v.Doubles) > 0:
		d := v.Doubles[0]
		return fmt.Sprintf("%s got a business more than once, first %s (%d times)", count(len(v.Doubles), "directory"), d.Directory, d.Count)
	case len(v.Missing) > 0:
		return fmt.Sprintf("%s reported as submitted do not have the business, first %s", count(len(v.Missing), "directory"), v.Missing[0])
	}
	return fmt.Sprintf("each directory got the business at most once (%d took it in, of %d; %s)", v.Accepted, v.Directories, count(v.Posts, "post"))
}

// finish prints the results, the books and the verdict.
func (c demoCmd) finish(a *app, r orderReport, box *sandbox.Sandbox) error {
	v := judge(box.Witness(), exampleBusiness(), r.Submissions)
	if err := c.print(a, r, v); err != nil {
		return err
	}
	if !r.Balanced || !v.Once {
		return exitWith(ExitUnhealthy)
	}
	if r.Job.State != job.Completed {
		return exitWith(ExitFailure)
	}
	return nil
}

func (c demoCmd) print(a *app, r orderReport, v verdict) error {
	if a.JSON {
		return a.object(struct {
			orderReport
			Witness verdict `json:"witness"`
		}{r, v})
	}
	if err := results(a, r.Submissions); err != nil {
		return err
	}
	books := "the books balance"
	if !r.Balanced {
		books = "THE BOOKS DO NOT BALANCE"
	}
	took := r.Job.FinishedAt.Sub(r.Job.CreatedAt).Round(100 * time.Millisecond)
	if err := a.printf("\norder    %s in %s\nbooks    %s: %s\nwitness  %s\n", r.Job.State, took, r.Books, books, v); err != nil {
		return err
	}
	if c.Keep != "" {
		a.say("look closer: directorybolt jobs history %s --data-dir %s", r.Job.ID, c.Keep)
	}
	return nil
}
