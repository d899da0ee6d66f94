// Package idempotency remembers the answers to requests that carry an
// Idempotency-Key, so that a client which heard no answer can ask again and the act
// is done once (draft-ietf-httpapi-idempotency-key-header-07).
//
// The room is the contract alone: a store keeps the answers, the api asks for them.
package idempotency

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

// MaxKey bounds the length of a key, in bytes.
const MaxKey = 255

// Keep is how long an answer is remembered, after the draft's advice of a day.
const Keep = 24 * time.Hour

// Hold is how long a request may run before another one with the same key may take
// its place: whoever held it has died. It is longer than the server lets any run.
const Hold = time.Minute

var (
	// ErrInProgress: a request with the key is being answered right now.
	ErrInProgress = errors.New("a request with this Idempotency-Key is in progress")
	// ErrMismatch: the key was used for another request.
	ErrMismatch = errors.New("this Idempotency-Key was used for another request")
)

// Fingerprint tells one request from another: method, path and body.
type Fingerprint [sha256.Size]byte

// FingerprintOf makes the fingerprint of a request.
func FingerprintOf(method, path string, body []byte) Fingerprint {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(method), []byte(path), body} {
		_, _ = h.Write(part)
		_, _ = h.Write([]byte{0}) // neither method nor path has one
	}
	return Fingerprint(h.Sum(nil))
}

// Answer is what was answered.
type Answer struct {
	Status      int
	ContentType string
	Location    string
	Body        []byte
}

// Store keeps keys by owner: one client cannot meet another's. All methods may be
// called concurrently.
type Store interface {
	// BeginRequest takes the key for a request. It answers the earlier answer when
	// the same request was answered within [Keep], nil when the caller is to act now.
	// ErrInProgress and ErrMismatch refuse it.
	BeginRequest(ctx context.Context, owner, key string, f Fingerprint) (*Answer, error)

	// EndRequest keeps the answer. Without one (nil) the key is free again: nothing
	// was done, and the client may try once more.
	EndRequest(ctx context.Context, owner, key string, f Fingerprint, a *Answer) error
}
