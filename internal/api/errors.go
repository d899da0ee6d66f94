package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/idempotency"
	"github.com/directorybolt/directorybolt/internal/job"
)

// Codes of problems. Clients rely on them.
const (
	codeInvalidRequest      = "INVALID_REQUEST"
	codeMissingCustomer     = "MISSING_CUSTOMER_ID"
	codeInvalidProfile      = "INVALID_PROFILE"
	codeUnknownPackage      = "UNKNOWN_PACKAGE"
	codeInvalidCursor       = "INVALID_CURSOR"
	codeUnauthenticated     = "UNAUTHENTICATED"
	codeForbidden           = "FORBIDDEN"
	codeNotFound            = "NOT_FOUND"
	codeCustomerNotFound    = "CUSTOMER_NOT_FOUND"
	codeJobNotFound         = "JOB_NOT_FOUND"
	codeMethodNotAllowed    = "METHOD_NOT_ALLOWED"
	codeInvalidStatus       = "INVALID_STATUS"
	codeLeaseLost           = "LEASE_LOST"
	codeIdempotencyRunning  = "IDEMPOTENCY_IN_PROGRESS"
	codeBodyTooLarge        = "BODY_TOO_LARGE"
	codeURLTooLong          = "URL_TOO_LONG"
	codeUnsupportedMedia    = "UNSUPPORTED_MEDIA_TYPE"
	codeIdempotencyMismatch = "IDEMPOTENCY_MISMATCH"
	codeRateLimited         = "RATE_LIMITED" // answered by the middleware
	codeInternal            = "INTERNAL"
	codeUnavailable         = "UNAVAILABLE"
)

// meaning is what clients are told of a code.
type meaning struct {
	status int
	says   string
}

// problems says what each code means, and with which status it comes.
var problems = map[string]meaning{
	codeInvalidRequest:      {400, "the body or a parameter is not what is wanted; detail says which"},
	codeMissingCustomer:     {400, "it must be said which customer"},
	codeInvalidProfile:      {400, "the business profile has faults; errors names each"},
	codeUnknownPackage:      {400, "there is no such package"},
	codeInvalidCursor:       {400, "the cursor is not one of ours; begin again without it"},
	codeUnauthenticated:     {401, "no key, or one that proves nothing: unknown, revoked or expired"},
	codeForbidden:           {403, "the key's role may not do this, or a page of another origin asked"},
	codeNotFound:            {404, "there is no such thing"},
	codeCustomerNotFound:    {404, "there is no such customer"},
	codeJobNotFound:         {404, "there is no such order or job, or it is somebody else's"},
	codeMethodNotAllowed:    {405, "the path answers other methods, named by Allow"},
	codeInvalidStatus:       {409, "the state it is in does not allow this; detail names the state"},
	codeLeaseLost:           {409, "the job belongs to another worker now, or has ended; nothing was changed"},
	codeIdempotencyRunning:  {409, "the same request is being answered right now; ask again for its answer"},
	codeBodyTooLarge:        {413, "the body has more than 10 MB"},
	codeURLTooLong:          {414, "the URL has more than 2048 bytes"},
	codeUnsupportedMedia:    {415, "the body is not said to be application/json"},
	codeIdempotencyMismatch: {422, "the Idempotency-Key was used for another request"},
	codeRateLimited:         {429, "too many requests; Retry-After says when to come again"},
	codeInternal:            {500, "it went wrong on our side; instance finds it in our log"},
	codeUnavailable:         {503, "the store cannot serve this now; Retry-After says when to come again"},
}

// problemCodes lists the codes by status, then by name.
func problemCodes() []string {
	return slices.SortedFunc(maps.Keys(problems), func(a, b string) int {
		return cmp.Or(cmp.Compare(problems[a].status, problems[b].status), cmp.Compare(a, b))
	})
}

// problem is an error as the client sees it (RFC 9457).
type problem struct {
	Type     string            `json:"type"`
	Title    string            `json:"title"`
	Status   int               `json:"status"`
	Code     string            `json:"code"`
	Detail   string            `json:"detail,omitempty"`
	Instance string            `json:"instance,omitempty"` // the request's id, for the log
	Reason   string            `json:"reason,omitempty"`   // LEASE_LOST: how the lease ended
	Errors   []directory.Fault `json:"errors,omitempty"`

	cause      error         // for the log; nil: the client's doing
	retryAfter time.Duration // zero: none
}

func (p *problem) Error() string { return p.Code + ": " + p.Detail }

func (p *problem) Unwrap() error { return p.cause }

// refuse makes a problem that is the client's to mend.
func refuse(status int, code, format string, args ...any) *problem {
	return &problem{Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *problem {
	return refuse(http.StatusBadRequest, codeInvalidRequest, format, args...)
}

// problemOf says what the client may know of an error.
func problemOf(err error) *problem {
	var p *problem
	var profile *directory.ProfileError
	var field *job.InvalidError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &profile):
		p = refuse(http.StatusBadRequest, codeInvalidProfile, "the profile has %d faults, each named in errors", len(profile.Faults))
		p.Errors = profile.Faults
		return p
	case errors.Is(err, directory.ErrUnknownPackage):
		return refuse(http.StatusBadRequest, codeUnknownPackage, "%v", err)
	case errors.As(err, &field):
		return invalid("%s %s", field.Field, field.Reason)
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, codeBodyTooLarge, "the body has more than %d bytes", tooLarge.Limit)
	case errors.Is(err, auth.ErrRefused):
		return refuse(http.StatusUnauthorized, codeUnauthenticated, "%v", err)
	case errors.Is(err, job.ErrLeaseLost):
		return refuse(http.StatusConflict, codeLeaseLost, "the lease is not the job's latest any more: another worker has the job, or it has ended; nothing was changed")
	case errors.Is(err, job.ErrRetired):
		return refuse(http.StatusConflict, codeLeaseLost, "the worker's lease is over; stop what it runs, and register again to go on")
	case errors.Is(err, job.ErrState):
		return refuse(http.StatusConflict, codeInvalidStatus, "the state it is in does not allow this")
	case errors.Is(err, job.ErrNotFound):
		return refuse(http.StatusNotFound, codeNotFound, "there is no such thing")
	case errors.Is(err, idempotency.ErrInProgress):
		p = refuse(http.StatusConflict, codeIdempotencyRunning, "%v; ask again for its answer", err)
		p.retryAfter = time.Second
		return p
	case errors.Is(err, idempotency.ErrMismatch):
		return refuse(http.StatusUnprocessableEntity, codeIdempotencyMismatch, "%v; take a new key for a new request", err)
	case errors.Is(err, job.ErrFull), errors.Is(err, job.ErrReadOnly), errors.Is(err, job.ErrSchema), errors.Is(err, context.DeadlineExceeded):
		return &problem{Status: http.StatusServiceUnavailable, Code: codeUnavailable, Detail: "the store cannot serve this now", cause: err, retryAfter: 5 * time.Second}
	}
	return &problem{Status: http.StatusInternalServerError, Code: codeInternal, Detail: "it went wrong on our side; the request's id finds it in the log", cause: err}
}

// write sends the problem.
func (p problem) write(w http.ResponseWriter, r *http.Request) {
	p.Type, p.Title, p.Instance = "about:blank", http.StatusText(p.Status), requestID(r.Context())
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="directorybolt"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that hung up is no fault of ours
}
