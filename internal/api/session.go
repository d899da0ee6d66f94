package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
)

// sessionTTL is how long a browser stays signed in.
const sessionTTL = 12 * time.Hour

// sessionRequest signs a browser in.
type sessionRequest struct {
	Key string `json:"key"`
}

// signIn opens a session for a key. The cookie is out of reach of scripts and goes to
// this origin only.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := s.sameOrigin.Check(r); err != nil {
		return refuse(http.StatusForbidden, codeForbidden, "a page of another origin may not do this")
	}
	var in sessionRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	var who auth.Identity
	var err error
	tried := s.Limiter.Try(w, r, policyAuth, func() (keyID string, failed bool) {
		who, err = s.Keys.Verify(r.Context(), in.Key)
		return who.KeyID, errors.Is(err, auth.ErrRefused)
	})
	if !tried {
		return errAnswered
	}
	if err != nil {
		return err
	}
	text := auth.NewSession()
	end, err := s.Store.AddSession(r.Context(), auth.HashOf(text), who.KeyID, sessionTTL)
	if err != nil {
		return err
	}
	http.SetCookie(w, s.cookie(text, end))
	return answerJSON(w, http.StatusCreated, who)
}

func (s *server) cookie(text string, end time.Time) *http.Cookie {
	return &http.Cookie{
		Name: s.cookieName(), Value: text, Path: "/", Expires: end,
		HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode,
	}
}

func (s *server) whoAmI(w http.ResponseWriter, r *http.Request) error {
	return answerJSON(w, http.StatusOK, identityOf(r.Context()))
}

// signOut ends the session that the browser shows. One that is over is no error.
func (s *server) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.sameOrigin.Check(r); err != nil {
		return refuse(http.StatusForbidden, codeForbidden, "a page of another origin may not do this")
	}
	if c, err := r.Cookie(s.cookieName()); err == nil {
		if err := s.Store.EndSession(r.Context(), auth.HashOf(c.Value)); err != nil {
			return err
		}
		s.Keys.Forget(c.Value)
	}
	gone := s.cookie("", time.Unix(0, 0))
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
