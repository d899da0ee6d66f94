package webclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// reserved lists the IPv4 ranges that are no public web site's, after the IANA
// special-purpose registry, and the one metadata address outside of it.
var reserved = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // carrier-grade NAT; a cloud's metadata address too
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // a cloud's host service on a public address
	"169.254.0.0/16",   // link-local, metadata
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
)

// In IPv6 only global unicast is public, and in it these are not: they are
// reserved or carry an IPv4 address that nobody has checked.
var (
	globalUnicast6 = netip.MustParsePrefix("2000::/3")
	reserved6      = prefixes(
		"2001::/23",     // protocol assignments, Teredo
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4
		"3fff::/20",     // documentation
	)
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Public reports whether addr can be a public web site's. IPv4 addresses in IPv6
// clothes are judged as IPv4.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		return false
	case addr.Is4():
		return !within(reserved, addr)
	}
	return globalUnicast6.Contains(addr) && !within(reserved6, addr)
}

func within(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// guard refuses a connection by the address it goes to. It runs between the
// resolution of the name and connect, for every address tried: what a resolver
// answered earlier, or answers next, does not matter.
type guard struct {
	allow []netip.Prefix
}

func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address %q: %w", address, err)
	}
	addr := to.Addr().Unmap().WithZone("")
	if Public(addr) || within(g.allow, addr) {
		return nil
	}
	return &BlockedError{Addr: addr}
}

// dial connects under the guard and names the host in its refusal.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dialer.DialContext(ctx, network, address)
	if blocked, ok := errors.AsType[*BlockedError](err); ok {
		host, _, _ := net.SplitHostPort(address)
		return nil, &BlockedError{Host: host, Addr: blocked.Addr}
	}
	return conn, err
}
