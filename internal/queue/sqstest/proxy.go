package sqstest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy stands before an emulator and does to its traffic what happens on the way
// to a real SQS. A fault is asked about each call of the API, in the order they come.
type Proxy struct {
	Endpoint string

	target *url.URL
	mu     sync.Mutex
	faults []Fault
	calls  map[string]int
}

// Call is a call of the API on its way.
type Call struct {
	Action string // such as SendMessageBatch
	N      int    // how many of that action there were, this one included
	Body   map[string]any

	forward func() *http.Response
	w       http.ResponseWriter
}

// Fault does something to a call and reports true, or leaves it alone.
type Fault func(c *Call) (handled bool)

// NewProxy puts a proxy before the server.
func NewProxy(t testing.TB, s *Server) *Proxy {
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, calls: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Endpoint = server.URL
	return p
}

// Add lets a fault act from now on. The latest added is asked first.
func (p *Proxy) Add(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append([]Fault{f}, p.faults...)
}

// Heal takes all faults away.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// Calls counts the calls of an action.
func (p *Proxy) Calls(action string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[action]
}

// ServeHTTP passes a call on, unless a fault takes it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	p.mu.Lock()
	p.calls[action]++
	call := &Call{Action: action, N: p.calls[action], w: w}
	faults := p.faults
	p.mu.Unlock()
	_ = json.Unmarshal(body, &call.Body) // what is no JSON has no body to look at
	call.forward = func() *http.Response { return p.forward(r, body) }
	for _, f := range faults {
		if f(call) {
			return
		}
	}
	call.Pass()
}

// forward performs the call at the emulator; nil when it is away.
func (p *Proxy) forward(r *http.Request, body []byte) *http.Response {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host, out.Host = p.target.Scheme, p.target.Host, p.target.Host
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return nil
	}
	return res
}

// Pass performs the call and passes the answer on.
func (c *Call) Pass() { c.Change(nil) }

// Change performs the call and passes on what change makes of the answer's JSON.
func (c *Call) Change(change func(answer map[string]any)) {
	res := c.forward()
	if res == nil {
		c.Lose()
		return
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.Lose()
		return
	}
	if change != nil && res.StatusCode == http.StatusOK {
		var answer map[string]any
		if json.Unmarshal(body, &answer) == nil {
			change(answer)
			body, _ = json.Marshal(answer) // it was JSON a moment ago
		}
	}
	for name, values := range res.Header {
		if name != "Content-Length" && name != "X-Amz-Crc32" {
			c.w.Header()[name] = values
		}
	}
	c.w.WriteHeader(res.StatusCode)
	_, _ = c.w.Write(body)
}

// Lose cuts the connection without an answer. Before it, [Call.Perform] performs the
// call: the answer is lost. Without, the call never came.
func (c *Call) Lose() {
	if conn, _, err := http.NewResponseController(c.w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// Perform performs the call and keeps the answer.
func (c *Call) Perform() {
	if res := c.forward(); res != nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// Refuse answers with an error of the API.
func (c *Call) Refuse(status int, code, message string) {
	c.w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	c.w.Header().Set("X-Amzn-Query-Error", code+";Sender")
	c.w.WriteHeader(status)
	_ = json.NewEncoder(c.w).Encode(map[string]string{"__type": "com.amazonaws.sqs#" + code, "message": message})
}

// Entries are the entries of a batch.
func (c *Call) Entries() []map[string]any {
	list, _ := c.Body["Entries"].([]any)
	entries := make([]map[string]any, 0, len(list))
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			entries = append(entries, m)
		}
	}
	return entries
}
