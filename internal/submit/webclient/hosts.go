package webclient

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// Hosts are the hosts that a visit may speak to: those of a catalog entry, with
// and without "www." in front, and what lies under them.
type Hosts struct {
	names []string
	ports []string
}

// NewHosts collects the hosts of the URLs; what is empty or no URL adds nothing.
func NewHosts(urls ...string) Hosts {
	h := Hosts{ports: []string{"80", "443"}}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" {
			continue
		}
		h.names = append(h.names, strings.TrimPrefix(hostname(u), "www."))
		h.ports = append(h.ports, port(u))
	}
	return h
}

// check lets u pass when its host is one of the catalog's.
func (h Hosts) check(u *url.URL) error {
	if err := h.checkElsewhere(u); err != nil {
		return err
	}
	if slices.ContainsFunc(h.names, func(name string) bool { return under(hostname(u), name) }) {
		return nil
	}
	return &BlockedError{Host: u.Host, Why: "it is not a host of the catalog entry"}
}

// checkElsewhere lets u pass when it may be a web site at all; that its address
// is public is seen at connect.
func (h Hosts) checkElsewhere(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return &BlockedError{Host: u.Host, Why: "the scheme is " + strings.ToLower(u.Scheme) + ", not http or https"}
	case u.Hostname() == "":
		return &BlockedError{Host: u.Host, Why: "the URL names no host"}
	case !slices.Contains(h.ports, port(u)):
		return &BlockedError{Host: u.Host, Why: "port " + port(u) + " is not a web site's"}
	}
	return nil
}

// under reports whether host is name or one of its subdomains. An address has no
// subdomains.
func under(host, name string) bool {
	if host == name {
		return true
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	return strings.HasSuffix(host, "."+name)
}

// hostname is the host as DNS knows it, so that one name has one spelling.
func hostname(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}
