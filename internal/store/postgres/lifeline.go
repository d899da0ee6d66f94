package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// lifelineCheck is the time between two looks whether a lifeline that nobody said
// anything about is still in its session. It also keeps middleboxes from forgetting
// the connection.
const lifelineCheck = 15 * time.Second

// lifelineSettings are for the sessions that hold a lifeline or wait for one, as far
// as the server has them. A session whose client cannot be reached ends about when a
// lease would, no sooner; one that waits notices within a second that its client is
// gone; and it may be idle for ever.
const lifelineSettings = `
SELECT set_config(want.name, want.value, false)
  FROM (VALUES ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'),
               ('client_connection_check_interval', '1s'), ('idle_session_timeout', '0'),
               ('statement_timeout', '30s'), ('lock_timeout', '5s')) AS want (name, value)
  JOIN pg_settings USING (name)`

// sessions tells whether the way to the database that is meant for sessions really
// gives them: a lock taken in a session that is handed to somebody else would be held
// by nobody, and look as if somebody died.
type sessions struct {
	mu    sync.Mutex
	known bool
	given bool
}

// requireSessions proves the mode before the first lock, unless Open has done so. A
// configured mode and a direct URL are claims, not proofs.
func (s *Store) requireSessions(ctx context.Context) error {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	if !s.sessions.known {
		mode, why, err := prove(ctx, s.direct)
		if err != nil {
			return err
		}
		s.sessions.known, s.sessions.given = true, mode == Session
		if mode != Session {
			s.config.Log.WarnContext(ctx, "the connection that should give sessions does not: dead workers are found by their lease only; "+
				"see DATABASE_POOLING and DATABASE_DIRECT_URL", "mode", mode, "proof", why)
		}
	}
	if !s.sessions.given {
		return job.ErrNoSession
	}
	return nil
}

// refuseSessions stops the use of session locks: a connection turned out to be
// handed from one session to another.
func (s *Store) refuseSessions(ctx context.Context) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	if s.sessions.given {
		s.config.Log.ErrorContext(ctx, "a connection changed its session under us: dead workers are found by their lease only; "+
			"the way to Postgres leads through a transaction pooler, set DATABASE_DIRECT_URL")
	}
	s.sessions.known, s.sessions.given = true, false
}

// keptSession is a connection with a session of its own, and the proof of that.
type keptSession struct {
	*pgx.Conn
	pid uint32
}

// keepSession opens one.
func (s *Store) keepSession(ctx context.Context) (k keptSession, err error) {
	if err := s.requireSessions(ctx); err != nil {
		return k, err
	}
	if k.Conn, err = pgx.ConnectConfig(ctx, s.direct); err != nil {
		return k, err
	}
	_, err = k.Exec(ctx, lifelineSettings)
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		err = nil // what this platform has no such setting for
	}
	if err == nil {
		k.pid, err = k.backend(ctx)
	}
	if err != nil {
		k.end()
	}
	return k, err
}

func (k keptSession) backend(ctx context.Context) (pid uint32, err error) {
	err = k.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid)
	return pid, err
}

func (k keptSession) end() { _ = k.Close(context.Background()) }

// lifeline is a worker's lock and the session that holds it. The session is idle, so
// the server notices within milliseconds that its client died.
type lifeline struct {
	store  *Store
	worker job.ID
	kept   keptSession
	ctx    context.Context
	stop   context.CancelFunc
	cut    chan struct{}
	ended  chan struct{}
}

// Lifeline implements [job.Lifelines].
func (s *Store) Lifeline(ctx context.Context, worker job.ID) (job.Lifeline, error) {
	kept, err := s.keepSession(ctx)
	if err != nil {
		return nil, fmt.Errorf("hold the lifeline of worker %s: %w", worker, readable(err))
	}
	if _, err := kept.Exec(ctx, statements.Get("HoldLifeline"), dbID(worker)); err != nil {
		kept.end()
		return nil, fmt.Errorf("hold the lifeline of worker %s: %w", worker, readable(err))
	}
	l := &lifeline{store: s, worker: worker, kept: kept, cut: make(chan struct{}), ended: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	s.ring.join(l)
	go l.keep()
	return l, nil
}

// Cut implements [job.Lifeline].
func (l *lifeline) Cut() <-chan struct{} { return l.cut }

// Release implements [job.Lifeline].
func (l *lifeline) Release() {
	l.stop()
	<-l.ended
}

// keep listens to the session until it ends or is ended.
func (l *lifeline) keep() {
	defer close(l.ended)
	defer l.store.ring.leave(l)
	defer l.kept.end()
	for {
		err := l.quiet()
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			l.store.config.Log.WarnContext(l.ctx, "lifeline cut, taking it again", "worker_id", l.worker, "error", readable(err).Error())
			close(l.cut)
			return
		}
	}
}

// quiet waits for a word of the server, which is never good, and after a while asks
// whether the session is still the one that has the lock.
func (l *lifeline) quiet() error {
	ctx, cancel := context.WithTimeout(l.ctx, lifelineCheck)
	defer cancel()
	_, err := l.kept.WaitForNotification(ctx)
	if err == nil || !pgconn.Timeout(err) || l.ctx.Err() != nil {
		return err
	}
	pid, err := l.kept.backend(l.ctx)
	if err == nil && pid != l.kept.pid {
		l.store.refuseSessions(l.ctx)
		err = job.ErrNoSession
	}
	return err
}
