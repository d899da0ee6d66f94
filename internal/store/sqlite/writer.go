package sqlite

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// groupLimit bounds the callers that share one transaction, so that the first of
// them does not wait for too many others.
const groupLimit = 64

// writer is the one goroutine that writes, apart from the heartbeat. Callers queue
// up in the order they come; all that wait are done in one transaction with one
// commit, each behind a savepoint of its own.
type writer struct {
	store *Store
	ses   *session
	turn  chan struct{} // held while a transaction of this process is open, the heartbeat's too
	queue chan *task

	closing chan struct{}
	closed  sync.Once
	ended   chan struct{}
}

// task is what one caller wants done. It may be performed more than once, in
// transactions that were rolled back; only the last one counts.
type task struct {
	perform func(*tx) error
	decided atomic.Bool // whether it is performed: by the writer, or by a caller that leaves
	taken   bool        // by the writer, which alone reads it
	done    chan error
	tx      *tx // of the last performance
}

// take reports whether the task is to be performed; after that the caller waits
// for the result, however long it takes.
func (t *task) take() bool {
	t.taken = t.taken || t.decided.CompareAndSwap(false, true)
	return t.taken
}

// abandon reports whether the caller may leave, because the task will never be
// performed.
func (t *task) abandon() bool { return t.decided.CompareAndSwap(false, true) }

// refused answers the caller with an error but keeps what was written, such as
// the record of a refused write.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

func newWriter(s *Store, ses *session) *writer {
	return &writer{
		store: s, ses: ses, turn: make(chan struct{}, 1), queue: make(chan *task, 2*groupLimit),
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
}

// write performs fn in a transaction and returns when it is committed. When fn
// returns an error nothing is changed, except for [refused]. fn must only use its
// tx and must be repeatable. A caller whose ctx ends before its turn gets ctx's
// error and nothing happens; after that the result is what it is.
func (s *Store) write(ctx context.Context, fn func(*tx) error) error {
	t := &task{perform: fn, done: make(chan error, 1)}
	if err := s.writer.submit(ctx, t); err != nil {
		return err
	}
	var err error
	select {
	case err = <-t.done:
	case <-ctx.Done():
		if t.abandon() {
			return context.Cause(ctx)
		}
		err = <-t.done
	case <-s.writer.ended: // the task came in behind the writer's back
		if t.abandon() {
			return errClosed
		}
		err = <-t.done
	}
	return s.finish(t.tx, err)
}

// finish tells others what a transaction changed, and explains its error.
func (s *Store) finish(t *tx, err error) error {
	var kept refused
	if err != nil && !errors.As(err, &kept) {
		return s.explain(err)
	}
	for _, verb := range t.fenced {
		s.onFenced(verb)
	}
	if t.wakes {
		s.wakes.broadcast()
	}
	if err != nil {
		return kept.error
	}
	return nil
}

func (w *writer) submit(ctx context.Context, t *task) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	select {
	case <-w.closing:
		return errClosed
	default:
	}
	select {
	case w.queue <- t:
		return nil
	case <-w.closing:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop ends the writer when what is queued is done. It reports whether this call
// was the first.
func (w *writer) stop() (first bool) {
	w.closed.Do(func() {
		first = true
		close(w.closing)
	})
	<-w.ended
	return first
}

func (w *writer) run() {
	defer close(w.ended)
	for {
		select {
		case t := <-w.queue:
			w.commit(w.gather(t))
		case <-w.closing:
			w.drain()
			return
		}
	}
}

// drain performs what was queued before the store closed.
func (w *writer) drain() {
	for {
		select {
		case t := <-w.queue:
			w.commit(w.gather(t))
		default:
			return
		}
	}
}

// gather takes what is waiting, without waiting for more.
func (w *writer) gather(first *task) []*task {
	group := []*task{first}
	for len(group) < groupLimit {
		select {
		case t := <-w.queue:
			group = append(group, t)
		default:
			return group
		}
	}
	return group
}

// commit performs the group together. When the transaction as a whole fails, each
// task is tried alone, so that a fault meets only the one that has it.
func (w *writer) commit(group []*task) {
	if w.together(group) {
		return
	}
	for _, t := range group {
		w.together([]*task{t})
	}
}

// together performs the tasks in one transaction and answers them. It reports
// false, with everything rolled back and nobody answered, when the transaction
// failed and there was more than one.
func (w *writer) together(group []*task) (answered bool) {
	w.turn <- struct{}{}
	results, err := w.transact(group)
	<-w.turn
	switch {
	case err == nil:
		for i, t := range group {
			t.done <- results[i]
		}
	case len(group) > 1 && !isBusy(err):
		return false
	default:
		for _, t := range group {
			t.done <- err
		}
	}
	return true
}

// transact performs the tasks and commits; those whose callers have left by then
// it passes over. err means that nothing was changed.
func (w *writer) transact(group []*task) (results []error, err error) {
	if err := w.ses.begin(unhurried); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = w.ses.exec("ROLLBACK") // fails where SQLite has rolled back already
		}
	}()
	results = make([]error, len(group))
	for i, t := range group {
		if !t.take() {
			continue
		}
		t.tx = newTx(w.store, w.ses)
		if len(group) == 1 {
			results[i] = t.perform(t.tx)
			if lost(results[i]) {
				return nil, results[i]
			}
			continue
		}
		if results[i], err = w.apart(t); err != nil {
			return nil, err
		}
	}
	return results, w.ses.exec("COMMIT")
}

// apart performs a task behind a savepoint. err means that the savepoint could not
// be kept, and with it the whole transaction is gone.
func (w *writer) apart(t *task) (result, err error) {
	if err := w.ses.exec("SAVEPOINT task"); err != nil {
		return nil, err
	}
	result = t.perform(t.tx)
	if lost(result) {
		if err := w.ses.exec("ROLLBACK TO task"); err != nil {
			return nil, errors.Join(result, err)
		}
	}
	return result, w.ses.exec("RELEASE task")
}

// lost reports whether a task's error undoes what it wrote.
func lost(err error) bool { return err != nil && !isRefused(err) }

func isRefused(err error) bool {
	var kept refused
	return errors.As(err, &kept)
}
