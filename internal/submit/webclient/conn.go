package webclient

import (
	"net"
	"sync"
	"time"
)

// maxWrite is how much is handed to the kernel between two looks at the deadline;
// sendBuffer bounds what the kernel holds back, and would still send while this
// process is stopped.
const (
	maxWrite   = 16 << 10
	sendBuffer = 64 << 10
)

// effectConn is the connection of one effect. Before every write it asks how much
// time is left, and remembers whether anything of the request may have left. It
// lies below TLS, so that encrypted effects obey the same deadline.
type effectConn struct {
	net.Conn
	left func() time.Duration

	mu      sync.Mutex
	request bool // the connection is ready: what is written now is the request
	sent    bool // some of the request may have been handed to the kernel
	stopped bool // nothing more may be written
	polite  bool // an answer came; close without a reset
}

func newEffectConn(conn net.Conn, left func() time.Duration) *effectConn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // a hint; the deadline holds without it
	}
	return &effectConn{Conn: conn, left: left}
}

// ready says that the handshake is over.
func (c *effectConn) ready() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request = true
}

// answered lets the connection end politely.
func (c *effectConn) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.polite = true
}

// stop forbids every further write and reports whether any of the request may
// have been sent. A write that is under way counts as sent.
func (c *effectConn) stop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	return c.sent
}

// Write writes b in slices, each of them only while time is left.
func (c *effectConn) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		n, err := c.writeSlice(b[written:min(len(b), written+maxWrite)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (c *effectConn) writeSlice(b []byte) (int, error) {
	first, err := c.begin()
	if err != nil {
		_ = c.Close()
		return 0, err
	}
	n, err := c.Conn.Write(b)
	if first && n == 0 {
		c.mu.Lock()
		c.sent = false // the kernel took nothing
		c.mu.Unlock()
	}
	return n, err
}

// begin asks for leave to write. first reports that nothing of the request has
// been written before.
func (c *effectConn) begin() (first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false, net.ErrClosed
	}
	if err := c.arm(); err != nil {
		c.stopped = true
		return false, err
	}
	first = c.request && !c.sent
	c.sent = c.sent || c.request
	return first, nil
}

// arm puts what is left of the time on the socket.
func (c *effectConn) arm() error {
	left := c.left()
	if left <= 0 {
		return ErrDeadline
	}
	return c.Conn.SetDeadline(time.Now().Add(left))
}

// Read reads while time is left.
func (c *effectConn) Read(b []byte) (int, error) {
	if err := c.arm(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Close ends the connection. Before an answer came it does so with a reset: what
// the kernel still holds of the request is thrown away, not sent later.
func (c *effectConn) Close() error {
	c.mu.Lock()
	c.stopped = true
	polite := c.polite
	c.mu.Unlock()
	if tcp, ok := c.Conn.(*net.TCPConn); ok && !polite {
		_ = tcp.SetLinger(0)
	}
	return c.Conn.Close()
}

// SetDeadline and its sisters do nothing: the effect's deadline is the only one,
// and nobody above may lift it.
func (c *effectConn) SetDeadline(time.Time) error      { return nil }
func (c *effectConn) SetReadDeadline(time.Time) error  { return nil }
func (c *effectConn) SetWriteDeadline(time.Time) error { return nil }
