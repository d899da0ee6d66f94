package webclient

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// ErrDeadline: the effect's deadline has passed, nothing more is written.
var ErrDeadline = errors.New("the deadline of the effect has passed")

// BlockedError refuses a request that the guard does not let out: an address that
// is not public, a host outside the catalog, a port or scheme that is no web site's.
type BlockedError struct {
	Host string     // as in the URL
	Addr netip.Addr // the address that was refused; invalid when no address was asked for
	Why  string     // when Addr is invalid
}

func (e *BlockedError) Error() string {
	if e.Addr.IsValid() {
		return fmt.Sprintf("host %q is blocked: %s is not a public address", e.Host, e.Addr)
	}
	return fmt.Sprintf("host %q is blocked: %s", e.Host, e.Why)
}

// RedirectError ends a chain of redirects that leads nowhere.
type RedirectError struct {
	URL string // where the chain was given up
	Why string
}

func (e *RedirectError) Error() string { return fmt.Sprintf("redirect to %s: %s", e.URL, e.Why) }

// Fault is a request without a usable answer. Class is directory.ClassNotSent,
// ClassInDoubt, ClassBlocked or ClassPermanent. A page is never in doubt: reading
// it again does no harm, so whatever cut it is "not sent".
type Fault struct {
	Class  string
	Method string
	URL    string
	Err    error
}

func (f *Fault) Error() string { return fmt.Sprintf("%s %s: %v", f.Method, f.URL, f.Err) }

func (f *Fault) Unwrap() error { return f.Err }

// pageFault classifies the error of a request that may be repeated.
func pageFault(u *url.URL, err error) *Fault {
	f := &Fault{Class: directory.ClassNotSent, Method: "GET", URL: u.Redacted(), Err: bare(err)}
	var blocked *BlockedError
	var redirect *RedirectError
	switch {
	case errors.As(err, &blocked):
		f.Class = directory.ClassBlocked
	case errors.As(err, &redirect):
		f.Class = directory.ClassPermanent
	}
	return f
}

// bare strips the url.Error that net/http puts around everything; a Fault says
// method and URL itself.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
