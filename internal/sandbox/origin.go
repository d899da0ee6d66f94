package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// origin is one listening port and what serves it.
type origin struct {
	url      string
	listener net.Listener
	server   *http.Server
	log      *slog.Logger
	running  sync.WaitGroup // the server and its handlers
	mu       sync.Mutex
	closed   bool
}

func newOrigin(l net.Listener, log *slog.Logger) *origin {
	return &origin{url: "http://" + l.Addr().String(), listener: l, log: log}
}

// serve answers requests until close.
func (o *origin) serve(h http.Handler) {
	o.server = &http.Server{
		Handler:           o.counted(h),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.log.Handler(), slog.LevelDebug),
	}
	o.running.Go(func() {
		if err := o.server.Serve(o.listener); !errors.Is(err, http.ErrServerClosed) {
			o.log.Error("sandbox stopped serving", "url", o.url, "error", err)
		}
	})
}

// counted lets close wait for handlers: http.Server.Close forgets them.
func (o *origin) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		o.running.Add(1)
		o.mu.Unlock()
		defer o.running.Done()
		h.ServeHTTP(w, r)
	})
}

func (o *origin) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	if o.server == nil {
		_ = o.listener.Close()
		return
	}
	_ = o.server.Close()
	o.running.Wait()
}

// listen opens an origin on addr. Port 0 takes a free one.
func listen(ctx context.Context, addr string, port int, log *slog.Logger) (*origin, error) {
	hostport := net.JoinHostPort(addr, strconv.Itoa(port))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", hostport)
	switch {
	case err != nil && port != 0:
		return nil, fmt.Errorf("listen on %s (choose another base port if something else runs there): %w", hostport, err)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", hostport, err)
	}
	return newOrigin(l, log), nil
}

// closedPort finds a port on which connections are refused, and keeps it so
// until release is called: the port is the near end of a connection, so nobody
// else can be given it, and nothing listens on it.
func closedPort(ctx context.Context, addr string) (hostport string, release func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = l.Close() }()
	near, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return "", nil, err
	}
	far, err := l.Accept()
	if err != nil {
		_ = near.Close()
		return "", nil, err
	}
	return near.LocalAddr().String(), func() { _ = near.Close(); _ = far.Close() }, nil
}
