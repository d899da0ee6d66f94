package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// ErrRefused: the key or session proves nothing. The text says why as far as who
// holds it may know.
var ErrRefused = errors.New("refused")

const (
	// rememberFor is how long an answer is good without asking the store again: a
	// revoked key works that much longer, in each process.
	rememberFor = 5 * time.Second
	// rememberMost bounds what is remembered.
	rememberMost = 10_000
	// noteEvery is the time between two notes of when keys were used.
	noteEvery = time.Minute
)

// Verifier tells whose key it is. It may be used concurrently.
type Verifier struct {
	keys     Keys
	sessions Sessions

	mu    sync.Mutex
	known map[Hash]known
	used  map[string]time.Time // keys used since the last note
}

type known struct {
	key   Key
	until time.Time
}

// NewVerifier builds a verifier.
func NewVerifier(keys Keys, sessions Sessions) *Verifier {
	return &Verifier{keys: keys, sessions: sessions, known: map[Hash]known{}, used: map[string]time.Time{}}
}

// Verify proves a key's text. The error wraps [ErrRefused] when it is no valid key;
// any other error is the store's.
func (v *Verifier) Verify(ctx context.Context, text string) (Identity, error) {
	id, err := idOf(text)
	if err != nil {
		return Identity{}, fmt.Errorf("key %w: %w", ErrRefused, err)
	}
	hash := HashOf(text)
	k, ok := v.recall(hash)
	if !ok {
		k, err = v.ask(ctx, id, hash)
		if err != nil {
			return Identity{}, err
		}
		v.remember(hash, k)
	}
	return v.admit(k)
}

// ask reads the key from the store and compares. Whether there is no such id or the
// secret is wrong is not told apart.
func (v *Verifier) ask(ctx context.Context, id string, hash Hash) (Key, error) {
	k, want, err := v.keys.KeyByID(ctx, id)
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return Key{}, fmt.Errorf("look up key %s: %w", id, err)
	}
	if subtle.ConstantTimeCompare(hash[:], want[:]) != 1 || err != nil {
		return Key{}, fmt.Errorf("key %w: nobody has it", ErrRefused)
	}
	return k, nil
}

// VerifySession proves a session's text.
func (v *Verifier) VerifySession(ctx context.Context, text string) (Identity, error) {
	hash := HashOf(text)
	k, ok := v.recall(hash)
	if !ok {
		id, err := v.sessions.SessionKey(ctx, hash)
		if errors.Is(err, job.ErrNotFound) {
			return Identity{}, fmt.Errorf("session %w: it is over, sign in again", ErrRefused)
		}
		if err != nil {
			return Identity{}, fmt.Errorf("look up session: %w", err)
		}
		if k, _, err = v.keys.KeyByID(ctx, id); err != nil {
			return Identity{}, fmt.Errorf("look up the key of a session: %w", err)
		}
		v.remember(hash, k)
	}
	return v.admit(k)
}

// Forget drops what is remembered of a session that was ended.
func (v *Verifier) Forget(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, HashOf(text))
}

// admit refuses a key that is over, by this machine's clock: it is the holder's
// deadline, not a lease between machines.
func (v *Verifier) admit(k Key) (Identity, error) {
	now := time.Now()
	switch {
	case !k.RevokedAt.IsZero():
		return Identity{}, fmt.Errorf("key %w: it was revoked", ErrRefused)
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return Identity{}, fmt.Errorf("key %w: it expired at %s", ErrRefused, k.ExpiresAt.Format(time.RFC3339))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.used[k.ID] = now
	return k.Identity(), nil
}

func (v *Verifier) recall(h Hash) (Key, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ok := v.known[h]
	return k.key, ok && time.Now().Before(k.until)
}

func (v *Verifier) remember(h Hash, k Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= rememberMost {
		clear(v.known) // asked again, once each
	}
	v.known[h] = known{key: k, until: time.Now().Add(rememberFor)}
}

// Run notes once a minute when keys were used, until ctx ends, and once more then.
func (v *Verifier) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // the process is about to end
			defer cancel()
			v.note(last, log)
			return nil
		case <-tick.C:
			v.note(ctx, log)
		}
	}
}

// note tells the store when keys were used. What fails is told again next time.
func (v *Verifier) note(ctx context.Context, log *slog.Logger) {
	v.mu.Lock()
	told := maps.Clone(v.used)
	v.mu.Unlock()
	if len(told) == 0 {
		return
	}
	ages := make(map[string]time.Duration, len(told))
	for id, at := range told {
		ages[id] = time.Since(at)
	}
	if err := v.keys.KeysUsed(ctx, ages); err != nil {
		log.DebugContext(ctx, "last use of keys not noted, will try again", "error", err.Error())
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	maps.DeleteFunc(v.used, func(id string, at time.Time) bool { return at.Equal(told[id]) })
}
