package webclient

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// newClient is a client that may speak to 127.0.0.1, and to nothing else that is
// not public.
func newClient(t testing.TB, edit ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{UserAgent: "DirectoryBolt/1.2", ContactURL: "https://directorybolt.example/bot", Allow: loopback, Timeout: 5 * time.Second}
	for _, f := range edit {
		f(&cfg)
	}
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func visit(t testing.TB, s *httptest.Server) *Session {
	t.Helper()
	return newClient(t).Visit(NewHosts(s.URL), 0)
}

// forever is a deadline that is never reached.
func forever() time.Duration { return time.Hour }

// resolver answers every name with the next of the addresses, the last for ever.
func resolver(t testing.TB, addrs ...string) *net.Resolver {
	t.Helper()
	next := make(chan netip.Addr, len(addrs)+1)
	for _, a := range addrs {
		next <- netip.MustParseAddr(a)
	}
	take := func() netip.Addr {
		a := <-next
		if len(next) == 0 {
			next <- a
		}
		return a
	}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answerDNS(server, take)
		return client, nil
	}}
}

// answerDNS speaks DNS over a stream; an A question takes an address.
func answerDNS(conn net.Conn, take func() netip.Addr) {
	defer func() { _ = conn.Close() }()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		raw := make([]byte, size)
		if _, err := io.ReadFull(conn, raw); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(raw) != nil {
			return
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 0},
				Body:   &dnsmessage.AResource{A: take().As4()},
			}}
		}
		out, err := m.Pack()
		if err != nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}
