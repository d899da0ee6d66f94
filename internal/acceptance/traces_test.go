package acceptance

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/directorybolt/directorybolt/internal/directory"
	"github.com/directorybolt/directorybolt/internal/job"
	"github.com/directorybolt/directorybolt/internal/sandbox"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// traceReceiver takes spans in by OTLP over HTTP, by name.
type traceReceiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans map[string][]*traces.Span
}

func newTraceReceiver(t *testing.T) *traceReceiver {
	r := &traceReceiver{spans: map[string][]*traces.Span{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var got collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &got) != nil {
			http.Error(w, "no traces", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range got.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					r.spans[s.Name] = append(r.spans[s.Name], s)
				}
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// of are the spans of a name in a trace.
func (r *traceReceiver) of(trace, name string) (found []*traces.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans[name] {
		if trace == "" || hex.EncodeToString(s.TraceId) == trace {
			found = append(found, s)
		}
	}
	return found
}

// A client's trace goes on from its request through the order that it placed to each
// directory, in spans, in the history and in the log.
func TestATraceGoesFromTheRequestToTheDirectories(t *testing.T) {
	const trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	onBoth(t, func(t *testing.T, s *stack) {
		s.useSandbox(newSandbox(t, sandbox.Config{Count: 3, Behaviours: []string{"plain"}}))
		r := newTraceReceiver(t)
		s.set("OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
		p := s.start("all")
		url := p.answersAt()
		id := s.order(url, "00-"+trace+"-"+caller+"-01")
		s.awaitFinal(id, time.Minute, p)
		p.signal(syscall.SIGTERM) // what is left of the spans is sent at the end
		<-p.exited

		request := r.of(trace, "POST /api/orders")
		attempts, submissions := r.of(trace, "attempt"), r.of(trace, "submission")
		if len(request) != 1 || len(attempts) == 0 || len(submissions) == 0 || len(r.of("", "claim")) == 0 {
			t.Fatalf("%d requests, %d attempts, %d submissions in the trace; %d claims", len(request), len(attempts), len(submissions), len(r.of("", "claim")))
		}
		if got := hex.EncodeToString(request[0].ParentSpanId); got != caller {
			t.Errorf("the request is under %s, want %s", got, caller)
		}
		if !bytes.Equal(attempts[0].ParentSpanId, request[0].SpanId) {
			t.Error("the attempt is not under the request")
		}
		var detail struct {
			Trace string `json:"trace_id"`
		}
		if err := json.Unmarshal(s.history(id)[0].Detail, &detail); err != nil || detail.Trace != trace {
			t.Errorf("the history begins in trace %q, error %v", detail.Trace, err)
		}
		if !strings.Contains(string(p.output()), `"trace_id":"`+trace+`"`) {
			t.Error("no line of the log names the trace")
		}
	})
}

// answersAt is where a process serves, once it says so.
func (p *process) answersAt() string {
	p.s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		p.alive()
		for line := range bytes.Lines(p.output()) {
			var said struct{ Msg, URL string }
			if json.Unmarshal(line, &said) == nil && said.Msg == "started" {
				return said.URL
			}
		}
	}
	p.s.t.Fatalf("no process answers:\n%s", p.output())
	return ""
}

// order places an order by HTTP, in a trace.
func (s *stack) order(url, traceparent string) job.ID {
	s.t.Helper()
	business, err := directory.Options{AllowLocal: true}.ReadProfile(s.profile(1))
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"package": "starter", "profile": business})
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, url+"/api/orders", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(s.run("keys", "create", "--role", "staff", "--name", "test"))))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Traceparent", traceparent)
	res, err := web.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	var placed struct{ ID job.ID }
	if err != nil || res.StatusCode != http.StatusCreated || json.Unmarshal(text, &placed) != nil {
		s.t.Fatalf("%d %s, error %v", res.StatusCode, text, err)
	}
	return placed.ID
}
