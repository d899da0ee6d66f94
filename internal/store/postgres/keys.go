package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// AddKey keeps a key.
func (s *Store) AddKey(ctx context.Context, k auth.Key, h auth.Hash, by job.By) (auth.Key, error) {
	expires := pgtype.Timestamptz{Time: k.ExpiresAt, Valid: !k.ExpiresAt.IsZero()}
	at, err := one(ctx, s, "add key "+k.ID, "AddKey", scanTime, k.ID, plain(k.Name), string(k.Role), dbID(k.CustomerID), h[:], actor(by), expires, plain(by.Reason))
	if err != nil {
		return auth.Key{}, err
	}
	k.CreatedAt, k.CreatedBy = at, actor(by)
	return k, nil
}

func scanTime(row pgx.CollectableRow) (t time.Time, err error) {
	err = row.Scan((*nullTime)(&t))
	return t, err
}

// keptKey is a key with its hash.
type keptKey struct {
	auth.Key
	hash auth.Hash
}

func scanKey(row pgx.CollectableRow) (k keptKey, err error) {
	var hash []byte
	err = row.Scan(&k.ID, &k.Name, &k.Role, (*nullID)(&k.CustomerID), (*nullTime)(&k.CreatedAt), &k.CreatedBy,
		(*nullTime)(&k.ExpiresAt), (*nullTime)(&k.LastUsedAt), (*nullTime)(&k.RevokedAt), &hash)
	copy(k.hash[:], hash)
	return k, err
}

// KeyByID answers a key and its hash.
func (s *Store) KeyByID(ctx context.Context, id string) (auth.Key, auth.Hash, error) {
	k, err := one(ctx, s, "read key "+id, "GetKey", scanKey, id)
	return k.Key, k.hash, err
}

// Keys lists all keys.
func (s *Store) Keys(ctx context.Context) ([]auth.Key, error) {
	return all(ctx, s, "list keys", "ListKeys", func(row pgx.CollectableRow) (auth.Key, error) {
		k, err := scanKey(row)
		return k.Key, err
	})
}

// RevokeKey ends a key and its sessions.
func (s *Store) RevokeKey(ctx context.Context, id string, by job.By) error {
	what := "revoke key " + id
	n, err := changed(ctx, s, what, "RevokeKey", id, actor(by), plain(by.Reason))
	if err != nil || n > 0 {
		return err
	}
	if _, _, err := s.KeyByID(ctx, id); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: it is revoked already: %w", what, job.ErrState)
}

// KeysUsed notes when keys were last used.
func (s *Store) KeysUsed(ctx context.Context, ages map[string]time.Duration) error {
	ids, agos := make([]string, 0, len(ages)), make([]int64, 0, len(ages))
	for id, age := range ages {
		ids, agos = append(ids, id), append(agos, micros(max(age, 0)))
	}
	_, err := changed(ctx, s, "note the use of keys", "KeysUsed", ids, agos)
	return err
}

// AddSession opens a session.
func (s *Store) AddSession(ctx context.Context, h auth.Hash, keyID string, ttl time.Duration) (time.Time, error) {
	return one(ctx, s, "open a session of key "+keyID, "AddSession", scanTime, h[:], keyID, micros(ttl))
}

// SessionKey answers whose session it is.
func (s *Store) SessionKey(ctx context.Context, h auth.Hash) (string, error) {
	return one(ctx, s, "read a session", "SessionKey", scanText, h[:])
}

// EndSession ends a session.
func (s *Store) EndSession(ctx context.Context, h auth.Hash) error {
	_, err := changed(ctx, s, "end a session", "EndSession", h[:])
	return err
}

// earlier is what is kept of a request with an idempotency key.
type earlier struct {
	fingerprint idempotency.Fingerprint
	answered    bool
	answer      idempotency.Answer
}

func scanEarlier(row pgx.CollectableRow) (e earlier, err error) {
	var print []byte
	err = row.Scan(&print, &e.answered, &e.answer.Status, &e.answer.ContentType, &e.answer.Location, &e.answer.Body)
	copy(e.fingerprint[:], print)
	return e, err
}

// BeginRequest takes an idempotency key for a request.
func (s *Store) BeginRequest(ctx context.Context, owner, key string, f idempotency.Fingerprint) (*idempotency.Answer, error) {
	const what = "begin a request"
	for range tries { // what is freed between the two statements is taken the next time
		n, err := changed(ctx, s, what, "BeginRequest", plain(owner), plain(key), f[:], micros(idempotency.Hold), micros(idempotency.Keep))
		if err != nil || n > 0 {
			return nil, err
		}
		before, err := one(ctx, s, what, "EarlierRequest", scanEarlier, plain(owner), plain(key))
		switch {
		case errors.Is(err, job.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case before.fingerprint != f:
			return nil, idempotency.ErrMismatch
		case !before.answered:
			return nil, idempotency.ErrInProgress
		}
		return &before.answer, nil
	}
	return nil, idempotency.ErrInProgress
}

// EndRequest keeps the answer to a request, or frees its key.
func (s *Store) EndRequest(ctx context.Context, owner, key string, f idempotency.Fingerprint, a *idempotency.Answer) error {
	if a == nil {
		_, err := changed(ctx, s, "free an idempotency key", "FreeRequest", plain(owner), plain(key), f[:])
		return err
	}
	_, err := changed(ctx, s, "keep the answer to a request", "AnswerRequest", plain(owner), plain(key), f[:],
		a.Status, a.ContentType, a.Location, a.Body)
	return err
}

// Customer answers a customer.
func (s *Store) Customer(ctx context.Context, id uuid.UUID) (auth.Account, error) {
	return one(ctx, s, "read customer "+id.String(), "GetCustomer", func(row pgx.CollectableRow) (c auth.Account, err error) {
		err = row.Scan((*nullID)(&c.ID), &c.Email, &c.Name, &c.Canary, (*nullTime)(&c.CreatedAt))
		return c, err
	}, dbID(id))
}
