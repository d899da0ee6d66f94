package webclient

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/directorybolt/directorybolt/internal/directory"
)

func TestPublicRefusesEveryAddressThatIsNoWebSites(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
		"100.64.0.1", "100.100.100.200", "168.63.129.16", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "255.255.255.255",
		"192.0.0.192", "198.18.0.1", "240.0.0.1",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::",
		"::127.0.0.1", "fec0::1",
	} {
		if Public(netip.MustParseAddr(a)) {
			t.Errorf("Public(%s) = true", a)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("Public of no address = true")
	}
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"} {
		if !Public(netip.MustParseAddr(a)) {
			t.Errorf("Public(%s) = false", a)
		}
	}
}

func TestGetRefusesNameThatResolvesToLoopback(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	u, _ := url.Parse(s.URL)
	target := "http://rebound.example:" + u.Port() + "/"
	for _, a := range []string{"127.0.0.1", "169.254.169.254", "10.0.0.7"} {
		c := newClient(t, func(cfg *Config) { cfg.Allow, cfg.Resolver = nil, resolver(t, a) })
		_, err := c.Visit(NewHosts(target), 0).Get(t.Context(), target, "")
		wantBlocked(t, err, "rebound.example", a)
	}
	if hits.Load() != 0 {
		t.Errorf("the server got %d requests", hits.Load())
	}
}

func TestSendRefusesNameThatWasReboundAfterTheFirstPage(t *testing.T) {
	var posts atomic.Int32
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
		}
	})
	u, _ := url.Parse(s.URL)
	target := "http://rebound.example:" + u.Port() + "/"
	c := newClient(t, func(cfg *Config) { cfg.Resolver = resolver(t, "127.0.0.1", "127.0.0.2") })
	session := c.Visit(NewHosts(target), 0)
	if _, err := session.Get(t.Context(), target, ""); err != nil {
		t.Fatal(err)
	}
	_, err := session.Send(t.Context(), Effect{Method: "POST", URL: target, Body: []byte("a=b")}, forever)
	wantBlocked(t, err, "rebound.example", "127.0.0.2")
	if posts.Load() != 0 {
		t.Errorf("the server got %d posts", posts.Load())
	}
}

func TestGetRefusesAddressesInDisguise(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	u, _ := url.Parse(s.URL)
	c := newClient(t, func(cfg *Config) { cfg.Allow = nil })
	for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost", "[::1]"} {
		target := "http://" + host + ":" + u.Port() + "/"
		_, err := c.Visit(NewHosts(target), 0).Get(t.Context(), target, "")
		fault, ok := errors.AsType[*Fault](err)
		if !ok || (fault.Class != directory.ClassBlocked && fault.Class != directory.ClassNotSent) {
			t.Errorf("Get(%s) = %v, want a fault of class blocked, or not_sent where the name is none", target, err)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("the server got %d requests", hits.Load())
	}
}

func TestRedirectToAddressThatIsNotPublicIsBlocked(t *testing.T) {
	for _, to := range []string{
		"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://127.0.0.2/", "//10.0.0.1/",
		"http://127.0.0.1:22/", "file:///etc/passwd", "gopher://127.0.0.1/", "http:///nohost",
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		})
		_, err := visit(t, s).Get(t.Context(), s.URL, "")
		if fault, ok := errors.AsType[*Fault](err); !ok || fault.Class != directory.ClassBlocked {
			t.Errorf("redirect to %s: %v, want a fault of class blocked", to, err)
		}
	}
}

func TestHostsAreThoseOfTheCatalogEntry(t *testing.T) {
	hosts := NewHosts("https://www.example.com/add", "http://10.0.0.1:8080/", "https://B\u00fccher.example", "", "::nonsense")
	for raw, want := range map[string]string{
		"https://www.example.com/x":      "",
		"http://example.com/":            "",
		"https://submit.example.com/":    "",
		"https://b\u00fccher.example/":   "",
		"https://xn--bcher-kva.example/": "",
		"https://EXAMPLE.com./":          "",
		"http://10.0.0.1:8080/y":         "",
		"https://notexample.com/":        "not a host of the catalog",
		"https://example.com.evil.io/":   "not a host of the catalog",
		"https://1.10.0.0.1/":            "not a host of the catalog",
		"https://example.com:22/":        "port 22",
		"ftp://example.com/":             "the scheme is ftp",
		"javascript:alert(1)":            "the scheme is javascript",
		"https:///path":                  "names no host",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		err = hosts.check(u)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("check(%s) = %v, want %q", raw, err, want)
		}
	}
}

func TestAllowedAsksNothingOfHostsOutsideTheCatalog(t *testing.T) {
	var hits atomic.Int32
	s := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	allowed, err := newClient(t).Visit(NewHosts("https://directory.example/"), 0).Allowed(t.Context(), s.URL)
	if fault, ok := errors.AsType[*Fault](err); allowed || !ok || fault.Class != directory.ClassBlocked {
		t.Errorf("Allowed = %t, %v, want a fault of class blocked", allowed, err)
	}
	if hits.Load() != 0 {
		t.Error("the other host was asked for its robots.txt")
	}
}

func wantBlocked(t *testing.T, err error, host, addr string) {
	t.Helper()
	fault, ok := errors.AsType[*Fault](err)
	if !ok || fault.Class != directory.ClassBlocked {
		t.Errorf("error = %v, want a fault of class blocked", err)
		return
	}
	blocked, ok := errors.AsType[*BlockedError](err)
	if !ok || blocked.Host != host || blocked.Addr.String() != addr {
		t.Errorf("error = %v, want host %s and address %s named", err, host, addr)
	}
}
