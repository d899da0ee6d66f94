package directory

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// notPublic are the top level names that no public address ends in. The reserved
// name example is not among them: documentation and fixtures live there.
var notPublic = []string{"localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "test", "invalid", "onion", "arpa"}

// normalWebsite writes scheme and host in lower case, the host in ASCII and
// without a port that goes without saying. What is no URL stays as it is.
func normalWebsite(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return s
	}
	u.Scheme = strings.ToLower(u.Scheme)
	port := u.Port()
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	host := asciiHost(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u.Host = host
	if port != "" {
		u.Host += ":" + port
	}
	return strings.TrimSpace(u.String())
}

// asciiHost is a host name in lower case, as DNS has it, without the root's dot.
// What is no host name only gets its lower case.
func asciiHost(host string) string {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
	if err == nil && ascii != "" && !strings.HasSuffix(ascii, ".") {
		return ascii
	}
	return lowerASCII(host)
}

// websiteHost is the host of a website as identity and lookups want it: without
// www., and without its port.
func websiteHost(website string) string {
	u, err := url.Parse(website)
	if err != nil {
		return ""
	}
	host := asciiHost(u.Hostname())
	if rest, ok := strings.CutPrefix(host, "www."); ok && strings.Contains(rest, ".") {
		return rest
	}
	return host
}

// hostFault says why a host is not one that the public can reach by name, or "".
func hostFault(host string, allowLocal bool) string {
	if allowLocal {
		return ""
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "is an address, not a name: write the domain that people use"
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
	if err != nil {
		return "is not a valid host name: check its spelling"
	}
	labels := strings.Split(ascii, ".")
	top := labels[len(labels)-1]
	switch {
	case slices.Contains(notPublic, top):
		return "is not reachable from outside: write the public domain"
	case len(labels) < 2:
		return "has no domain ending: write it in full, like example.com"
	case slices.ContainsFunc(labels, badLabel), len(ascii) > 253, strings.Trim(top, "0123456789") == "":
		return "is not a valid host name: check its spelling"
	}
	return ""
}

func badLabel(label string) bool {
	return label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
		strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
}
