package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Time limits of the server: nobody holds a connection by being slow.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	closeTimeout  = 5 * time.Second
	// firstTimeout is how long who has connected may take to ask, when the end has come.
	firstTimeout = time.Second
	headerBytes  = 16 << 10
)

// Serve answers on ln with h until ctx ends, then answers who has connected and lets
// running requests finish, for a few seconds. It closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	fresh := newcomers{conns: map[net.Conn]struct{}{}}
	s := &http.Server{
		Handler:           fresh.heard(h),
		ConnState:         fresh.state,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey, c) },
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	end := make(chan struct{})
	s.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), closingKey, end) }
	s.RegisterOnShutdown(func() { close(end) })
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	// The end has come already; closing in order needs time of its own.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	// Nobody is accepted from here on. Who was, is answered: a server that shuts down
	// hangs up on every request that it reads from then on.
	_ = ln.Close()
	<-served
	fresh.wait(closing)
	err := s.Shutdown(closing)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close()
	}
	return err
}

// newcomers are the connections that nothing was asked on yet.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func (n *newcomers) state(c net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch state {
	case http.StateNew:
		n.conns[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(n.conns, c)
	}
}

// heard lets h answer; the connection is a newcomer no more.
func (n *newcomers) heard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey).(net.Conn)
		n.mu.Lock()
		delete(n.conns, c)
		n.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// wait returns when there are none, or have been some for long enough.
func (n *newcomers) wait(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	for n.any() && pause(ctx, 5*time.Millisecond) {
	}
}

func (n *newcomers) any() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns) > 0
}

const (
	closingKey contextKey = iota + 2
	connKey
)

// closing is closed when the server that serves a request is about to end: who waits
// on behalf of a client waits no longer.
func closing(ctx context.Context) <-chan struct{} {
	end, _ := ctx.Value(closingKey).(chan struct{})
	return end
}

// unhurried takes the time limits of the server off a request that is meant to last.
// Where the connection knows of none, there are none.
func unhurried(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(mostWait + writeTimeout))
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
