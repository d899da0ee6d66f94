package sandbox

import (
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// slow takes its time to answer.
type slow struct{ plain }

func (c *slow) file(w http.ResponseWriter, r *http.Request) {
	f := c.receive(w, r, c.page)
	if f == nil {
		return
	}
	l := c.accept(f)
	c.wait(c.scaled(2 * time.Second))
	c.thank(w, l)
}

func (c *slow) describe(d *directory.Directory) {
	d.Pacing.Timeout = directory.Duration(max(3*time.Second, c.scaled(6*time.Second)))
}

// errorOnce loses the first post of each business and works from then on.
type errorOnce struct{ plain }

func (c *errorOnce) file(w http.ResponseWriter, r *http.Request) {
	f := c.receive(w, r, c.page)
	if f == nil {
		return
	}
	if c.register.times("error "+f.key) == 1 {
		c.refuse(w, f.post, http.StatusInternalServerError, "Something went wrong.")
		return
	}
	c.thank(w, c.accept(f))
}

// errorForEver never works, and nobody can look anything up.
type errorForEver struct{ plain }

func (c *errorForEver) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.refuse(w, f.post, http.StatusInternalServerError, "Something went wrong.")
	}
}

func (c *errorForEver) describe(d *directory.Directory) { d.Lookup = nil }

// errorAfterListing lists, and breaks afterwards.
type errorAfterListing struct{ plain }

func (c *errorAfterListing) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.accept(f)
		c.notice(w, http.StatusInternalServerError, "Error", "Something went wrong.")
	}
}

// throttledOnce refuses the first post of each business, and every one that
// comes before it said.
type throttledOnce struct{ plain }

func (c *throttledOnce) file(w http.ResponseWriter, r *http.Request) {
	c.afterPause(w, r, http.StatusTooManyRequests)
}

// unavailableOnce does the same with 503.
type unavailableOnce struct{ plain }

func (c *unavailableOnce) file(w http.ResponseWriter, r *http.Request) {
	c.afterPause(w, r, http.StatusServiceUnavailable)
}

func (c *plain) afterPause(w http.ResponseWriter, r *http.Request, status int) {
	f := c.receive(w, r, c.page)
	if f == nil {
		return
	}
	pause := c.retryAfter(1500 * time.Millisecond)
	if left := c.register.pause(f.key, pause); left > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((left+time.Second-1)/time.Second)))
		c.refuse(w, f.post, status, "Too busy. Please come back later.")
		return
	}
	c.thank(w, c.accept(f))
}

// cutWithLookup lists and cuts; the listing shows a little later.
type cutWithLookup struct{ plain }

func (c *cutWithLookup) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.acceptShown(f, c.scaled(200*time.Millisecond))
		cut(w)
	}
}

// cutWithoutLookup lists and cuts, and nobody can look anything up.
type cutWithoutLookup struct{ plain }

func (c *cutWithoutLookup) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.accept(f)
		cut(w)
	}
}

func (c *cutWithoutLookup) describe(d *directory.Directory) { d.Lookup = nil }

// cutBeforeBody resets the connection of its first post without reading it.
type cutBeforeBody struct{ plain }

func (c *cutBeforeBody) file(w http.ResponseWriter, r *http.Request) {
	if c.register.times("cut") > 1 {
		c.list(w, r)
		return
	}
	c.outcome(c.begin(r), "cut before the body")
	reset(w)
}

// halfAnswer lists and cuts in the middle of a page that does not say so yet.
type halfAnswer struct{ plain }

func (c *halfAnswer) file(w http.ResponseWriter, r *http.Request) {
	f := c.receive(w, r, c.page)
	if f == nil {
		return
	}
	c.accept(f)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", "20000")
	w.Write([]byte("<!doctype html><title>Your listing</title><p>Your business"))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler) // net/http's way to cut an answer that has begun
}

// lateAnswer lists and answers when the client has long given up. Its lookup
// settles late enough for that.
type lateAnswer struct{ plain }

func (c *lateAnswer) file(w http.ResponseWriter, r *http.Request) {
	f := c.receive(w, r, c.page)
	if f == nil {
		return
	}
	c.wait(c.patience() * 3 / 2)
	l := c.accept(f)
	c.wait(c.patience())
	c.thank(w, l)
}

func (c *lateAnswer) describe(d *directory.Directory) {
	d.Pacing.Timeout = directory.Duration(c.patience())
	d.Lookup = c.lookup(c.patience() * 3 / 2)
}

// patience is how long clients wait for an answer.
func (c *lateAnswer) patience() time.Duration {
	return max(300*time.Millisecond, c.scaled(600*time.Millisecond))
}

// paced breaks once, so that a second turn is needed, which must wait.
type paced struct{ errorOnce }

func (c *paced) describe(d *directory.Directory) {
	d.Pacing.MinInterval = directory.Duration(c.scaled(2 * time.Second))
}

// cut ends the connection in place of an answer.
func cut(w http.ResponseWriter) {
	if conn := hijack(w); conn != nil {
		_ = conn.Close()
	}
}

// reset ends the connection so that the client's system sees an error at once,
// even in the middle of sending.
func reset(w http.ResponseWriter) {
	conn := hijack(w)
	if conn == nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}
