package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/directorybolt/directorybolt/internal/job"
)

// ErasureSecret names the secret that turns identities into [ErasedIdentity].
const ErasureSecret = "erasure"

// ErasedIdentity stands for the identity of a business whose customer was erased: the
// same for the same business, and of no use to whoever lacks the secret.
func ErasedIdentity(secret []byte, identity string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(identity))
	return "erased:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// CustomerJob is a job of a customer that is to be erased.
type CustomerJob struct {
	ID    job.ID
	Kind  string
	State job.State
}

// Erasable parts a customer's jobs: every id, and those rechecks that must be cancelled
// first. The error is ErrState when an order is not over: it still needs the profile.
func Erasable(jobs []CustomerJob) (all, rechecks []job.ID, err error) {
	var open []string
	for _, j := range jobs {
		all = append(all, j.ID)
		switch {
		case j.State.Final():
		case j.Kind == job.KindRecheck:
			rechecks = append(rechecks, j.ID)
		default:
			open = append(open, fmt.Sprintf("%s %s is %s", j.Kind, j.ID, j.State))
		}
	}
	if len(open) > 0 {
		err = fmt.Errorf("%s: %w", strings.Join(open[:min(len(open), 5)], ", "), job.ErrState)
	}
	return all, rechecks, err
}

// ErasedReason is why the rechecks of an erased customer are cancelled and its letters
// purged.
const ErasedReason = "the customer was erased"
