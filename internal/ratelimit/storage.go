package ratelimit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	stdhash "hash"
	"sync"
	"time"
)

// Storage keeps the logs. All instances that share one count together. It is safe
// for concurrent use.
type Storage interface {
	// Admit answers asks, in their order, in one atomic step each: what it grants is
	// in the log before it answers, at the time of the storage's own clock, read
	// when no other can change the log any more. Asks are sorted by key and name each
	// key once, so that two callers cannot block each other.
	//
	// It returns soon after ctx ends. An error means that any of the asks may have
	// been counted, unless it is [ErrUncounted]: then none was.
	Admit(ctx context.Context, asks []Ask) ([]Answer, error)

	// Ping asks for a sign of life.
	Ping(ctx context.Context) error

	// Sweep forgets up to limit logs that have no stamp in their window any more, and
	// returns how many it forgot.
	Sweep(ctx context.Context, limit int) (int, error)
}

// ErrUncounted is wrapped by errors of [Storage.Admit] after which it is certain
// that nothing was counted.
var ErrUncounted = errors.New("nothing was counted")

// Key names a log: a policy and whom it counts. It says neither.
type Key [16]byte

// Subject is whom a policy counts.
type Subject struct {
	Kind string // what ID is, such as "addr" or "key": the same text of two kinds is two subjects
	ID   string
}

// Ask is what an instance wants to know about one key, and what it knows itself.
type Ask struct {
	Key     Key
	N       int // requests that wait for the answer; zero only pays a debt
	Limit   int
	Window  time.Duration // whole milliseconds
	Durable bool          // see Policy

	// Debt is how many requests this instance let pass without asking, the last one
	// DebtAge ago. They join the log, also beyond the limit.
	Debt    int
	DebtAge time.Duration

	// Known, when not zero, is how many stamps this instance saw in the log at KnownAt
	// of the storage's clock, in milliseconds; until KnownUntil none of them leaves. A
	// storage that has fewer has lost some in a crash, and fills them up.
	Known               int
	KnownAt, KnownUntil int64
}

// Answer is what the log says.
type Answer struct {
	Granted int // of the N requests, the first so many pass
	Used    int // stamps in the log now
	// FreeAt is when the log next has room for more than now, and At when it was
	// read: milliseconds of the storage's clock.
	FreeAt, At int64
}

// Left is how many more would pass.
func (a Answer) Left(limit int) int { return max(0, limit-a.Used) }

// FreeIn is the time until the log has room for more than now. It is never less
// than the truth, and more by less than a millisecond.
func (a Answer) FreeIn() time.Duration { return time.Duration(a.FreeAt-a.At) * time.Millisecond }

// keyer makes keys under a secret, so that whoever reads the storage learns neither
// addresses nor the ids of API keys.
type keyer struct{ pool sync.Pool }

func newKeyer(secret []byte) *keyer {
	return &keyer{sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// key is the first 16 bytes of HMAC-SHA256(secret, policy | kind | id). Names hold
// no NUL, so no two subjects run together.
func (k *keyer) key(policy string, s Subject) (key Key) {
	h := k.pool.Get().(stdhash.Hash)
	h.Reset()
	text := make([]byte, 0, 128)
	text = append(append(text, policy...), 0)
	text = append(append(text, s.Kind...), 0)
	_, _ = h.Write(append(text, s.ID...)) // a hash never fails
	copy(key[:], h.Sum(text[:0]))
	k.pool.Put(h)
	return key
}
