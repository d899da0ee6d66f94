package webclient

import (
	"errors"
	"net"
	"testing"
	"time"
)

// dumbConn takes so many bytes and fails.
type dumbConn struct {
	net.Conn
	takes int
}

func (c *dumbConn) Write(b []byte) (int, error) {
	if len(b) <= c.takes {
		c.takes -= len(b)
		return len(b), nil
	}
	return c.takes, errors.New("connection reset")
}
func (c *dumbConn) SetDeadline(time.Time) error { return nil }
func (c *dumbConn) Close() error                { return nil }

func TestConnKnowsWhetherAnythingOfTheRequestLeft(t *testing.T) {
	for name, c := range map[string]struct {
		handshake, takes int
		request          string
		want             bool
	}{
		"nothing written":        {0, 100, "", false},
		"handshake only":         {10, 100, "", false},
		"kernel took nothing":    {10, 10, "POST", false},
		"kernel took one byte":   {10, 11, "POST", true},
		"kernel took everything": {10, 100, "POST", true},
	} {
		conn := newEffectConn(&dumbConn{takes: c.takes}, forever)
		if _, err := conn.Write(make([]byte, c.handshake)); err != nil {
			t.Fatal(err)
		}
		conn.ready()
		if c.request != "" {
			_, _ = conn.Write([]byte(c.request))
		}
		if got := conn.stop(); got != c.want {
			t.Errorf("%s: sent = %t, want %t", name, got, c.want)
		}
		if n, err := conn.Write([]byte("more")); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: wrote %d bytes after the stop, %v", name, n, err)
		}
	}
}
