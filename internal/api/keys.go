package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
)

// keyRequest makes a key.
type keyRequest struct {
	Name       string     `json:"name"`
	Role       auth.Role  `json:"role"`
	CustomerID job.ID     `json:"customer_id,omitzero"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"` // never unless told
	Reason     string     `json:"reason,omitempty"`
}

// madeKey answers it, once.
type madeKey struct {
	Text string `json:"key"`
	auth.Key
}

// keptKey answers who asks for it again under the same Idempotency-Key. It is kept for a
// day, so it has neither the text nor anything personal.
type keptKey struct {
	ID        string    `json:"id"`
	Role      auth.Role `json:"role"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Detail    string    `json:"detail"` // what to do without the text
}

func (s *server) listKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.Store.Keys(r.Context())
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, pageOf(keys, len(keys), nil))
}

// createKey makes one key for an idempotency key. Its text is in the first answer alone.
func (s *server) createKey(w http.ResponseWriter, r *http.Request) error {
	var in keyRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	who := job.By{Actor: identityOf(r.Context()).Actor(), Reason: in.Reason}
	var expires time.Time
	if in.ExpiresAt != nil {
		if expires = *in.ExpiresAt; !expires.After(time.Now()) {
			return invalid("expires_at is in the past")
		}
	}
	text, k, err := auth.Mint(in.Name, in.Role, in.CustomerID, expires, who.Actor)
	if err != nil {
		return invalid("%v", err)
	}
	k, err = s.Store.AddKey(r.Context(), k, auth.HashOf(text), who)
	if errors.Is(err, job.ErrNotFound) {
		return refuse(http.StatusNotFound, codeCustomerNotFound, "there is no customer %s", in.CustomerID)
	}
	if err != nil {
		return err
	}
	return answerOnce(w, http.StatusCreated, madeKey{text, k}, keptKey{
		ID: k.ID, Role: k.Role, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
		Detail: "the text of this key was in the first answer alone; if that is lost, revoke the key and make another",
	})
}

func (s *server) revokeKey(w http.ResponseWriter, r *http.Request) error {
	err := s.Store.RevokeKey(r.Context(), r.PathValue("key"), job.By{Actor: identityOf(r.Context()).Actor()})
	if errors.Is(err, job.ErrState) {
		return refuse(http.StatusConflict, codeInvalidStatus, "the key is revoked already")
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
