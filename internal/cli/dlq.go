package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

type dlqCmd struct {
	List    dlqListCmd    `cmd:"" help:"List dead letters, newest first, or count them by reason."`
	Show    dlqShowCmd    `cmd:"" help:"Show one dead letter and what to do about it."`
	Depth   dlqDepthCmd   `cmd:"" help:"Say how many dead letters are open, and what they are worth."`
	Redrive dlqRedriveCmd `cmd:"" help:"Let dead jobs run again: one, by filter, or all."`
	Purge   dlqPurgeCmd   `cmd:"" help:"Give dead letters up, after exporting them."`
	Journal dlqJournalCmd `cmd:"" help:"Tell what people did to letters, jobs and scopes, and why."`
}

// Help says what all of them have in common.
func (dlqCmd) Help() string {
	return "A job that fails for good leaves a dead letter. It does not run again unless a person redrives it; what was sent to a " +
		"directory is never sent again by that.\n\n" +
		examples("directorybolt dlq list", "directorybolt dlq show ID", `directorybolt dlq redrive ID --reason "site is back"`)
}

// letterFlags select letters.
type letterFlags struct {
	Signature string `placeholder:"GROUP" help:"Only letters of this group: its id, as dlq list shows it, or the whole signature."`
	Customer  string `placeholder:"CUSTOMER" help:"Only letters of this customer, by id or e-mail address."`
	Kind      string `placeholder:"KIND" help:"Only letters of jobs of this kind: order, recheck, …"`
	Since     string `placeholder:"WHEN" help:"Only letters that came since: 2h, or a time such as 2026-11-26T06:00:00Z."`
	Canaries  bool   `help:"Also letters of canaries."`
}

// given reports whether the flags select anything but all.
func (c letterFlags) given() bool { return c != letterFlags{Canaries: c.Canaries} }

// filter makes a filter of the flags. The store knows the time, and the signatures.
func (c letterFlags) filter(ctx context.Context, s backend) (f job.LetterFilter, err error) {
	f = job.LetterFilter{Signature: c.Signature, Kind: c.Kind, Canaries: c.Canaries}
	if c.Customer != "" {
		if f.Customer, err = customerID(ctx, s, c.Customer); err != nil {
			return f, err
		}
	}
	if c.Since != "" {
		if f.Since, err = c.since(ctx, s); err != nil {
			return f, err
		}
	}
	f.Signature, err = job.SignatureOf(ctx, s, c.Signature)
	if errors.Is(err, job.ErrNotFound) {
		err = notFound(fmt.Errorf("no dead letter is of group %s", c.Signature), "see: directorybolt dlq list --groups")
	}
	return f, err
}

func (c letterFlags) since(ctx context.Context, s backend) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, c.Since); err == nil {
		return at, nil
	}
	ago, err := time.ParseDuration(c.Since)
	if err != nil || ago < 0 {
		return time.Time{}, usage(fmt.Errorf("--since %q is no time", c.Since), "such as 90m, or 2026-11-26T06:00:00Z")
	}
	now, err := s.Now(ctx)
	return now.Add(-ago), err
}

// letterNamed finds a letter by its own id or by its job's.
func letterNamed(ctx context.Context, s backend, id job.ID) (job.Letter, error) {
	l, err := s.Letter(ctx, id)
	if !errors.Is(err, job.ErrNotFound) {
		return l, err
	}
	j, err := s.Job(ctx, id)
	if errors.Is(err, job.ErrNotFound) {
		return l, notFound(fmt.Errorf("no dead letter and no job %s", id), "see: directorybolt dlq list")
	}
	if err != nil {
		return l, err
	}
	return l, remedied(fmt.Errorf("job %s is %s: %w", id, j.State, job.ErrState), "see: directorybolt jobs history "+id.String())
}

// parseLetterIDs reads the ids that a person typed.
func parseLetterIDs(texts []string) ([]job.ID, error) {
	ids := make([]job.ID, len(texts))
	for i, s := range texts {
		id, err := parseID("a job", s)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}
