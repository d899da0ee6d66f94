package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/seldom"
	"github.com/jackc/pgx/v5"
)

const (
	// watchRound bounds one wait for a lifeline. Between two waits the watch looks at
	// its neighbours: so it follows the ring, and notices whom a frozen watch left.
	watchRound = time.Second
	// watchSpan is how many neighbours one watch looks at. It waits for the first;
	// when that one dies, it knows the state of those behind it.
	watchSpan = 16
	// watchTimeout bounds one statement of a watch.
	watchTimeout = 10 * time.Second
)

// ring knows where in the ring this process stands: at the latest lifeline it holds.
// The ring is the order of the lock keys, which are hashes: a new worker falls
// anywhere, and one that holds no lifeline but watches stands at a random place.
type ring struct {
	mu    sync.Mutex
	held  []*lifeline
	place int64
}

func newRing() *ring { return &ring{place: int64(rand.Uint64())} }

func (r *ring) join(l *lifeline) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, l)
}

func (r *ring) leave(l *lifeline) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, h := range r.held {
		if h == l {
			r.held = append(r.held[:i], r.held[i+1:]...)
			return
		}
	}
}

// stand is the worker of this process that watches, or none and a place in the ring.
func (r *ring) stand() (worker job.ID, place int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.held); n > 0 {
		return r.held[n-1].worker, 0
	}
	return job.ID{}, r.place
}

func (r *ring) close() {
	r.mu.Lock()
	held := append([]*lifeline{}, r.held...)
	r.mu.Unlock()
	for _, l := range held {
		l.Release()
	}
}

// watch is one session that waits for the lifelines of others. What it saw held it
// saw in this session, so in this life of the server: a restart frees all locks at
// once, ends the session, and nothing is known any more.
type watch struct {
	store *Store
	kept  keptSession
	seen  map[job.ID]bool
	holds bool // a lock of the last round
}

// neighbour is a live worker further on in the ring.
type neighbour struct {
	id   job.ID
	key  int64
	held bool
}

// WatchLifelines implements [job.Lifelines].
func (s *Store) WatchLifelines(ctx context.Context, tell func(job.Worker)) error {
	var failing seldom.Line
	for pause := reconnectFirst; ; pause = min(2*pause, reconnectCap) {
		begun := time.Now()
		err := s.watchOnce(ctx, tell)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, job.ErrNoSession):
			return fmt.Errorf("watch lifelines: %w", err)
		}
		if unsaid, now := failing.Say(); now {
			s.config.Log.WarnContext(ctx, "the watch over lifelines was lost, connecting again", "error", readable(err).Error(), "unsaid", unsaid)
		}
		if time.Since(begun) > reconnectCap {
			pause = reconnectFirst
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (s *Store) watchOnce(ctx context.Context, tell func(job.Worker)) error {
	w, err := s.newWatch(ctx)
	if err != nil {
		return err
	}
	defer w.kept.end()
	for {
		if err := w.round(ctx, tell); err != nil {
			return err
		}
	}
}

func (s *Store) newWatch(ctx context.Context) (*watch, error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	kept, err := s.keepSession(ctx)
	return &watch{store: s, kept: kept, seen: map[job.ID]bool{}}, err
}

// round retires the neighbours that are gone, or waits a while for the next to go.
func (w *watch) round(ctx context.Context, tell func(job.Worker)) error {
	neighbours, err := w.look(ctx)
	if err != nil {
		return err
	}
	gone, next := w.sort(neighbours)
	for _, n := range gone {
		if err := w.retireDead(ctx, n, w.try, tell); err != nil {
			return err
		}
	}
	switch {
	case len(gone) > 0:
		return nil // whoever died took its neighbours with it, or did not: look again
	case next == nil:
		return pauseFor(ctx, watchRound)
	}
	return w.retireDead(ctx, *next, w.await, tell)
}

// sort tells the neighbours that were seen alive and are gone, and the first that is held.
func (w *watch) sort(neighbours []neighbour) (gone []neighbour, next *neighbour) {
	seen := make(map[job.ID]bool, len(neighbours))
	for i, n := range neighbours {
		switch {
		case n.held && next == nil:
			next = &neighbours[i]
		case !n.held && w.seen[n.id]:
			gone = append(gone, n)
		}
		seen[n.id] = n.held || w.seen[n.id]
	}
	w.seen = seen
	return gone, next
}

// look lists the neighbours and lets go of what the last round held.
func (w *watch) look(ctx context.Context) (ns []neighbour, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	if w.holds {
		if _, err := w.kept.Exec(ctx, `SELECT pg_advisory_unlock_all()`); err != nil {
			return nil, err
		}
		w.holds = false
	}
	self, place := w.store.ring.stand()
	return list(ctx, w.kept.Conn, func(row pgx.CollectableRow) (n neighbour, err error) {
		var pid uint32
		if err = row.Scan((*nullID)(&n.id), &n.key, &n.held, &pid); err == nil && pid != w.kept.pid {
			w.store.refuseSessions(ctx)
			err = job.ErrNoSession
		}
		return n, err
	}, "Neighbours", dbID(self), place, watchSpan)
}

// retireDead retires a worker whose lifeline get gave us. We hold it meanwhile, so that
// a worker that lost it and lives cannot have taken it again; and shared, so that
// no other watch has to wait.
func (w *watch) retireDead(ctx context.Context, n neighbour, get func(context.Context, neighbour) (bool, error), tell func(job.Worker)) error {
	free, err := get(ctx, n)
	if err != nil || !free {
		return err
	}
	w.holds = true
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	dead, err := list(ctx, w.kept.Conn, scanWorker, "RetireWorker", dbID(n.id), job.RetiredLockLost, job.ActorSystem, "")
	if err != nil {
		return err
	}
	delete(w.seen, n.id)
	for _, d := range dead {
		tell(d)
	}
	return nil
}

// try takes the lifeline if it is free.
func (w *watch) try(ctx context.Context, n neighbour) (free bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	err = w.kept.QueryRow(ctx, `SELECT pg_try_advisory_lock_shared($1)`, n.key).Scan(&free)
	return free, err
}

// await waits for the lifeline, for a round at most: a longer wait would keep the
// server from cleaning up, and outlive its client. The end of the time is caught in
// the server, which would otherwise write an error into its log once a second.
func (w *watch) await(ctx context.Context, n neighbour) (free bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchRound+watchTimeout)
	defer cancel()
	results, err := w.kept.PgConn().Exec(ctx, fmt.Sprintf(`
SELECT set_config('directorybolt.free', '', false), set_config('lock_timeout', '%dms', false);
DO $$
BEGIN
    PERFORM pg_advisory_lock_shared(%d);
    PERFORM set_config('directorybolt.free', 'yes', false);
EXCEPTION WHEN lock_not_available THEN
    NULL;
END
$$;
SELECT current_setting('directorybolt.free')`, watchRound.Milliseconds(), n.key)).ReadAll()
	if err != nil {
		return false, err
	}
	last := results[len(results)-1]
	return len(last.Rows) == 1 && string(last.Rows[0][0]) == "yes", nil
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
