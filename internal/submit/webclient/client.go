package webclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Limits of what is read and followed.
const (
	MaxBody      = 2 << 20 // bytes of a page; the rest is not read
	MaxRedirects = 5
	maxHeader    = 256 << 10
)

// Config says who we are and what is let out. The zero value works.
type Config struct {
	UserAgent  string         // product and version; default "DirectoryBolt/dev"
	ContactURL string         // where a site's owner finds us; part of the User-Agent header
	Allow      []netip.Prefix // addresses that are let out although they are not public: the sandbox's
	Timeout    time.Duration  // of one request where the caller names none; default 30 s
	Resolver   *net.Resolver  // default net.DefaultResolver
	RootCAs    *x509.CertPool // default the system's
}

// Client is safe for concurrent use. Close it when it is no longer needed.
type Client struct {
	agent   string // User-Agent header
	product string // its first word, for robots.txt
	timeout time.Duration
	dialer  *net.Dialer
	tls     *tls.Config
	pages   *http.Transport
	robots  *robots
}

// New builds a client; nothing is sent yet. No proxy is used, whatever the
// environment says: behind one the guard would see the proxy's address only.
func New(cfg Config) *Client {
	agent := cmp.Or(cfg.UserAgent, "DirectoryBolt/dev")
	c := &Client{
		agent:   agent,
		product: strings.ToLower(firstWord(agent)),
		timeout: cmp.Or(cfg.Timeout, 30*time.Second),
		dialer: &net.Dialer{
			Timeout:        10 * time.Second,
			Resolver:       cfg.Resolver,
			ControlContext: guard{allow: cfg.Allow}.control,
		},
		tls:    &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		robots: newRobots(),
	}
	if cfg.ContactURL != "" {
		c.agent += " (+" + cfg.ContactURL + ")"
	}
	c.pages = c.transport()
	c.pages.DialContext = c.dial
	c.pages.TLSClientConfig = c.tls
	c.pages.TLSHandshakeTimeout = 10 * time.Second
	c.pages.MaxIdleConnsPerHost = 2
	c.pages.MaxIdleConns = 64
	c.pages.IdleConnTimeout = 15 * time.Second
	return c
}

// Close ends the connections that are kept for the next page.
func (c *Client) Close() { c.pages.CloseIdleConnections() }

// transport speaks HTTP/1.1 only: one request has one connection to itself, which
// is what the deadline on the socket is about.
func (c *Client) transport() *http.Transport {
	var p http.Protocols
	p.SetHTTP1(true)
	return &http.Transport{Protocols: &p, MaxResponseHeaderBytes: maxHeader}
}

func firstWord(agent string) string {
	product, _, _ := strings.Cut(agent, "/")
	return strings.TrimSpace(product)
}

// Session is one visit to one directory: its cookies, and the hosts it may speak
// to. It is not safe for concurrent use.
type Session struct {
	client  *Client
	hosts   Hosts
	timeout time.Duration
	jar     *cookiejar.Jar
}

// Visit begins a session. A timeout of zero means the client's.
func (c *Client) Visit(hosts Hosts, timeout time.Duration) *Session {
	jar, _ := cookiejar.New(nil) // has no error without options
	return &Session{client: c, hosts: hosts, timeout: cmp.Or(timeout, c.timeout), jar: jar}
}

// request builds a request with what every request of the session carries.
func (s *Session) request(ctx context.Context, method string, u *url.URL, referer string) *http.Request {
	r := &http.Request{
		Method: method, URL: u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"User-Agent":      {s.client.agent},
			"Accept":          {"text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"},
			"Accept-Language": {"en"},
		},
	}
	if referer != "" {
		r.Header.Set("Referer", referer)
	}
	for _, c := range s.jar.Cookies(u) {
		r.AddCookie(c)
	}
	return r.WithContext(ctx)
}

// clean drops what a URL has that is never sent: the fragment and credentials.
func clean(u *url.URL) *url.URL {
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	c.Scheme = strings.ToLower(c.Scheme)
	if c.Path == "" && c.Opaque == "" {
		c.Path = "/"
	}
	c.RawQuery = plainQuery(c.RawQuery)
	return &c
}

// plainQuery escapes what a query must not have as it stands, as browsers do. A
// redirect may bring any bytes, and URLs are logged and stored.
func plainQuery(q string) string {
	var b strings.Builder
	for i := range len(q) {
		if c := q[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
