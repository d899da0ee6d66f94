package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

type staleRecoverCmd struct {
	Job    string `placeholder:"ID" help:"Only this job."`
	DryRun bool   `help:"Say what would be taken back; change nothing."`
	acting
}

// Help shows how it is typed.
func (staleRecoverCmd) Help() string {
	return "Workers whose lease is over, and those that nobody knows, are retired first; with --job, only the job's own. Each recovery counts as a crash of the job: with its crash budget spent it fails. " +
		"What was sent already is not sent again.\n\n" +
		examples("directorybolt stale recover --dry-run", `directorybolt stale recover --job 01932f6c-… --reason "host is gone"`)
}

// recoverAtOnce is how many jobs are listed, and then taken back one by one.
const recoverAtOnce = 1000

// Run takes the jobs back.
func (c staleRecoverCmd) Run(ctx context.Context, a *app) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	only := job.ID{}
	if c.Job != "" {
		if only, err = parseID("a job", c.Job); err != nil {
			return err
		}
	}
	return a.withStore(ctx, func(s backend) error {
		r := rescue{staleRecoverCmd: c, app: a, store: s, stallAfter: settings.StallAfter()}
		switch {
		case c.DryRun:
			return r.dry(ctx, only)
		case only != job.ID{}:
			return r.one(ctx, only)
		}
		return r.all(ctx)
	})
}

// rescue is one run of the command.
type rescue struct {
	staleRecoverCmd
	*app
	store      backend
	stallAfter time.Duration
}

// dry lists what would be taken back.
func (r rescue) dry(ctx context.Context, only job.ID) error {
	stale, err := r.store.Stale(ctx, r.stallAfter, 10*recoverAtOnce)
	if err != nil {
		return err
	}
	now, err := r.store.Now(ctx)
	if err != nil {
		return err
	}
	if only != (job.ID{}) {
		stale = slices.DeleteFunc(stale, func(j job.StaleJob) bool { return j.ID != only })
		if len(stale) == 0 {
			return r.notStale(ctx, only)
		}
	}
	return tellStale(r.app, stale, now)
}

// notStale explains that there is nothing to recover of a job.
func (r rescue) notStale(ctx context.Context, id job.ID) error {
	j, err := r.store.Job(ctx, id)
	if err != nil {
		return missing(id, err)
	}
	return notFound(fmt.Errorf("job %s is %s and not stale", id, j.State), "see: directorybolt why "+id.String())
}

// retire declares over what only has to be said: leases that ran out, and owners that
// nobody knows.
func (r rescue) retire(ctx context.Context) error {
	if _, err := r.store.RetireExpired(ctx); err != nil {
		return err
	}
	unknown, err := r.store.FindOrphans(ctx, job.OrphanOwner, 0, recoverAtOnce)
	if err != nil {
		return err
	}
	_, err = r.store.MendOrphans(ctx, job.OrphanOwner, 0, unknown)
	return err
}

// retireOwner is retire for the owner of one job. In a storm a person may know that it is
// dead, and not know it of the others.
func (r rescue) retireOwner(ctx context.Context, id job.ID) error {
	stale, err := r.store.Stale(ctx, r.stallAfter, 10*recoverAtOnce)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(stale, func(j job.StaleJob) bool { return j.ID == id })
	switch {
	case i < 0:
		return nil
	case stale[i].Cause == job.RetiredLeaseExpired:
		err = r.store.Retire(ctx, stale[i].WorkerID, job.RetiredLeaseExpired, r.by())
	case stale[i].Cause == job.NoOwner:
		_, err = r.store.MendOrphans(ctx, job.OrphanOwner, 0, []job.Finding{{Kind: job.OrphanOwner, Subject: stale[i].WorkerID.String(), WorkerID: stale[i].WorkerID}})
	}
	if errors.Is(err, job.ErrState) || errors.Is(err, job.ErrNotFound) {
		return nil // retired by another meanwhile
	}
	return err
}

func (r rescue) one(ctx context.Context, id job.ID) error {
	if err := r.retireOwner(ctx, id); err != nil {
		return err
	}
	moved, err := r.store.RecoverJob(ctx, id, r.stallAfter, r.by())
	if errors.Is(err, job.ErrState) || errors.Is(err, job.ErrNotFound) {
		return r.notStale(ctx, id)
	}
	if err != nil {
		return err
	}
	return r.tell(moved)
}

// all takes back what is listed, until nothing more can be: what another takes
// meanwhile is no fault.
func (r rescue) all(ctx context.Context) error {
	if err := r.retire(ctx); err != nil {
		return err
	}
	total := 0
	for {
		stale, err := r.store.Stale(ctx, r.stallAfter, recoverAtOnce)
		if err != nil {
			return err
		}
		taken := 0
		for _, j := range stale {
			moved, err := r.store.RecoverJob(ctx, j.ID, r.stallAfter, r.by())
			if errors.Is(err, job.ErrState) || errors.Is(err, job.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := r.tell(moved); err != nil {
				return err
			}
			taken++
		}
		total += taken
		if taken == 0 {
			break
		}
	}
	if total == 0 {
		r.say("no stale jobs")
	} else {
		r.say("recovered %s", count(total, "job"))
	}
	return nil
}

func (r rescue) tell(moved job.RecoveredJob) error {
	if r.JSON {
		return r.object(moved)
	}
	return r.printf("recovered %s because of %s: it is %s\n", moved.ID, moved.Cause, moved.State)
}
