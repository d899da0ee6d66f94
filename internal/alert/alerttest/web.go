package alerttest

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Reply is an HTTP answer.
type Reply struct {
	Status int
	Header map[string]string
	Body   string
}

// Web is a web service on this machine that answers as it is told.
type Web struct {
	*httptest.Server
	replies map[Behaviour]Reply

	mu        sync.Mutex
	behaviour Behaviour
	requests  []Request
	seen      map[Behaviour]int
	accepting func(Request) // called for each accepted request, before it is answered
	gone      chan struct{} // ends what hangs
}

// Request is what was accepted.
type Request struct {
	Header http.Header
	Body   string
	At     time.Time
}

// NewWeb starts a service. Behaviours without a reply are those of the connection, or
// what any web service would say.
func NewWeb(t testing.TB, replies map[Behaviour]Reply) *Web {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return NewWebOn(t, ln, replies)
}

// NewWebOn starts a service on a listener.
func NewWebOn(t testing.TB, ln net.Listener, replies map[Behaviour]Reply) *Web {
	w := &Web{behaviour: Accept, gone: make(chan struct{}), seen: map[Behaviour]int{}, replies: map[Behaviour]Reply{
		Accept:   {Status: http.StatusOK},
		Throttle: {Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "30"}},
		Fault:    {Status: http.StatusInternalServerError},
		Shut:     {Status: http.StatusGone},
		Refuse:   {Status: http.StatusBadRequest},
	}}
	maps.Copy(w.replies, replies)
	w.Server = &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(w.serve)}}
	w.Start()
	t.Cleanup(w.Leave)
	return w
}

// Behave chooses how the next requests are treated.
func (w *Web) Behave(b Behaviour) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behaviour = b
}

// Answer makes the service accept with this reply, or refuse with it.
func (w *Web) Answer(b Behaviour, r Reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replies[b], w.behaviour = r, b
}

// OnAccept has f called for each request from now on that is accepted, before it is
// answered.
func (w *Web) OnAccept(f func(Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accepting = f
}

// Seen counts the requests that were treated so.
func (w *Web) Seen(b Behaviour) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[b]
}

// Accepted lists the requests that got the reply of Accept.
func (w *Web) Accepted() []Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Request(nil), w.requests...)
}

// Leave makes nobody listen any more.
func (w *Web) Leave() {
	w.mu.Lock()
	select {
	case <-w.gone:
		w.mu.Unlock()
		return
	default:
		close(w.gone)
	}
	w.mu.Unlock()
	w.CloseClientConnections()
	w.Close()
}

func (w *Web) serve(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	behaviour := w.behaviour
	reply := w.replies[behaviour]
	w.seen[behaviour]++
	w.mu.Unlock()
	if behaviour == CutBefore {
		hangUp(out)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch behaviour {
	case Hang:
		select {
		case <-w.gone:
		case <-r.Context().Done():
		}
		return
	case CutAfter:
		hangUp(out)
		return
	case Accept:
		request := Request{r.Header, string(body), time.Now()}
		w.mu.Lock()
		w.requests = append(w.requests, request)
		accepting := w.accepting
		w.mu.Unlock()
		if accepting != nil {
			accepting(request)
		}
	}
	for name, value := range reply.Header {
		out.Header().Set(name, value)
	}
	out.WriteHeader(reply.Status)
	_, _ = io.WriteString(out, reply.Body)
}

func hangUp(out http.ResponseWriter) {
	conn, _, err := http.NewResponseController(out).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
