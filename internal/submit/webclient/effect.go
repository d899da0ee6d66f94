package webclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// Effect is a request that may file a listing.
type Effect struct {
	Method      string // GET or POST
	URL         string
	ContentType string // of Body; POST only
	Body        []byte
	Referer     string // the page that had the form
}

// Send sends the effect once, on a connection of its own, while left is positive,
// and reads the answer. A redirect that is to be read (301, 302, 303) is followed
// as a page; one that wants the body again (307, 308) is the answer. What was
// answered to the effect itself is then the first of the page's Hops.
//
// Every error is a *[Fault]: not sent when no byte of the request left, blocked
// when the guard refused, in doubt in every other case.
func (s *Session) Send(ctx context.Context, e Effect, left func() time.Duration) (*Page, error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, &Fault{Class: directory.ClassNotSent, Method: e.Method, URL: e.URL, Err: err}
	}
	u = clean(u)
	if err := s.hosts.check(u); err != nil {
		return nil, &Fault{Class: directory.ClassBlocked, Method: e.Method, URL: u.Redacted(), Err: err}
	}
	p, err := s.sendOnce(ctx, u, e, left)
	if err != nil || !redirects(p.Status, p.Header) || e.Method != http.MethodGet && sameBody(p.Status) {
		return p, err
	}
	ctx, cancel := bounded(ctx, s.timeout, left)
	defer cancel()
	return s.afterEffect(ctx, p, e)
}

// sendOnce sends the effect and reads the answer to it.
func (s *Session) sendOnce(ctx context.Context, u *url.URL, e Effect, left func() time.Duration) (*Page, error) {
	ctx, cancel := bounded(ctx, s.timeout, left)
	defer cancel()
	shot := &shot{client: s.client, left: left}
	defer shot.close()
	resp, err := shot.fire(s.effectRequest(ctx, u, e)) //nolint:bodyclose // readPage closes it
	if err != nil {
		return nil, shot.fault(e.Method, u, cause(ctx, err))
	}
	s.jar.SetCookies(u, resp.Cookies())
	return readPage(u, resp), nil
}

// afterEffect reads the page that the answer points to. The effect has been sent:
// whatever goes wrong here leaves it in doubt.
func (s *Session) afterEffect(ctx context.Context, answer *Page, e Effect) (*Page, error) {
	hop := Hop{URL: answer.URL, Status: answer.Status, Header: answer.Header}
	to, err := s.next(hop, 1)
	if err == nil {
		var p *Page
		if p, err = s.follow(ctx, to, hop.URL.String(), []Hop{hop}); err == nil {
			return p, nil
		}
	}
	return nil, &Fault{Class: directory.ClassInDoubt, Method: e.Method, URL: hop.URL.Redacted(),
		Err: fmt.Errorf("the answer was %d, and what it points to could not be read: %w", hop.Status, err)}
}

// bounded gives ctx the shorter of the request's timeout and what is left.
func bounded(ctx context.Context, timeout time.Duration, left func() time.Duration) (context.Context, context.CancelFunc) {
	if rest := left(); rest < timeout {
		return context.WithTimeoutCause(ctx, rest, ErrDeadline)
	}
	return context.WithTimeout(ctx, timeout)
}

// sameBody reports that the answer asks for the body to be sent again elsewhere.
func sameBody(status int) bool {
	return status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
}

// effectRequest has a body that can be read once: without GetBody, net/http has
// nothing to send again.
func (s *Session) effectRequest(ctx context.Context, u *url.URL, e Effect) *http.Request {
	r := s.request(ctx, e.Method, u, e.Referer)
	if e.Method == http.MethodGet {
		return r
	}
	r.Header.Set("Content-Type", e.ContentType)
	if from, err := url.Parse(e.Referer); err == nil && from.Host != "" {
		r.Header.Set("Origin", from.Scheme+"://"+from.Host)
	}
	r.Body = io.NopCloser(bytes.NewReader(e.Body))
	r.ContentLength = int64(len(e.Body))
	if len(e.Body) == 0 {
		r.Body = http.NoBody
	}
	return r
}

// shot is the one connection of an effect.
type shot struct {
	client    *Client
	left      func() time.Duration
	transport *http.Transport

	mu   sync.Mutex
	conn *effectConn
	dead bool
}

// fire sends the request. A transport is made for it alone: it finds no connection
// to reuse, so it has no reason to repeat anything.
func (s *shot) fire(r *http.Request) (*http.Response, error) {
	if s.left() <= 0 {
		return nil, ErrDeadline
	}
	s.transport = s.client.transport()
	s.transport.DisableKeepAlives = true
	s.transport.DialContext = s.dial
	s.transport.DialTLSContext = s.dialTLS
	resp, err := s.transport.RoundTrip(r)
	if err == nil {
		s.conn.answered()
	}
	return resp, err
}

func (s *shot) close() {
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
}

// fault ends the connection and says what is known. A dial that is still under
// way is answered by [shot.take]: its connection never carries the request.
func (s *shot) fault(method string, u *url.URL, err error) *Fault {
	f := &Fault{Class: directory.ClassNotSent, Method: method, URL: u.Redacted(), Err: bare(err)}
	s.mu.Lock()
	s.dead = true
	conn := s.conn
	s.mu.Unlock()
	if conn != nil && conn.stop() {
		f.Class = directory.ClassInDoubt
	}
	if _, ok := errors.AsType[*BlockedError](err); ok && f.Class == directory.ClassNotSent {
		f.Class = directory.ClassBlocked
	}
	return f
}

func (s *shot) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn.ready()
	return conn, nil
}

func (s *shot) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	cfg := s.client.tls.Clone()
	cfg.ServerName, _, _ = net.SplitHostPort(address)
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	conn.ready()
	return secure, nil
}

func (s *shot) connect(ctx context.Context, network, address string) (*effectConn, error) {
	raw, err := s.client.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := newEffectConn(raw, s.left)
	if err := s.take(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// take makes conn the effect's connection, unless the effect is over.
func (s *shot) take(conn *effectConn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || s.conn != nil {
		return net.ErrClosed
	}
	s.conn = conn
	return nil
}
