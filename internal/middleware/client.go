package middleware

import (
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Proxies says whose word about a client's address counts. The zero value trusts
// nobody: a client is who connects. Safe for concurrent use.
type Proxies struct {
	// Ranges are trusted by their address: the client is the right-most address of the
	// header that is in none of them.
	Ranges []netip.Prefix
	// Hops are trusted by their number, for proxies without fixed addresses: each
	// appends one address, and nobody reaches this process but through them. Not
	// together with Ranges.
	Hops int
	// Forwarded reads the header of that name (RFC 7239) and not X-Forwarded-For. Only
	// one is read: a proxy that sets one passes the other on as the client sent it.
	Forwarded bool
	// NetlifySecret, when set, believes X-Nf-Client-Connection-Ip of requests that
	// Netlify signed with it (X-Nf-Sign), wherever they come from.
	NetlifySecret []byte
}

// Client is the address of who sent the request, without zone, IPv4 as such. It is
// false when there is none, as on a unix socket.
func (p Proxies) Client(r *http.Request) (netip.Addr, bool) {
	peer, known := parseAddr(r.RemoteAddr)
	if len(p.NetlifySecret) > 0 && netlifySigned(r.Header.Get("X-Nf-Sign"), p.NetlifySecret, time.Now()) {
		if client, ok := parseAddr(r.Header.Get("X-Nf-Client-Connection-Ip")); ok {
			return client, true
		}
	}
	switch {
	case p.Hops > 0:
		return p.byHops(r, peer, known)
	case known && p.trusts(peer):
		return p.byRanges(r, peer), true
	}
	return peer, known
}

// byRanges goes from right to left while the addresses are trusted. What cannot be
// read was not written by a proxy of ours: the one who wrote it is the last known.
func (p Proxies) byRanges(r *http.Request, peer netip.Addr) netip.Addr {
	client := peer
	for text := range p.chain(r) {
		addr, ok := parseAddr(text)
		if !ok {
			return client
		}
		client = addr
		if !p.trusts(addr) {
			return client
		}
	}
	return client
}

// byHops counts: who connects is the first hop, and each hop wrote the one before it.
func (p Proxies) byHops(r *http.Request, peer netip.Addr, known bool) (netip.Addr, bool) {
	client, n := peer, 0
	for text := range p.chain(r) {
		addr, ok := parseAddr(text)
		if !ok {
			break
		}
		client, known = addr, true
		if n++; n == p.Hops {
			break
		}
	}
	return client, known
}

func (p Proxies) trusts(addr netip.Addr) bool {
	for _, r := range p.Ranges {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}

// chain is what the header says of the way, the nearest first.
func (p Proxies) chain(r *http.Request) func(yield func(string) bool) {
	if p.Forwarded {
		return forwarded(r.Header["Forwarded"])
	}
	return forwardedFor(r.Header["X-Forwarded-For"])
}

// forwardedFor reads X-Forwarded-For from the right: all lines are one list.
func forwardedFor(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := len(lines) - 1; i >= 0; i-- {
			rest := lines[i]
			for more := true; more; {
				comma := strings.LastIndexByte(rest, ',')
				if more = comma >= 0; !yield(strings.TrimSpace(rest[comma+1:])) {
					return
				}
				rest = rest[:max(comma, 0)]
			}
		}
	}
}

// forwarded reads the for parameters of Forwarded from the right. An element without
// one is an empty text.
func forwarded(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := len(lines) - 1; i >= 0; i-- {
			elements := splitQuoted(lines[i], ',')
			for j := len(elements) - 1; j >= 0; j-- {
				if !yield(forParameter(elements[j])) {
					return
				}
			}
		}
	}
}

func forParameter(element string) string {
	for _, pair := range splitQuoted(element, ';') {
		name, value, ok := strings.Cut(pair, "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "for") {
			return unquote(strings.TrimSpace(value))
		}
	}
	return ""
}

// splitQuoted splits at a separator outside of quoted strings.
func splitQuoted(s string, separator byte) (parts []string) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == separator:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote takes the quotes off. A backslash never stands in an address; a text with
// one is no address with or without it.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// parseAddr reads an address, with a port or without, in brackets or not. IPv4 in IPv6
// is IPv4, or all of its clients would share a network.
func parseAddr(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		var both netip.AddrPort
		if both, err = netip.ParseAddrPort(s); err == nil {
			addr = both.Addr()
		} else if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
			addr, err = netip.ParseAddr(s[1 : len(s)-1])
		}
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}
