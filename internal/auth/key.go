package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The parts of a key's text.
const (
	keyPrefix  = "dbk_live_"
	idLength   = 8
	secretLen  = 32
	checkLen   = 6
	keyLength  = len(keyPrefix) + idLength + 1 + secretLen + checkLen
	alphabet   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// Key is what is kept of an API key. Times are UTC; the zero time means never.
type Key struct {
	ID         string    `json:"id"` // stands in the key's text
	Name       string    `json:"name"`
	Role       Role      `json:"role"`
	CustomerID uuid.UUID `json:"customer_id,omitzero"` // of customers' keys
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // up to a minute late
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
}

// Identity is who the key's owner is.
func (k Key) Identity() Identity {
	return Identity{KeyID: k.ID, Name: k.Name, Role: k.Role, CustomerID: k.CustomerID}
}

// Hash is what is kept of a key's or a session's text.
type Hash [sha256.Size]byte

// HashOf hashes a text.
func HashOf(text string) Hash { return sha256.Sum256([]byte(text)) }

// Mint makes a key: its text, to be shown once, and what is kept of it. CreatedAt is
// the store's to set.
func Mint(name string, role Role, customer uuid.UUID, expires time.Time, by string) (text string, k Key, err error) {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 100 {
		return "", Key{}, errors.New("a key needs a name of at most 100 characters, to tell it from others")
	}
	if err := checkOwner(role, customer); err != nil {
		return "", Key{}, err
	}
	id := random(idAlphabet, idLength)
	text = keyPrefix + id + "_" + random(alphabet, secretLen)
	text += checksum(text)
	return text, Key{ID: id, Name: name, Role: role, CustomerID: customer, ExpiresAt: expires, CreatedBy: by}, nil
}

// errNotAKey says what is wrong without repeating any of it.
var errNotAKey = fmt.Errorf("it is not a key; keys begin with %s and have %d characters", keyPrefix, keyLength)

// idOf reads the id out of a key's text. It proves nothing but that the text is whole.
func idOf(text string) (string, error) {
	if len(text) != keyLength || !strings.HasPrefix(text, keyPrefix) || text[len(keyPrefix)+idLength] != '_' {
		return "", errNotAKey
	}
	body, check := text[:keyLength-checkLen], text[keyLength-checkLen:]
	if checksum(body) != check {
		return "", errors.New("its checksum does not fit; it was cut or mistyped")
	}
	return text[len(keyPrefix) : len(keyPrefix)+idLength], nil
}

// checksum is the CRC-32 of a text in base 62.
func checksum(text string) string {
	n := crc32.ChecksumIEEE([]byte(text))
	var out [checkLen]byte
	for i := range out {
		out[checkLen-1-i] = alphabet[n%uint32(len(alphabet))]
		n /= uint32(len(alphabet))
	}
	return string(out[:])
}

// random is a text of n characters, each equally likely. It panics only when the
// system has no randomness.
func random(from string, n int) string {
	size := big.NewInt(int64(len(from)))
	var b strings.Builder
	for range n {
		i, err := rand.Int(rand.Reader, size)
		if err != nil {
			panic(err)
		}
		b.WriteByte(from[i.Int64()])
	}
	return b.String()
}
