package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/ratelimit"
)

// LimitsConfig says how the logs of rate limits are kept.
type LimitsConfig struct {
	// Commit waits for the disk at each transaction, as if every policy were durable.
	Commit bool
}

// Limits keeps the logs of rate limits on a connection of its own. It goes between
// two groups of the writer. It is safe for concurrent use.
type Limits struct {
	store  *Store
	ses    *session
	turn   chan struct{} // held while the session is in use
	commit bool
}

var _ ratelimit.Storage = (*Limits)(nil)

// Limits opens the logs of rate limits in this file. The caller closes them before
// the store.
func (s *Store) Limits(ctx context.Context, c LimitsConfig) (*Limits, error) {
	ses, err := openSession(ctx, s.path, 0)
	if err != nil {
		return nil, fmt.Errorf("open rate limits: %w", s.explain(err))
	}
	return &Limits{store: s, ses: ses, turn: make(chan struct{}, 1), commit: c.Commit}, nil
}

// Close ends its connection when a transaction under way is done.
func (l *Limits) Close() error {
	l.turn <- struct{}{}
	return l.ses.close()
}

// Ping implements [ratelimit.Storage]. A file that cannot be written is not alive.
func (l *Limits) Ping(ctx context.Context) error {
	err := l.transact(ctx, false, func(*tx) error { return nil })
	if err != nil {
		return fmt.Errorf("ping rate limits: %w", err)
	}
	return nil
}

// Admit implements [ratelimit.Storage].
func (l *Limits) Admit(ctx context.Context, asks []ratelimit.Ask) ([]ratelimit.Answer, error) {
	answers := make([]ratelimit.Answer, len(asks))
	durable := l.commit
	for _, a := range asks {
		durable = durable || a.Durable
	}
	err := l.transact(ctx, durable, func(t *tx) (err error) {
		for i, a := range asks {
			if answers[i], err = t.admit(a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("admit %d keys: %w", len(asks), err)
	}
	return answers, nil
}

func (t *tx) admit(a ratelimit.Ask) (ratelimit.Answer, error) {
	hits, err := one(t, func(r row) (hits []byte, err error) {
		err = r.Scan(&hits)
		return hits, err
	}, q.ReadRateLimit, a.Key[:])
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return ratelimit.Answer{}, err
	}
	log, answer := decodeLog(hits).Admit(a, t.now)
	_, err = t.exec(q.WriteRateLimit, a.Key[:], log.Last()+a.Window.Milliseconds(), encodeLog(log))
	return answer, err
}

func decodeLog(b []byte) ratelimit.Log {
	log := make(ratelimit.Log, len(b)/8, len(b)/8+2)
	for i := range log {
		log[i] = int64(binary.BigEndian.Uint64(b[8*i:]))
	}
	return log
}

func encodeLog(log ratelimit.Log) []byte {
	b := make([]byte, 0, 8*len(log))
	for _, e := range log {
		b = binary.BigEndian.AppendUint64(b, uint64(e))
	}
	return b
}

// transact performs fn in one transaction, and returns soon after ctx ends: what has
// begun by then goes on behind the caller's back, and may yet be committed. Every
// error before the commit is ErrUncounted.
func (l *Limits) transact(ctx context.Context, durable bool, fn func(*tx) error) error {
	release, err := l.enter(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ratelimit.ErrUncounted, err)
	}
	done := make(chan error, 1)
	go func() {
		defer release()
		done <- l.perform(ctx, durable, fn)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter waits for this connection and for the writer's turn.
func (l *Limits) enter(ctx context.Context) (release func(), err error) {
	w := l.store.writer
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case w.turn <- struct{}{}:
		return func() { <-w.turn; <-l.turn }, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-w.ended:
		err = errClosed
	}
	<-l.turn
	return nil, err
}

func (l *Limits) perform(ctx context.Context, durable bool, fn func(*tx) error) error {
	uncounted := func(err error) error { return fmt.Errorf("%w: %w", ratelimit.ErrUncounted, l.store.explain(err)) }
	// Between transactions only. NORMAL keeps a commit through the end of the process,
	// not through that of the machine; the next commit of the jobs takes it along.
	sync := "PRAGMA synchronous(NORMAL)"
	if durable {
		sync = "PRAGMA synchronous(FULL)"
	}
	if err := l.ses.exec(sync); err != nil {
		return uncounted(err)
	}
	if err := l.ses.begin(ctx); err != nil {
		return uncounted(err)
	}
	err := fn(newTx(l.store, l.ses))
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		if err = l.ses.exec("COMMIT"); err == nil {
			return nil
		}
	}
	_ = l.ses.exec("ROLLBACK") // fails where SQLite has rolled back already
	return uncounted(err)
}

// Sweep implements [ratelimit.Storage].
func (l *Limits) Sweep(ctx context.Context, limit int) (swept int, err error) {
	err = l.transact(ctx, false, func(t *tx) error {
		n, err := t.exec(q.SweepRateLimits, t.now/1000, limit)
		swept = int(n)
		return err
	})
	return swept, err
}

// Secret returns the secret of that name, which all processes on this file share. It
// is made when first asked for.
func (s *Store) Secret(ctx context.Context, name string) (value []byte, err error) {
	made := make([]byte, 32)
	_, _ = rand.Read(made) // never fails
	err = s.write(ctx, func(t *tx) error {
		if _, err := t.exec(q.KeepSecret, name, made, t.now); err != nil {
			return err
		}
		value, err = one(t, func(r row) (value []byte, err error) {
			err = r.Scan(&value)
			return value, err
		}, q.ReadSecret, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("keep the secret %s: %w", name, err)
	}
	return value, nil
}
