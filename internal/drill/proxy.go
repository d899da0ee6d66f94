package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Proxy is a wire between a process and a server that can be cut, held and slowed
// down. All methods may be called concurrently.
type Proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	links map[*link]bool
	gate  chan struct{} // closed: what comes in goes out
	delay time.Duration // before each piece goes out
	over  bool
	all   sync.WaitGroup
}

// dialing bounds an attempt to reach the target.
const dialing = 5 * time.Second

// link is one connection through the proxy.
type link struct{ near, far net.Conn }

// NewProxy listens on a free port of 127.0.0.1 and passes on to target.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a proxy to %s: %w", target, err)
	}
	p := &Proxy{listener: l, target: target, links: map[*link]bool{}, gate: make(chan struct{})}
	close(p.gate)
	p.all.Go(p.accept)
	return p, nil
}

// Address is the proxy's host and port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut ends connections at once, as a firewall that forgets them does, and returns how
// many. With one set it is one of them, chosen by rnd.
func (p *Proxy) Cut(rnd *rand.Rand, one bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, lot := 0, -1
	if one && len(p.links) > 0 {
		lot = rnd.IntN(len(p.links))
	}
	for l := range p.links {
		if lot < 0 || lot == n {
			l.reset()
		}
		n++
	}
	if lot >= 0 {
		return 1
	}
	return n
}

// Links counts the connections through the proxy.
func (p *Proxy) Links() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Hold lets nothing through until Release; connections stay open. Holding what is held
// changes nothing.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isClosed(p.gate) && !p.over {
		p.gate = make(chan struct{})
	}
}

// Release lets through again, first of all what was held.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !isClosed(p.gate) {
		close(p.gate)
	}
}

// Delay holds each piece up for so long.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	p.Release()
	p.mu.Lock()
	p.over = true
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	_ = p.listener.Close()
	p.all.Wait()
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.connect(near) })
	}
}

// connect reaches the target for one connection and passes bytes both ways until one
// side ends.
func (p *Proxy) connect(near net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), dialing)
	defer cancel()
	far, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = near.Close()
		return
	}
	l := &link{near, far}
	p.mu.Lock()
	if p.over {
		l.reset()
	}
	p.links[l] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(far, near) })
	both.Go(func() { p.pass(near, far) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pass copies from one side to the other, and ends both with the first error.
func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.wait()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) wait() {
	p.mu.Lock()
	gate, delay := p.gate, p.delay
	p.mu.Unlock()
	<-gate
	if delay > 0 {
		time.Sleep(delay)
	}
}

// reset ends both sides so that they see an error at once.
func (l *link) reset() {
	for _, c := range []net.Conn{l.near, l.far} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}
