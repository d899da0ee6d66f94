package auth

import (
	"context"
	"time"

	"github.com/directorybolt/directorybolt/internal/job"
)

// Keys keeps API keys. All methods may be called concurrently. Times are the store's.
type Keys interface {
	// AddKey keeps a key that [Mint] made, and journals who made it. It gives the key
	// its CreatedAt. job.ErrNotFound when its customer is unknown.
	AddKey(ctx context.Context, k Key, h Hash, by job.By) (Key, error)

	// KeyByID answers a key and its hash, also a revoked or expired one;
	// job.ErrNotFound when there is none.
	KeyByID(ctx context.Context, id string) (Key, Hash, error)

	// Keys lists all keys, the newest first.
	Keys(ctx context.Context) ([]Key, error)

	// RevokeKey ends a key and its sessions for ever and journals it. job.ErrNotFound
	// when there is none, job.ErrState when it is revoked already.
	RevokeKey(ctx context.Context, id string, by job.By) error

	// KeysUsed notes when keys were last used, ages ago each; never backwards.
	KeysUsed(ctx context.Context, ages map[string]time.Duration) error
}

// Sessions keeps browser sessions. A session stands for the key that opened it.
type Sessions interface {
	// AddSession opens a session for so long and answers its end. Those that are over
	// are forgotten on the way.
	AddSession(ctx context.Context, h Hash, keyID string, ttl time.Duration) (time.Time, error)

	// SessionKey answers the id of the key whose session it is, while it lasts; else
	// job.ErrNotFound.
	SessionKey(ctx context.Context, h Hash) (string, error)

	// EndSession ends a session; one that is not there is no error.
	EndSession(ctx context.Context, h Hash) error
}

// NewSession is the text of a fresh session, for the cookie: 43 characters, 256 bits.
func NewSession() string { return random(alphabet, 43) }
