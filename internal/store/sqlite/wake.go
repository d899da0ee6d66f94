package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// How often the file is looked at for commits of other processes while somebody
// waits: often when one of them left work a moment ago, else seldom. The look itself
// costs microseconds, but to wake an idle process for it costs some ten: at most one
// or two percent of a processor while work comes, a thousandth of it later.
const (
	lookOften  = 2 * time.Millisecond
	lookSeldom = 50 * time.Millisecond
	quietAfter = time.Second
)

// wakes tells subscribers that work may have come: from this process by a
// broadcast after the commit, from others by watching the file's data version.
type wakes struct {
	store *Store

	mu       sync.Mutex
	subs     map[chan struct{}]bool
	watching bool
	closed   bool
	stopped  context.Context
	cancel   context.CancelFunc
	watchers sync.WaitGroup
}

func newWakes(s *Store) *wakes {
	w := &wakes{store: s, subs: map[chan struct{}]bool{}}
	w.stopped, w.cancel = context.WithCancel(context.Background())
	return w
}

// Wake implements [job.Waker].
func (s *Store) Wake(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	s.wakes.add(ch)
	context.AfterFunc(ctx, func() { s.wakes.remove(ch) })
	return ch
}

func (w *wakes) add(ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.subs[ch] = true
	if !w.watching {
		w.watching = true
		w.watchers.Go(w.watch)
	}
}

func (w *wakes) remove(ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.subs, ch)
}

// broadcast wakes everybody; who has a wake-up waiting needs no second.
func (w *wakes) broadcast() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// stop ends the watch and every subscription.
func (w *wakes) stop() {
	w.mu.Lock()
	w.closed = true
	clear(w.subs)
	w.mu.Unlock()
	w.cancel()
	w.watchers.Wait()
}

// unwatched ends the watch when nobody is subscribed any more.
func (w *wakes) unwatched() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.subs) == 0 {
		w.watching = false
	}
	return !w.watching
}

// watch looks at the file until nobody waits. Where it cannot look, pollers are
// the backstop; it tries again.
func (w *wakes) watch() {
	for {
		err := w.look()
		if err == nil || w.stopped.Err() != nil {
			return
		}
		w.store.log.Warn("watching the database for other processes' work failed; polling goes on", "path", w.store.path, "error", err)
		select {
		case <-w.stopped.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// look polls on a connection of its own. It returns nil when nobody waits.
func (w *wakes) look() error {
	db, err := openDB(w.store.path, 1, "busy_timeout(1000)", "query_only(ON)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	eye, err := openEye(db)
	if err != nil {
		return err
	}
	seen, err := eye.version()
	if err != nil {
		return err
	}
	w.broadcast() // what was committed before the first look is no change to it
	var worked time.Time
	tick := time.NewTimer(lookOften)
	defer tick.Stop()
	for {
		select {
		case <-w.stopped.Done():
			return nil
		case <-tick.C:
		}
		if w.unwatched() {
			return nil
		}
		due, err := eye.look(&seen, w.store.clock().UnixMicro())
		if err != nil {
			return err
		}
		if due {
			worked = time.Now()
			w.broadcast()
		}
		tick.Reset(pause(time.Since(worked)))
	}
}

// pause is the time until the next look, by the time since there was work.
func pause(quiet time.Duration) time.Duration {
	if quiet > quietAfter {
		return lookSeldom
	}
	return lookOften
}

// eye is the connection that looks.
type eye struct{ ver, dueJobs *sql.Stmt }

func openEye(db *sql.DB) (e eye, err error) {
	if e.ver, err = db.PrepareContext(unhurried, "PRAGMA data_version"); err != nil {
		return e, err
	}
	e.dueJobs, err = db.PrepareContext(unhurried, q.DueJobs)
	return e, err
}

// version changes with every commit of any other connection.
func (e eye) version() (v int64, err error) {
	err = e.ver.QueryRowContext(unhurried).Scan(&v)
	return v, err
}

// look reports whether somebody committed since *seen and left work that is due:
// most commits are none of a waiting worker's business.
func (e eye) look(seen *int64, now int64) (due bool, err error) {
	version, err := e.version()
	if err != nil || version == *seen {
		return false, err
	}
	*seen = version
	err = e.dueJobs.QueryRowContext(unhurried, now).Scan(&due)
	return due, err
}
