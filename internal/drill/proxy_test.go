package drill

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// echo is a server that says again what it hears.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// through opens a connection through a proxy and proves that it works.
func through(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if got := ask(t, c, time.Minute); got != "hello\n" {
		t.Fatalf("heard %q", got)
	}
	return c
}

// ask says a line and returns what comes back; empty when nothing comes in time.
func ask(t *testing.T, c net.Conn, patience time.Duration) string {
	t.Helper()
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		t.Fatal(err)
	}
	return hear(t, c, patience)
}

func hear(t *testing.T, c net.Conn, patience time.Duration) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line
}

func newProxy(t *testing.T) *Proxy {
	t.Helper()
	p, err := NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestProxyCutsOneOrAll(t *testing.T) {
	p := newProxy(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	if n := p.Cut(rnd, true); n != 0 {
		t.Errorf("cut %d connections of none", n)
	}
	conns := []net.Conn{through(t, p), through(t, p), through(t, p)}
	if n := p.Cut(rnd, true); n != 1 {
		t.Errorf("cut %d connections, want one", n)
	}
	ended := make(chan bool, len(conns))
	for _, c := range conns {
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err != nil
		}()
	}
	<-ended // exactly one of the three ends: the others are cut below, and only then end
	select {
	case <-ended:
		t.Error("a second connection ended")
	case <-time.After(50 * time.Millisecond):
	}
	if n := p.Cut(rnd, false); n < 2 {
		t.Errorf("cut %d connections, want the rest", n)
	}
	<-ended
	<-ended
	through(t, p) // a cut wire can be dialled again
}

func TestProxyHoldsAndDeliversLater(t *testing.T) {
	p := newProxy(t)
	c := through(t, p)
	p.Hold()
	p.Hold()
	if got := ask(t, c, 50*time.Millisecond); got != "" {
		t.Errorf("heard %q through a wire that is held", got)
	}
	p.Release()
	p.Release()
	if got := hear(t, c, time.Minute); got != "hello\n" {
		t.Errorf("heard %q after the release", got)
	}
}

func TestProxyClosesWhateverItHolds(t *testing.T) {
	p := newProxy(t)
	c := through(t, p)
	p.Hold()
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := net.DialTimeout("tcp", p.Address(), time.Second); err == nil {
		t.Error("a closed proxy accepts")
	}
}
