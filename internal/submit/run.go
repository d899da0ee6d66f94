package submit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/bootclock"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// run is one attempt at an order. One goroutine, perform, decides what is tried
// next; tries run beside each other and hand their items back to it.
type run struct {
	*Engine
	attempt  job.Attempt
	lease    job.Lease
	business *directory.Business
	identity string
	skew     time.Time // the store's clock when the boot clock was zero
	log      *slog.Logger

	choosing sync.Mutex // one replacement is chosen at a time
	items    map[job.ID]*item
}

// item is a submission on its way through this attempt.
type item struct {
	sub  directory.Submission
	at   time.Time // not before, on the store's clock
	why  string    // what it waits for
	busy bool      // being tried; only its try may touch it

	// over is when the effect of our own intent must be over, on our own clock; zero:
	// there is none, or an earlier attempt made it.
	over time.Duration

	asked      time.Duration // when the lookup was asked last, on our own clock
	lookedUp   bool          // the directory itself was asked, by this attempt
	unanswered int           // questions of this attempt to the lookup that had no answer

	added []directory.Submission // replacements that the last try committed
	err   error                  // why the attempt at the order cannot go on
}

// now estimates the store's clock without asking it.
func (r *run) now() time.Time { return r.skew.Add(bootclock.Now()) }

// take enters submissions that are not known yet.
func (r *run) take(subs []directory.Submission) {
	for _, s := range subs {
		if r.items[s.ID] == nil {
			r.items[s.ID] = &item{sub: s, at: s.DueAt, why: "a retry that is due later"}
		}
	}
}

// plan selects the order's directories and commits the selection.
func (r *run) plan(ctx context.Context) ([]directory.Submission, error) {
	want, err := r.selection(ctx)
	if err != nil {
		return nil, err
	}
	p := directory.Select(r.Catalog, want)
	subs, err := retry(ctx, r.Engine, func(ctx context.Context) ([]directory.Submission, error) {
		return r.Ledger.Plan(ctx, r.lease, p)
	})
	if err != nil {
		return nil, fmt.Errorf("plan order %s: %w", r.lease.JobID, err)
	}
	r.log.InfoContext(ctx, "order planned", "directories", len(subs), "shortfall", p.Shortfall)
	return subs, nil
}

// selection says what the order may choose from now: another order may have taken
// places meanwhile.
func (r *run) selection(ctx context.Context) (directory.SelectRequest, error) {
	held, err := retry(ctx, r.Engine, func(ctx context.Context) ([]string, error) {
		return r.Ledger.HeldDirectories(ctx, r.identity)
	})
	if err != nil {
		err = fmt.Errorf("list directories that have the business: %w", err)
	}
	return directory.SelectRequest{
		Quota:    r.attempt.Job.Quota,
		Country:  r.business.Country,
		Category: r.business.Category,
		Identity: r.identity,
		Held:     held,
		Canary:   r.attempt.Job.Canary,
	}, err
}

// perform tries what is due until no submission is open. It returns nil then, a
// snooze when everything left is due later, job.ErrDrained when the worker wants
// to stop, or the error that makes it pointless to go on.
func (r *run) perform(ctx context.Context) error {
	ended := make(chan *item)
	running := 0
	var failed error
	for {
		for failed == nil && running < r.Concurrency && !r.draining() {
			it := r.next()
			if it == nil {
				break
			}
			it.busy = true
			running++
			go func() {
				it.err = r.guard(ctx, it)
				ended <- it
			}()
		}
		if running == 0 {
			if wait, err := r.idle(failed); err != nil || wait == 0 {
				return err
			} else if !r.pause(ctx, wait) {
				failed = context.Cause(ctx)
			}
			continue
		}
		select {
		case it := <-ended:
			it.busy = false
			running--
			r.take(it.added)
			r.attempt.Progress()
			failed = errors.Join(failed, it.err)
		case <-r.wakeUp():
		}
	}
}

// idle decides what to do when nothing runs: zero and nil means that all is done.
func (r *run) idle(failed error) (wait time.Duration, err error) {
	if failed != nil {
		return 0, failed
	}
	first := r.first()
	if first == nil {
		return 0, nil
	}
	if r.draining() {
		return 0, job.ErrDrained
	}
	wait = first.at.Sub(r.now())
	if wait > patience {
		return 0, job.Snooze(wait, first.why)
	}
	return max(wait, time.Millisecond), nil
}

func (r *run) draining() bool {
	select {
	case <-r.attempt.Drain:
		return true
	default:
		return false
	}
}

// pause waits for d, less if the worker drains; false means that ctx ended.
func (r *run) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-r.attempt.Drain:
	case <-time.After(d):
	}
	return true
}

// wakeUp fires when an item becomes due while others run.
func (r *run) wakeUp() <-chan time.Time {
	first := r.first()
	if first == nil || r.draining() {
		return nil
	}
	if wait := first.at.Sub(r.now()); wait > 0 {
		return time.After(wait)
	}
	return nil // it waits for a free place
}

// next is the open item to try now: of those that are due, the one of lowest rank.
func (r *run) next() *item {
	now := r.now()
	var best *item
	for _, it := range r.items {
		if it.busy || !it.sub.State.Open() || it.at.After(now) {
			continue
		}
		if best == nil || it.sub.Rank < best.sub.Rank {
			best = it
		}
	}
	return best
}

// first is the open item that is due first, among those not being tried.
func (r *run) first() *item {
	var best *item
	for _, it := range r.items {
		if !it.busy && it.sub.State.Open() && (best == nil || it.at.Before(best.at)) {
			best = it
		}
	}
	return best
}

// replacement chooses the directory that takes a place in the quota over, nil
// when the catalog has no more. The caller holds r.choosing until it is committed.
func (r *run) replacement(ctx context.Context) (*directory.Choice, error) {
	subs, err := r.submissions(ctx, r.lease.JobID)
	if err != nil {
		return nil, err
	}
	want, err := r.selection(ctx)
	if err != nil {
		return nil, err
	}
	taken := make([]directory.Choice, len(subs))
	for i, s := range subs {
		taken[i] = directory.Choice{Directory: s.Directory, Rank: s.Rank}
	}
	c, ok := directory.Next(r.Catalog, want, taken)
	if !ok {
		return nil, nil
	}
	return &c, nil
}
