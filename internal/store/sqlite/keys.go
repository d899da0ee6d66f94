package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
)

// AddKey implements [auth.Keys].
func (s *Store) AddKey(ctx context.Context, k auth.Key, h auth.Hash, by job.By) (auth.Key, error) {
	k.CreatedBy = actorOf(by)
	err := s.write(ctx, func(t *tx) error {
		k.CreatedAt = fromMicros(t.now)
		n, err := t.exec(q.AddKey, k.ID, clean(k.Name), string(k.Role), idOrNull(k.CustomerID), h[:], t.now, clean(k.CreatedBy), microsOrNull(k.ExpiresAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return job.ErrNotFound
		}
		return t.journal(job.JournalEntry{By: by, Act: job.ActMintKey, Count: 1, Subject: "key " + k.ID})
	})
	if err != nil {
		return auth.Key{}, fmt.Errorf("add key %s: %w", k.ID, err)
	}
	return k, nil
}

// keptKey is a key with its hash.
type keptKey struct {
	auth.Key
	hash auth.Hash
}

func scanKey(r row) (k keptKey, err error) {
	var hash []byte
	err = r.Scan(&k.ID, &k.Name, &k.Role, &k.CustomerID, moment{&k.CreatedAt}, &k.CreatedBy,
		moment{&k.ExpiresAt}, moment{&k.LastUsedAt}, moment{&k.RevokedAt}, &hash)
	copy(k.hash[:], hash)
	return k, err
}

// KeyByID implements [auth.Keys].
func (s *Store) KeyByID(ctx context.Context, id string) (auth.Key, auth.Hash, error) {
	k, err := one(s.read(ctx), scanKey, q.GetKey, id)
	if err != nil {
		return auth.Key{}, auth.Hash{}, fmt.Errorf("read key %s: %w", id, s.explain(err))
	}
	return k.Key, k.hash, nil
}

// Keys implements [auth.Keys].
func (s *Store) Keys(ctx context.Context) ([]auth.Key, error) {
	kept, err := all(s.read(ctx), scanKey, q.ListKeys)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", s.explain(err))
	}
	keys := make([]auth.Key, len(kept))
	for i, k := range kept {
		keys[i] = k.Key
	}
	return keys, nil
}

// RevokeKey implements [auth.Keys].
func (s *Store) RevokeKey(ctx context.Context, id string, by job.By) error {
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec(q.RevokeKey, id, t.now)
		if err != nil {
			return err
		}
		if n == 0 {
			if _, err := one(t, scanKey, q.GetKey, id); err != nil {
				return err
			}
			return fmt.Errorf("it is revoked already: %w", job.ErrState)
		}
		if _, err = t.exec(q.EndSessionsOfKey, id); err != nil {
			return err
		}
		return t.journal(job.JournalEntry{By: by, Act: job.ActRevokeKey, Count: 1, Subject: "key " + id})
	})
	if err != nil {
		return fmt.Errorf("revoke key %s: %w", id, err)
	}
	return nil
}

// KeysUsed implements [auth.Keys].
func (s *Store) KeysUsed(ctx context.Context, ages map[string]time.Duration) error {
	err := s.write(ctx, func(t *tx) error {
		for id, age := range ages {
			if _, err := t.exec(q.KeysUsed, id, t.now-max(age, 0).Microseconds()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the use of keys: %w", err)
	}
	return nil
}

// AddSession implements [auth.Sessions].
func (s *Store) AddSession(ctx context.Context, h auth.Hash, keyID string, ttl time.Duration) (end time.Time, err error) {
	err = s.write(ctx, func(t *tx) error {
		if _, err := t.exec(q.EndOldSessions, t.now); err != nil {
			return err
		}
		end = fromMicros(t.now + ttl.Microseconds())
		_, err := t.exec(q.AddSession, h[:], keyID, t.now, end.UnixMicro())
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("open a session of key %s: %w", keyID, err)
	}
	return end, nil
}

// SessionKey implements [auth.Sessions].
func (s *Store) SessionKey(ctx context.Context, h auth.Hash) (string, error) {
	id, err := one(s.read(ctx), scanText, q.SessionKey, h[:], s.clock().UnixMicro())
	if err != nil {
		return "", fmt.Errorf("read a session: %w", s.explain(err))
	}
	return id, nil
}

// EndSession implements [auth.Sessions].
func (s *Store) EndSession(ctx context.Context, h auth.Hash) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec(q.EndSession, h[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// earlier is what is kept of a request with an idempotency key.
type earlier struct {
	fingerprint idempotency.Fingerprint
	answered    bool
	answer      idempotency.Answer
}

func scanEarlier(r row) (e earlier, err error) {
	var print []byte
	err = r.Scan(&print, &e.answered, &e.answer.Status, &e.answer.ContentType, &e.answer.Location, &e.answer.Body)
	copy(e.fingerprint[:], print)
	return e, err
}

// BeginRequest implements [idempotency.Store].
func (s *Store) BeginRequest(ctx context.Context, owner, key string, f idempotency.Fingerprint) (a *idempotency.Answer, err error) {
	err = s.write(ctx, func(t *tx) error {
		n, err := t.exec(q.BeginRequest, clean(owner), clean(key), f[:], t.now+idempotency.Hold.Microseconds(), t.now, t.now-idempotency.Keep.Microseconds())
		if err != nil || n > 0 {
			return err
		}
		before, err := one(t, scanEarlier, q.EarlierRequest, clean(owner), clean(key))
		switch {
		case err != nil:
			return err
		case before.fingerprint != f:
			return idempotency.ErrMismatch
		case !before.answered:
			return idempotency.ErrInProgress
		}
		a = &before.answer
		return nil
	})
	if errors.Is(err, idempotency.ErrMismatch) || errors.Is(err, idempotency.ErrInProgress) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("begin a request: %w", err)
	}
	return a, nil
}

// EndRequest implements [idempotency.Store].
func (s *Store) EndRequest(ctx context.Context, owner, key string, f idempotency.Fingerprint, a *idempotency.Answer) error {
	err := s.write(ctx, func(t *tx) error {
		if a == nil {
			_, err := t.exec(q.FreeRequest, clean(owner), clean(key), f[:])
			return err
		}
		_, err := t.exec(q.AnswerRequest, clean(owner), clean(key), f[:], a.Status, a.ContentType, a.Location, a.Body, t.now)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the answer to a request: %w", err)
	}
	return nil
}

// Customer implements [auth.Customers].
func (s *Store) Customer(ctx context.Context, id uuid.UUID) (auth.Account, error) {
	c, err := one(s.read(ctx), func(r row) (c auth.Account, err error) {
		err = r.Scan(&c.ID, &c.Email, &c.Name, &c.Canary, moment{&c.CreatedAt})
		return c, err
	}, q.GetCustomer, id.String())
	if err != nil {
		return auth.Account{}, fmt.Errorf("read customer %s: %w", id, s.explain(err))
	}
	return c, nil
}
