package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/directorybolt/directorybolt/internal/config"
)

// heldDescriptor is the first that systemd passes on.
const heldDescriptor = 3

// listen takes the port that the service manager holds open for this process, so that
// nobody is refused while it is restarted, or opens the one of the settings.
func (a *app) listen(ctx context.Context, c config.Config) (net.Listener, error) {
	if a.getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return listen(ctx, c.Bind, c.Port)
	}
	if n := a.getenv("LISTEN_FDS"); n != "1" {
		return nil, usage(fmt.Errorf("the service manager passes %s sockets, and one is wanted", n), "name one ListenStream in the socket unit")
	}
	f := os.NewFile(heldDescriptor, "socket of the service manager")
	ln, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("take the socket of the service manager: %w", err)
	}
	return ln, nil
}

// tellManager tells the service manager, if one asked to be told, that the process
// serves, and when ctx ends that it is on its way out. What it returns waits until that
// was said.
func (a *app) tellManager(ctx context.Context) (said func()) {
	path := a.getenv("NOTIFY_SOCKET")
	if path == "" {
		return func() {}
	}
	tell := func(state string) {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err == nil {
			_, err = conn.Write([]byte(state))
			err = errors.Join(err, conn.Close())
		}
		if err != nil {
			a.say("directorybolt: warning: the service manager was not told %s: %v", state, err)
		}
	}
	tell("READY=1")
	stopping := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		defer close(stopping)
		tell("STOPPING=1")
	})
	return func() {
		if !forget() {
			<-stopping
		}
	}
}
