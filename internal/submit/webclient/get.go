package webclient

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Get reads a page of a host of the session, following redirects. Every error is
// a *[Fault]. An answer of any status is an answer.
func (s *Session) Get(ctx context.Context, rawURL, referer string) (*Page, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, pageFault(&url.URL{Opaque: rawURL}, &RedirectError{URL: rawURL, Why: "it is not a URL"})
	}
	u = clean(u)
	if err := s.hosts.check(u); err != nil {
		return nil, pageFault(u, err)
	}
	return s.follow(ctx, u, referer, nil)
}

// follow gets u and goes on to where the answers point, for as long as that is
// somewhere new.
func (s *Session) follow(ctx context.Context, u *url.URL, referer string, hops []Hop) (*Page, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	seen := map[string]bool{}
	for {
		req := s.request(ctx, http.MethodGet, u, referer)
		// A site may send a visitor back to the same URL once it has set a cookie;
		// the same URL with the same cookies will answer the same for ever.
		state := u.String() + "\n" + req.Header.Get("Cookie")
		if seen[state] {
			return nil, pageFault(u, &RedirectError{URL: u.Redacted(), Why: "the redirects go round in a loop"})
		}
		seen[state] = true
		resp, err := s.client.pages.RoundTrip(req)
		if err != nil {
			return nil, pageFault(u, cause(ctx, err))
		}
		s.jar.SetCookies(u, resp.Cookies())
		if !redirects(resp.StatusCode, resp.Header) {
			p := readPage(u, resp)
			p.Hops = hops
			return p, nil
		}
		_ = resp.Body.Close()
		hop := Hop{URL: u, Status: resp.StatusCode, Header: resp.Header}
		hops = append(hops, hop)
		next, err := s.next(hop, len(hops))
		if err != nil {
			return nil, pageFault(u, err)
		}
		u, referer = next, u.String()
	}
}

// next is where the last of so many hops points, if that may be visited.
func (s *Session) next(from Hop, hops int) (*url.URL, error) {
	to, err := from.URL.Parse(strings.TrimSpace(from.Header.Get("Location")))
	if err != nil {
		return nil, &RedirectError{URL: from.URL.Redacted(), Why: "it points to what is not a URL"}
	}
	if hops > MaxRedirects {
		return nil, &RedirectError{URL: to.Redacted(), Why: "there are too many redirects"}
	}
	to = clean(to)
	return to, s.hosts.checkElsewhere(to)
}

func redirects(status int, h http.Header) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return strings.TrimSpace(h.Get("Location")) != ""
	}
	return false
}

// cause says why the context ended where that is all the error says.
func cause(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}
