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
	Name       string    `json:"name"`
	Role       auth.Role `json:"role"`
	CustomerID job.ID    `json:"customer_id,omitzero"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	Reason     string    `json:"reason,omitempty"`
}

// madeKey answers it, once.
type madeKey struct {
	Text string `json:"key"`
	auth.Key
}

func (s *server) listKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.Store.Keys(r.Context())
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, pageOf(keys, len(keys), nil))
}

// createKey is not repeated under an idempotency key: the answer would have to be
// kept, and with it the key's text.
func (s *server) createKey(w http.ResponseWriter, r *http.Request) error {
	var in keyRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	who := job.By{Actor: identityOf(r.Context()).Actor(), Reason: in.Reason}
	if !in.ExpiresAt.IsZero() && !in.ExpiresAt.After(time.Now()) {
		return invalid("expires_at is in the past")
	}
	text, k, err := auth.Mint(in.Name, in.Role, in.CustomerID, in.ExpiresAt, who.Actor)
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
	return answerJSON(w, http.StatusCreated, madeKey{text, k})
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
