package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/deadletter"
	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqRedriveCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of jobs, or of letters."`
	letterFlags
	All      bool `help:"All open dead letters."`
	DryRun   bool `help:"Say what would be redriven, by reason; change nothing."`
	Canary   bool `help:"One first, then five, then a tenth, then the rest; stop when the same failure comes back."`
	Rate     int  `placeholder:"N" help:"At most so many a second."`
	Messages bool `help:"Instead of jobs: messages of the SQS dead letter queue that name none go back to their queue."`
	Force    bool `help:"Also jobs that were redriven REDRIVE_CAP times already."`
	acting
}

// Help shows how it is typed.
func (dlqRedriveCmd) Help() string {
	return "A redriven job is pending again with new budgets. Its history stays, and so do its submissions: what was sent is not sent again. " +
		"The command may be interrupted at any moment and typed again: it goes on with what is left. " +
		"Exit status 3 when there is nothing to redrive, 4 when some were not, or a canary stopped.\n\n" +
		examples(
			`directorybolt dlq redrive 01932f6c-… --reason "site is back"`,
			"directorybolt dlq redrive --signature 5f2c81d09a --dry-run",
			`directorybolt dlq redrive --all --canary --reason "fix deployed"`,
			"directorybolt dlq redrive --all --rate 50",
		)
}

// Run redrives.
func (c dlqRedriveCmd) Run(ctx context.Context, a *app) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	filtered := c.given() || c.All
	switch {
	case c.Messages && (filtered || len(c.IDs) > 0 || c.Canary):
		return usage(errors.New("--messages goes alone"), "the queue moves all of them, without a choice; --rate slows it")
	case len(c.IDs) > 0 && (filtered || c.Canary || c.Rate != 0):
		return usage(errors.New("ids and filters do not go together"), "name letters, or select them")
	case len(c.IDs) == 0 && !filtered && !c.Messages:
		return usage(errors.New("nothing is selected"), "name jobs, or give --signature, --customer, --kind, --since or --all")
	case c.Rate < 0:
		return usage(fmt.Errorf("--rate %d is out of range", c.Rate), "letters a second, 1 or more")
	}
	redriveCap := settings.RedriveCap
	if c.Force {
		redriveCap = 0
	}
	if c.Messages {
		return c.messages(ctx, a)
	}
	return a.withStore(ctx, func(s backend) error {
		if len(c.IDs) > 0 {
			return redrive{a, s, c.by(), redriveCap, c.DryRun}.named(ctx, c.IDs)
		}
		return c.selected(ctx, a, s, redriveCap)
	})
}

// selected redrives what the filter selects.
func (c dlqRedriveCmd) selected(ctx context.Context, a *app, s backend, redriveCap int) error {
	f, err := c.filter(ctx, s)
	if err != nil {
		return err
	}
	every, err := lettersIn(ctx, s, f)
	if err != nil {
		return err
	}
	f.RedrivesBelow = redriveCap
	groups, err := s.LetterGroups(ctx, f)
	if err != nil {
		return err
	}
	held := every - total(groups)
	if c.DryRun {
		if err := tellGroups(a, groups); err != nil {
			return err
		}
	}
	if held > 0 {
		a.say("%s held back: redriven %s already and failed again each time; --force takes them too", count(int(held), "letter"), count(redriveCap, "time"))
	}
	if total(groups) == 0 {
		return notFound(errors.New("no dead letters to redrive"), "see: directorybolt dlq list --groups")
	}
	if c.DryRun {
		a.say("would redrive %s, worth %s", count(int(total(groups)), "letter"), dollars(worth(groups)))
		return nil
	}
	return c.campaign(ctx, a, s, f, held)
}

func total(groups []job.LetterGroup) (n int64) {
	for _, g := range groups {
		n += g.Count
	}
	return n
}

func worth(groups []job.LetterGroup) (cents int64) {
	for _, g := range groups {
		cents += g.ValueCents
	}
	return cents
}

func lettersIn(ctx context.Context, s backend, f job.LetterFilter) (int64, error) {
	groups, err := s.LetterGroups(ctx, f)
	return total(groups), err
}

// campaign redrives many, tells how far it is, and at the end how it went.
func (c dlqRedriveCmd) campaign(ctx context.Context, a *app, s backend, f job.LetterFilter, held int64) error {
	began, err := s.Now(ctx)
	if err != nil {
		return err
	}
	p, err := deadletter.Campaign{
		Store: s, Filter: f, By: c.by(), Rate: c.Rate, Canary: c.Canary, Tell: sayProgress(a, time.Now()),
	}.Run(ctx)
	// What was done must be told also when a signal ended it.
	told := c.tell(context.WithoutCancel(ctx), a, s, p, began)
	switch {
	case err != nil:
		return err
	case told != nil:
		return told
	case p.Stopped != "" || held > 0:
		return exitWith(ExitPartly)
	}
	return nil
}

// sayProgress says how far a campaign is, where that takes long: once a second while
// it gets further, and every ten while it only waits.
func sayProgress(a *app, said time.Time) func(deadletter.Progress) {
	var last deadletter.Progress
	return func(p deadletter.Progress) {
		if since := time.Since(said); since < time.Second || p == last && since < 10*time.Second {
			return
		}
		said, last = time.Now(), p
		a.say("%s", progressText(p))
	}
}

func progressText(p deadletter.Progress) string {
	text := fmt.Sprintf("redriven %d of %d", p.Redriven, p.Total)
	if p.Waiting > 0 {
		text += fmt.Sprintf(", waiting for the outcome of %d", p.Waiting)
	}
	return text + outcomeText(p)
}

// outcomeText is what a careful campaign knows of outcomes.
func outcomeText(p deadletter.Progress) string {
	text := ""
	for _, o := range []struct {
		n    int64
		what string
	}{{p.Done, "done"}, {p.Returned, "came back"}, {p.Others, "failed otherwise"}} {
		if o.n > 0 {
			text += fmt.Sprintf(", %d %s", o.n, o.what)
		}
	}
	return text
}

// redriven is what a campaign did, in JSON.
type redriven struct {
	deadletter.Progress
	Left        int64 `json:"left"`         // selected, and not redriven
	NewFailures int64 `json:"new_failures"` // letters of other jobs that came meanwhile
}

func (c dlqRedriveCmd) tell(ctx context.Context, a *app, s backend, p deadletter.Progress, began time.Time) error {
	fresh, err := lettersIn(ctx, s, job.LetterFilter{Since: began, RedrivesBelow: 1, Canaries: c.Canaries})
	if err != nil {
		return err
	}
	sum := redriven{Progress: p, Left: max(p.Total-p.Redriven, 0), NewFailures: fresh}
	if a.JSON {
		return a.object(sum)
	}
	if err := a.printf("redriven %s%s\n", count(int(p.Redriven), "letter"), outcomeText(p)); err != nil {
		return err
	}
	if p.Stopped != "" {
		a.say("stopped: %s", p.Stopped)
	}
	if sum.Left > 0 {
		a.say("%s left as they were; the same command goes on with them", count(int(sum.Left), "letter"))
	}
	if fresh > 0 {
		a.say("%s arrived meanwhile, of other jobs: directorybolt dlq list --since %s", count(int(fresh), "new letter"), began.UTC().Format(time.RFC3339))
	}
	return nil
}

// redrive redrives letters that a person names.
type redrive struct {
	*app
	store backend
	by    job.By
	limit int // redrives that a job may have had; zero: any number
	dry   bool
}

// named redrives each. Those that cannot be do not keep the others from it.
func (r redrive) named(ctx context.Context, texts []string) error {
	ids, err := parseLetterIDs(texts)
	if err != nil {
		return err
	}
	var faults []error
	for _, id := range ids {
		if err := r.one(ctx, id); err != nil {
			faults = append(faults, err)
		}
	}
	return summed(r.app, faults, len(ids))
}

func (r redrive) one(ctx context.Context, id job.ID) error {
	l, err := letterNamed(ctx, r.store, id)
	if err != nil {
		return err
	}
	switch {
	case l.JobID == (job.ID{}):
		return remedied(fmt.Errorf("dead letter %s names no job: %w", id, job.ErrState), "see: directorybolt dlq show "+id.String())
	case !l.Open() && l.Fate != job.FatePurged:
		return refused(ctx, r.store, l.JobID, fmt.Errorf("dead letter %s is %s: %w", id, l.Fate, job.ErrState))
	case r.limit > 0 && l.Redrives >= r.limit:
		return remedied(fmt.Errorf("job %s was redriven %s and failed again each time", l.JobID, count(l.Redrives, "time")),
			"mend the cause; --force redrives it all the same")
	case r.dry:
		return r.tellOne(l, "would be redriven")
	}
	moved, err := r.store.RedriveLetters(ctx, []job.ID{l.ID}, r.by)
	if errors.Is(err, job.ErrErased) {
		return remedied(err, "nobody can redrive it; if the customer is back, place a new order")
	}
	if err != nil {
		return err
	}
	if len(moved) == 0 { // somebody was faster
		return refused(ctx, r.store, l.JobID, fmt.Errorf("redrive job %s: %w", l.JobID, job.ErrState))
	}
	return r.tellOne(l, "redriven")
}

func (r redrive) tellOne(l job.Letter, done string) error {
	if r.JSON {
		return r.object(acted{l.JobID, done})
	}
	return r.printf("%s %s\n", done, l.JobID)
}
