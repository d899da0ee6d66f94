package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
)

const identityKey contextKey = 1

// identityOf is who asks; the zero identity is anonymous.
func identityOf(ctx context.Context) auth.Identity {
	who, _ := ctx.Value(identityKey).(auth.Identity)
	return who
}

// public is the role of those who prove nothing.
const public auth.Role = "public"

// Who may ask a route.
var (
	anybody   = []auth.Role{public, auth.Customer, auth.Worker, auth.Staff, auth.Admin}
	keyed     = []auth.Role{auth.Customer, auth.Worker, auth.Staff, auth.Admin}
	customers = []auth.Role{auth.Customer, auth.Staff, auth.Admin} // customers see their own
	workers   = []auth.Role{auth.Worker}
	staff     = []auth.Role{auth.Staff, auth.Admin}
	admins    = []auth.Role{auth.Admin}
)

// Names of the rate policies (package ratelimit).
const (
	policyPublic    = "public"
	policyAuth      = "auth"
	policyStaff     = "staff"
	policyStaffEdit = "staff_write"
	policyAdmin     = "admin"
	policyKeyHour   = "key_hour"
	policyWorker    = "worker"
	policyProbe     = "probe" // who shows nothing is not counted: the answer costs nothing
)

// open reports whether anybody may ask.
func (rt route) open() bool { return slices.Contains(rt.who, public) }

// check refuses who may not ask.
func (rt route) check(who auth.Identity) error {
	role := who.Role
	if role == "" {
		role = public
	}
	if slices.Contains(rt.who, role) {
		return nil
	}
	if role == public {
		return refuse(http.StatusUnauthorized, codeUnauthenticated, "say who you are, with Authorization: Bearer and a key; keys are made by: directorybolt keys create")
	}
	return refuse(http.StatusForbidden, codeForbidden, "a key of role %s may not do this", role)
}

// policies are the limits that a request counts under, the one that is never given
// back first. Who proves nothing counts as the public, whatever was asked for. Who signs
// in is not yet anybody, and what he tries counts once it is known how that ended.
func (rt route) policies(who auth.Identity) []string {
	switch {
	case rt.policy == policyAuth:
		return []string{policyPublic, policyAuth}
	case who.Role == "":
		return []string{policyPublic}
	case who.Role == auth.Customer:
		return []string{policyKeyHour, policyPublic}
	case who.Role == auth.Worker:
		return []string{policyWorker}
	case rt.policy == "", rt.policy == policyProbe:
		if rt.method == http.MethodGet {
			return []string{policyStaff}
		}
		return []string{policyStaffEdit}
	}
	return []string{rt.policy}
}

// proof is how somebody proved who he is.
type proof int

const (
	byNothing proof = iota
	byKey
	byCookie
)

// sessionCookie holds a browser's session. The prefix makes browsers insist on https
// and on this host.
const (
	sessionCookie       = "directorybolt_session"
	secureSessionCookie = "__Host-directorybolt_session"
)

func (s *server) cookieName() string {
	if s.Secure {
		return secureSessionCookie
	}
	return sessionCookie
}

// identify says who asks. Who shows a key that proves nothing is refused, also where
// he need not have shown one: he believes to be somebody. A browser shows its cookie
// by itself: one that is over makes him nobody, who may sign in again.
func (s *server) identify(r *http.Request) (auth.Identity, proof, error) {
	who, proved, err := s.prove(r)
	if proved == byCookie && errors.Is(err, auth.ErrRefused) {
		return auth.Identity{}, byNothing, nil
	}
	return who, proved, err
}

// identifyTimeout is how long a route that is open to anybody waits to learn who asks.
const identifyTimeout = 500 * time.Millisecond

// identifyAnybody says who asks where anybody may. The store that would know may be
// what is wrong: then it is anybody.
func (s *server) identifyAnybody(r *http.Request) (auth.Identity, proof, error) {
	ctx, cancel := context.WithTimeout(r.Context(), identifyTimeout)
	defer cancel()
	who, proved, err := s.identify(r.WithContext(ctx))
	if err != nil && !errors.Is(err, auth.ErrRefused) {
		return auth.Identity{}, byNothing, nil
	}
	return who, proved, err
}

// nobody is who signs in: the key in the body is his proof. One in a header would be
// looked at without a turn, also for an address that is full, and the answer could tell
// whether it is right.
func nobody(*http.Request) (auth.Identity, proof, error) {
	return auth.Identity{}, byNothing, nil
}

func (s *server) prove(r *http.Request) (auth.Identity, proof, error) {
	if text, given := bearer(r); given {
		who, err := s.Keys.Verify(r.Context(), text)
		return who, byKey, err
	}
	if c, err := r.Cookie(s.cookieName()); err == nil && c.Value != "" {
		who, err := s.Keys.VerifySession(r.Context(), c.Value)
		return who, byCookie, err
	}
	return auth.Identity{}, byNothing, nil
}

// bearer is the key that a request shows.
func bearer(r *http.Request) (string, bool) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, text, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", true // not a key: refused as one
		}
		return strings.TrimSpace(text), true
	}
	if text := r.Header.Get("X-API-Key"); text != "" {
		return text, true
	}
	return "", false
}
