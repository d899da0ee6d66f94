package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Time limits of the server: nobody holds a connection by being slow.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	closeTimeout  = 5 * time.Second
	headerBytes   = 16 << 10
)

// Serve answers on ln with h until ctx ends, then lets running requests finish
// for a few seconds. It closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	s := &http.Server{
		Handler:           h,
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
	// Nobody is accepted from here on, and whoever was is known to the server: one that is
	// accepted while it shuts down may be dropped without an answer.
	_ = ln.Close()
	<-served
	// The end has come already; closing in order needs time of its own.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := s.Shutdown(closing)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close()
	}
	return err
}

const closingKey contextKey = 2

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
