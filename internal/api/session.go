package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
)

// sessionTTL is how long a browser stays signed in.
const sessionTTL = 12 * time.Hour

// signInTimeout is how long a sign-in takes, waiting for its turn too: well before the
// server would not send the answer any more, and a session be made whose cookie nobody got.
const signInTimeout = 5 * time.Second

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
	ctx, cancel := context.WithTimeout(r.Context(), signInTimeout)
	defer cancel()
	var who auth.Identity
	var err error
	tried := s.Limiter.Try(w, r.WithContext(ctx), policyAuth, func() (keyID string, failed bool) {
		who, err = s.Keys.Verify(ctx, in.Key)
		return who.KeyID, errors.Is(err, auth.ErrRefused)
	})
	if !tried {
		return errAnswered
	}
	if err != nil {
		return overdue(ctx, err)
	}
	text := auth.NewSession()
	end, err := s.Store.AddSession(ctx, auth.HashOf(text), who.KeyID, sessionTTL)
	if err != nil {
		return overdue(ctx, err)
	}
	http.SetCookie(w, s.cookie(text, end))
	return answerJSON(w, http.StatusCreated, who)
}

// overdue names the time limit where it is why: a database may say no more than that a
// statement was cancelled.
func overdue(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
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
