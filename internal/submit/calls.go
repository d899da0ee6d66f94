package submit

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
)

// storeNow asks the store's clock.
func (e *Engine) storeNow(ctx context.Context) (time.Time, error) {
	now, err := retry(ctx, e, e.Jobs.Now)
	if err != nil {
		return now, fmt.Errorf("read the store's clock: %w", err)
	}
	return now, nil
}

func (e *Engine) submissions(ctx context.Context, order job.ID) ([]directory.Submission, error) {
	subs, err := retry(ctx, e, func(ctx context.Context) ([]directory.Submission, error) {
		return e.Ledger.Submissions(ctx, order)
	})
	if err != nil {
		return nil, fmt.Errorf("list submissions of order %s: %w", order, err)
	}
	return subs, nil
}

// reserve asks for the host's next turn.
func (e *Engine) reserve(ctx context.Context, d *directory.Directory) (Turn, error) {
	turn, err := retry(ctx, e, func(ctx context.Context) (Turn, error) {
		return e.Pacer.Reserve(ctx, host(d), d.Pacing)
	})
	if err != nil {
		return turn, fmt.Errorf("reserve a turn at %s: %w", host(d), err)
	}
	return turn, nil
}

// report feeds the host's breaker. Pacing is advice to ourselves: when the store
// does not take it, the work goes on.
func (e *Engine) report(ctx context.Context, d *directory.Directory, ok bool, pause time.Duration) {
	err := e.Pacer.Report(ctx, host(d), ok, pause)
	if err == nil || ctx.Err() != nil {
		return
	}
	if unsaid, now := e.reports.Say(); now {
		e.Log.WarnContext(ctx, "turn not reported", "host", host(d), "error", err.Error(), "unsaid", unsaid)
	}
}

// keep stores the page that proves an outcome. The excerpt in the row proves it
// too, so a full disk does not lose the outcome.
func (e *Engine) keep(ctx context.Context, ev *directory.Evidence, p *Page) {
	if ev == nil || p == nil {
		return
	}
	ctx, cancel := outliving(ctx)
	defer cancel()
	sum, size, err := e.Evidence.Put(ctx, p.MediaType, p.Body)
	if err != nil {
		e.Log.ErrorContext(ctx, "evidence not stored, its excerpt is kept", "url", p.URL, "error", err.Error())
		return
	}
	ev.SHA256, ev.Size, ev.MediaType = sum, size, p.MediaType
}

// confirm follows the commit of an outcome that the page proves: who removes what
// nobody refers to may have found the page between the two.
func (e *Engine) confirm(ctx context.Context, ev *directory.Evidence, p *Page) {
	if ev == nil || p == nil || ev.SHA256 == "" {
		return
	}
	ctx, cancel := outliving(ctx)
	defer cancel()
	if err := e.Evidence.Confirm(ctx, ev.SHA256, p.Body); err != nil {
		e.Log.ErrorContext(ctx, "evidence not stored, its excerpt is kept", "url", p.URL, "error", err.Error())
	}
}

// tellPanic logs a panic over one directory: a page that our code cannot stand must
// end neither the process nor the order.
func (e *Engine) tellPanic(order job.ID, slug string, p any) {
	e.Log.Error("panic over a directory", "order_id", order, "directory", slug, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// retry repeats a call while the store is away. It gives up when ctx ends, which
// it does with the lease, and on a store that takes everything but this. Answers of
// the contract are not repeated.
func retry[T any](ctx context.Context, e *Engine, call func(context.Context) (T, error)) (T, error) {
	begun, wait := time.Now(), 50*time.Millisecond
	for {
		v, err := call(ctx)
		if err == nil || ctx.Err() != nil || isAnswer(err) || time.Since(begun) > storePatience {
			return v, err
		}
		if unsaid, now := e.outage.Say(); now {
			e.Log.WarnContext(ctx, "the store did not answer, will try again", "error", err.Error(), "unsaid", unsaid)
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-time.After(wait):
			wait = min(2*wait, 2*time.Second)
		}
	}
}

// isAnswer reports whether err says no, rather than that nobody answered.
func isAnswer(err error) bool {
	answers := []error{job.ErrLeaseLost, job.ErrState, job.ErrNotFound, job.ErrRetired, directory.ErrTaken, directory.ErrNoTime}
	return slices.ContainsFunc(answers, func(a error) bool { return errors.Is(err, a) }) || errors.As(err, new(*job.InvalidError))
}

// outliving is ctx for what must be recorded although ctx may end now: it ends a
// moment later. Whether the record still counts is for the store's fence to say.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(lastWords, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { stop(); cancel(nil) }
}
