package cli

import (
	"context"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/stale"
)

type whyCmd struct{ oneJob }

// Help shows how it is typed.
func (whyCmd) Help() string {
	return "One answer from the job, the pauses, the workers and the history: why it is not running, or why it ran more than once, " +
		"and what to do about it.\n\n" +
		examples("directorybolt why 01932f6c-…", "directorybolt why 01932f6c-… --json | jq -r .answer[].code")
}

// Run prints the answer.
func (c whyCmd) Run(ctx context.Context, a *app) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s backend) error {
		f, err := gather(ctx, s, id, settings.StallAfter())
		if err != nil {
			return missing(id, err)
		}
		answer := f.answer()
		if a.JSON {
			return a.object(struct {
				ID     job.ID    `json:"id"`
				State  job.State `json:"state"`
				Answer []reason  `json:"answer"`
			}{id, f.job.State, answer})
		}
		for _, r := range answer {
			if err := a.printf("%s\n", plain(r.Text)); err != nil {
				return err
			}
		}
		return nil
	})
}

// reason is one sentence of an answer, and a word by which programs know it.
type reason struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Do   string `json:"do,omitempty"` // a command that changes it
}

// facts are what an answer is made of.
type facts struct {
	now        time.Time
	job        job.Job
	story      []job.Event
	pauses     []job.Pause
	workers    []job.Worker // alive, and the retired that history may name
	storm      *job.Storm   // the latest
	ahead      int
	orphans    []job.Finding // that concern the job
	stallAfter time.Duration
}

// gather reads the facts, the job last but for its place in the queue: what the
// others say is older.
func gather(ctx context.Context, s backend, id job.ID, stallAfter time.Duration) (f facts, err error) {
	f.stallAfter = stallAfter
	if f.pauses, err = s.Pauses(ctx); err != nil {
		return f, err
	}
	if f.workers, err = s.Workers(ctx, workersRemembered); err != nil {
		return f, err
	}
	if f.storm, err = s.LastStorm(ctx); err != nil {
		return f, err
	}
	if f.story, err = s.History(ctx, id); err != nil {
		return f, err
	}
	if f.job, err = s.Job(ctx, id); err != nil {
		return f, err
	}
	if f.now, err = s.Now(ctx); err != nil {
		return f, err
	}
	orphans, err := stale.Seek(ctx, s, orphansAsked)
	if err != nil {
		return f, err
	}
	f.orphans = slices.DeleteFunc(orphans, func(o job.Finding) bool { return !f.concerns(o) })
	if f.job.State == job.Pending {
		f.ahead, err = s.Ahead(ctx, id, f.liveKinds())
	}
	return f, err
}

// orphansAsked is how many orphans of each kind are looked through for one job.
const orphansAsked = 1000

// concerns reports whether an orphan has to do with the job. What is said of its worker
// is said elsewhere.
func (f facts) concerns(o job.Finding) bool {
	switch o.Kind {
	case job.OrphanOwner:
		return false
	case job.OrphanUnclaimed:
		return o.Cause == job.UnclaimedIdle && f.job.State == job.Pending && o.Subject == f.job.Kind && !f.job.DueAt.After(f.now)
	}
	return o.JobID == f.job.ID || o.OrderID == f.job.ID
}

// workersRemembered is how long ago a worker may have been retired that an answer
// names by its host.
const workersRemembered = 7 * 24 * time.Hour

func (f facts) alive() []job.Worker {
	return slices.DeleteFunc(slices.Clone(f.workers), func(w job.Worker) bool {
		return !w.RetiredAt.IsZero() || !w.LeaseUntil.After(f.now)
	})
}

// liveKinds are the kinds that somebody performs.
func (f facts) liveKinds() []string {
	var kinds []string
	for _, w := range f.alive() {
		kinds = append(kinds, w.Kinds...)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func (f facts) worker(id job.ID) (w job.Worker, known bool) {
	i := slices.IndexFunc(f.workers, func(w job.Worker) bool { return w.ID == id })
	if i < 0 {
		return w, false
	}
	return f.workers[i], true
}
